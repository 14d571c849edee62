"""What panels of Hanoi's sets of weights do, state by state: where one is mostly wrong, where several are.

    python -m training.panels search FOLDER 2 --temperature 1.0    # one set, all strata; goes on where it was
    python -m training.panels draw FOLDER                          # the doubtful states, by every set
    python -m training.panels table FOLDER                         # every panel of those sets

`search` gives the right answer's exact chance at each state. A state where it is below 0.95 for any set is
doubtful: 200 answers of each set are drawn there and read by the paper's parser. Everywhere else a wrong
decision is bounded by the exact chances. Nothing is measured on the path of 20 disks unless its stratum is
named (`--strata run`). Read next: `panel_table.py`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from maker.workers.embedded.dialects.hanoi import DIALECT
from training import panel_table
from training.exact import LEADS, answers, exact
from training.lessons import hanoi as data
from training.lessons.hanoi import Steps

CHUNK = 10_000
"""States that are measured at a time, and then written."""
DOUBTFUL = 0.95
DRAWS = 200
STRATA = {"path19": 100_000, "rare19": 1, "path-unseen": 20_000, "tall-unseen": 200_000, "any-unseen": 50_000}
"""How many states, in whole chunks. path19: of the shortest solution of 19 disks, most of which training may
have seen; rare19: those of them about the moves of disk 8 and larger ones, all 12,285. path-unseen: held-out
ones of 16 to 19 disks. tall-unseen, any-unseen: held-out ones of 20 disks off the path."""
RUN = {"run": (1 << 20) - 1}
"""Every state of the solution of 20 disks."""


def chunk(stratum: str, at: int) -> list[Steps]:
    """The states of one chunk, always the same ones, by their number of disks: rows of one length."""
    rng = np.random.default_rng([sum(map(ord, stratum)), at])
    match stratum:
        case "run":
            return [data.path(20, np.arange(at, min(at + CHUNK, RUN["run"])))]
        case "path19":
            return [data.path(19, rng.integers(0, (1 << 19) - 1, CHUNK))]
        case "rare19":
            return [data.rare(19)]
        case "path-unseen":
            return [_unseen(rng, "path", disks, CHUNK // 4) for disks in range(16, 20)]
        case "tall-unseen":
            return [_unseen(rng, "sticky", 20, CHUNK)]
        case _:
            return [_unseen(rng, "uniform", 20, CHUNK)]


def _unseen(rng: np.random.Generator, kind: str, disks: int, count: int) -> Steps:
    drawn = data.draw(rng, kind, disks, 60 * count)
    return drawn.take(np.flatnonzero(data.held_out(drawn))[:count])


# -- the exact chances ---------------------------------------------------------------------------------


def search(file: Path, number: int, temperature: float, strata: dict[str, int]) -> None:
    """A chunk of each stratum in turn, so that a search that is cut short has looked at all of them."""
    done = {(line["stratum"], line["at"]) for line in lines(file)}
    for at in range(0, max(strata.values()), CHUNK):
        for stratum, count in strata.items():
            if at < count and (stratum, at) not in done:
                add(file, _searched(stratum, at, number, temperature))


def _searched(stratum: str, at: int, number: int, temperature: float) -> dict[str, Any]:
    rows = [data.rows(steps) for steps in chunk(stratum, at)]
    found = [exact(DIALECT, part, temperature, number) for part in rows]
    right = np.concatenate([one.right for one in found])
    sure = right >= DOUBTFUL
    wrong = {k: np.concatenate([one.wrong[k] for one in found]) for k in LEADS}
    return {
        "stratum": stratum,
        "at": at,
        "states": len(right),
        "error": float((1 - right).sum()),
        "greedy_wrong": int(sum((~one.greedy).sum() for one in found)),
        "below_half": int((right < 0.5).sum()),
        "doubtful": np.flatnonzero(~sure).tolist(),
        "wrong_elsewhere": {f"k{k}": float(wrong[k][sure].sum()) for k in LEADS},
    }


# -- the doubtful ones, drawn --------------------------------------------------------------------------


def draw(folder: Path, temperature: float) -> None:
    """Every state that is doubtful for any set, drawn by every set."""
    searched = {int(file.stem.removeprefix("set")): list(lines(file)) for file in folder.glob("set*.jsonl")}
    doubtful: dict[tuple[str, int], set[int]] = {}
    for line in (line for found in searched.values() for line in found):
        doubtful.setdefault((line["stratum"], line["at"]), set()).update(line["doubtful"])
    file = folder / "drawn.jsonl"
    done = {(line["stratum"], line["at"], line["state"], line["set"]) for line in lines(file)}
    for (stratum, at), states in sorted(doubtful.items()):
        for number in sorted(searched):
            missing = [state for state in sorted(states) if (stratum, at, state, number) not in done]
            for line in _drawn(stratum, at, missing, number, temperature):
                add(file, {"stratum": stratum, "at": at, "set": number} | line)


def _drawn(
    stratum: str, at: int, states: list[int], number: int, temperature: float
) -> Iterator[dict[str, Any]]:
    first = 0
    for steps in chunk(stratum, at):
        here = [state for state in states if first <= state < first + len(steps)]
        rows = data.rows(steps.take(np.array(here, int) - first))
        seen = answers(DIALECT, rows, _as_it_is, temperature, DRAWS, at + number, number)
        for state, texts in zip(here, seen, strict=True):
            yield {"state": state, "disks": steps.disks, "seen": texts}
        first += len(steps)


def _as_it_is(question: str, text: str) -> str:
    """Parsers come later."""
    return text


# -- files and the command -----------------------------------------------------------------------------


def lines(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        yield from map(json.loads, file.read_text().splitlines())


def add(file: Path, line: dict[str, Any]) -> None:
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=["search", "draw", "table"])
    asked.add_argument("folder", type=Path)
    asked.add_argument("number", type=int, nargs="?", default=1)
    asked.add_argument("--temperature", type=float, default=1.0)
    asked.add_argument("--strata", choices=["others", "run"], default="others")
    given = asked.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.what == "search":
        strata = STRATA if given.strata == "others" else RUN
        search(given.folder / f"set{given.number}.jsonl", given.number, given.temperature, strata)
    elif given.what == "draw":
        draw(given.folder, given.temperature)
    else:
        searched = {file.stem: list(lines(file)) for file in given.folder.glob("set*.jsonl")}
        drawn = list(lines(given.folder / "drawn.jsonl"))
        for row in (*panel_table.rows(searched, drawn), *panel_table.overlaps(drawn)):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
