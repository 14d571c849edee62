"""`maker replay --live`: what a panel of today answers at recorded steps, beside the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maker.chapters import Selection
from maker.cli import shown
from maker.nouns import Json
from maker.place import Place

if TYPE_CHECKING:
    from maker.live import Asked
    from maker.review import Instead


def ask_again(
    run: Place, selection: Selection, limit: int, as_json: bool, instead: Instead, options: dict[str, str]
) -> None:
    """Ask a panel of today at recorded steps and show whether it says the same."""
    from maker import review

    names = ("same", "different", "undecided", "samples", "tokens_in", "tokens_out")
    summed: dict[str, int] = dict.fromkeys(names, 0)
    seconds = 0.0
    table = shown.Table(as_json, limit, shown.heading("recorded", "asked again"))

    def on_asked(asked: Asked) -> None:
        nonlocal seconds
        summed[asked.verdict] += 1
        seconds += asked.seconds
        for name in ("samples", "tokens_in", "tokens_out"):
            summed[name] += getattr(asked.totals, name)
        table.add(_asked(asked), _asked_row(asked))

    review.ask_again(run, selection, limit, instead, on_asked, options)
    text = (
        f"{summed['same']:,} same, {summed['different']:,} different, {summed['undecided']:,} undecided: "
        f"{summed['samples']:,} samples, {summed['tokens_in']:,} tokens in, {summed['tokens_out']:,} out, "
        f"{seconds:.1f} s"
    )
    table.end({"event": "asked", **summed, "seconds": round(seconds, 3)}, text)


def _asked(asked: Asked) -> dict[str, Json]:
    was, now, totals = asked.recorded, asked.found, asked.totals
    recorded = {"winner": shown.winner(was), "votes": shown.votes(was) if was else {}}
    found = {"winner": shown.winner(now), "votes": shown.votes(now), "flags": shown.flags(now)}
    costs = {name: getattr(totals, name) for name in ("samples", "tokens_in", "tokens_out")}
    return {
        "event": "asked_step",
        "segment": asked.segment,
        "index": asked.index,
        "verdict": asked.verdict,
        "recorded": recorded,
        "now": found,
        "reason": now.get("reason"),
        **costs,
        "seconds": round(asked.seconds, 3),
    }


def _asked_row(asked: Asked) -> str:
    was, now = asked.recorded, asked.found
    recorded = shown.cell(shown.winner(was), shown.votes(was) if was else {})
    found = shown.cell(shown.winner(now), shown.votes(now))
    took = f"{asked.verdict}, {asked.totals.samples} samples"
    return shown.row(asked.segment, asked.index, recorded, found, took)
