"""How sure each set of weights is when a large disk of a tall tower moves, which random samples hardly meet.

    python -m training.rare_moves 19 1 2 3

Disk d moves once in 2**d steps of the shortest solution, so of a million steps 64 move disk 14. A line for
every disk: exact chances of the right answer at temperature 1.0, over all its moves or 1,500 random ones.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from maker.workers.embedded.dialects.hanoi import DIALECT
from training.exact import exact
from training.lessons import hanoi as data

MOST = 1500


def line(disks: int, disk: int, number: int) -> dict[str, object]:
    """Of one disk's moves, by one set."""
    moves = ((2 * np.arange(1 << (disks - disk)) + 1) << (disk - 1)) - 1
    if len(moves) > MOST:
        moves = np.random.default_rng(disk).choice(moves, MOST, replace=False)
    right = exact(DIALECT, data.rows(data.path(disks, moves)), 1.0, number).right
    return {
        "disks": disks,
        "disk": disk,
        "set": number,
        "states": len(moves),
        "error": float(f"{np.mean(1 - right):.3g}"),
        "below_half": int((right < 0.5).sum()),
        "lowest": float(f"{right.min():.3g}"),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("disks", type=int)
    asked.add_argument("sets", type=int, nargs="+")
    given = asked.parse_args()
    for disk in range(1, given.disks + 1):
        for number in given.sets:
            print(json.dumps(line(given.disks, disk, number)), flush=True)


if __name__ == "__main__":
    main()
