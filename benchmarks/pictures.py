"""Pictures of what benchmarks have stored, in docs/results: `python -m benchmarks.pictures`.

It measures nothing. A picture that has no figures yet is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.record import RESULTS

PICTURES = Path(__file__).parent.parent / "docs" / "results"
Rows = list[dict[str, Any]]

SERIAL, ROUNDS, UNVOTED = 3.0, {0.5: 1.46, 1.0: 1.92}, 1.0
"""Mean latencies a step at k = 3: one vote after the other, the deficit at once, no vote at all."""


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    for name, draw in _DRAWN.items():
        stored = RESULTS / f"{name}.json"
        if stored.exists():
            kept = json.loads(stored.read_text(encoding="utf-8"))
            _picture(name, draw, kept)
            print(f"docs/results/{name}.svg")


def _picture(name: str, draw: Callable[[Axes, Rows], None], kept: dict[str, Any]) -> None:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    draw(axes, kept["rows"])
    axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(f"{kept['command']}, {kept['date']}, commit {kept['commit']}", fontsize=7, color="gray")
    with mpl.rc_context({"svg.hashsalt": "maker"}):  # the same figures, the same file
        figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None})


def latency(axes: Axes, rows: Rows) -> None:
    """Mean latencies a step by window, beside what needs no window."""
    windows = list(dict.fromkeys(row["window"] for row in rows))
    names = ["serial", "rounds", *(f"window {each}" for each in windows)]
    for number, sigma in enumerate(sorted({row["sigma"] for row in rows})):
        found = {row["window"]: row["latencies/step"] for row in rows if row["sigma"] == sigma}
        heights = [SERIAL, ROUNDS[sigma], *(found[each] for each in windows)]
        places = [place + 0.4 * number - 0.2 for place in range(len(names))]
        axes.bar_label(axes.bar(places, heights, 0.36, label=f"sigma {sigma}"), fmt="%.2f", fontsize=8)
    axes.axhline(UNVOTED, color="black", linewidth=1, linestyle="--")
    axes.text(len(names) - 0.5, UNVOTED, "no vote", ha="right", va="bottom", fontsize=8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("mean latencies a step")
    axes.legend(frameon=False)


def chain(axes: Axes, rows: Rows) -> None:
    """CPU a step, from the paper's loop to all of the machinery."""
    bars = axes.barh([row["way"] for row in rows][::-1], [row["us/step"] for row in rows][::-1])
    axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xlabel("CPU microseconds a step")


def http(axes: Axes, rows: Rows) -> None:
    """CPU a step over HTTP, of one chain."""
    alone = [row for row in rows if row["chains"] == 1]
    names = [f"{row['way']}, {row['client']}, {row['requests']}" for row in alone]
    bars = axes.barh(names[::-1], [row["us/step"] for row in alone][::-1])
    axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xlabel("CPU microseconds a step")


def embedded(axes: Axes, rows: Rows) -> None:
    """Steps a core second of the embedded model, of one chain and of many."""
    names = [f"{row['way']}, {row['chains']} at a time" for row in rows]
    bars = axes.barh(names[::-1], [row["steps per core-second"] for row in rows][::-1])
    axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xlabel("steps a core second")


def steps_per_call(axes: Axes, rows: Rows) -> None:
    """What a move costs by the moves of a call: measured, and by the paper's equations."""
    moves = list(dict.fromkeys(row["moves"] for row in rows))
    for color, p in zip(("C0", "C1"), sorted({row["p"] for row in rows}, reverse=True), strict=True):
        own = [row for row in rows if row["p"] == p]
        for cost, line in (("cost/move", "-"), ("calls/move", ":")):
            axes.plot(
                moves, [row[f"{cost}, law"] for row in own], line, color=color, label=f"{cost}, p = {p}"
            )
            axes.plot(moves, [row[cost] for row in own], "o", color=color, markersize=4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(moves, list(map(str, moves)))
    axes.set_xlabel("moves a call; lines: the law, dots: runs")
    axes.legend(frameon=False, fontsize=8)


def steps_per_call_embedded(axes: Axes, rows: Rows) -> None:
    """What a move costs at k = 3, as a share of what it costs with one move a call."""
    own = [row for row in rows if row["k"] == 3]
    moves = [row["moves"] for row in own]
    for cost in ("cost/move", "calls/move", "tokens in/move", "tokens out/move", "CPU ms/move"):
        axes.plot(moves, [row[cost] / own[0][cost] for row in own], "o-", label=cost)
    axes.set_ylim(bottom=0)
    axes.set_xticks(moves)
    axes.set_xlabel("moves a call")
    axes.set_ylabel("of one move a call")
    axes.legend(frameon=False, fontsize=8)


def growth(axes: Axes, rows: Rows) -> None:
    """What a run costs at each length, by the shortest one's: flat is 1."""
    steps = [row["steps"] for row in rows]
    for name in ("RSS MiB", "written us", "synced ms", "status ms", "resume ms"):
        axes.plot(steps, [row[name] / rows[0][name] for row in rows], marker="o", label=name)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("dependent steps")
    axes.set_ylabel(f"times that of {steps[0]:,} steps")
    axes.legend(frameon=False)


def law(axes: Axes, rows: Rows) -> None:
    """Runs that were solved, by k and temperature, beside the paper's law and the product of the steps'."""
    for number, heat in enumerate(sorted({row["temperature"] for row in rows})):
        found = sorted((row for row in rows if row["temperature"] == heat), key=lambda row: row["k"])
        leads, colour = [row["k"] for row in found], f"C{number}"
        shares = [row["solved"] / row["runs"] for row in found]
        spread = [
            [abs(share - row[end]) for share, row in zip(shares, found, strict=True)]
            for end in ("low", "high")
        ]
        places = [lead + 0.08 * number - 0.12 for lead in leads]
        label = f"temperature {heat}: {100 * found[0]['error']:.2g} % wrong"
        axes.errorbar(places, shares, yerr=spread, fmt="o", color=colour, capsize=3, label=label)
        axes.plot(leads, [row["theory"] for row in found], ":", color=colour)
        axes.plot(leads, [row["own_p"] for row in found], "-", color=colour, linewidth=1)
    axes.set_xticks(sorted({row["k"] for row in rows}))
    axes.set_xlabel("k")
    axes.set_ylabel("runs of 1,023 steps that are solved")
    axes.legend(frameon=False, fontsize=8, title="points: measured; dotted: one p; line: each step's own")


_DRAWN = {
    "latency-inline": latency,
    "latency-ray": latency,
    "chain": chain,
    "http": http,
    "embedded": embedded,
    "growth": growth,
    "law-success": law,
    "steps-per-call-sim": steps_per_call,
    "steps-per-call-embedded": steps_per_call_embedded,
}


if __name__ == "__main__":
    main()
