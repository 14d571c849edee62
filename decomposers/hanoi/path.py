"""The optimal path of the Towers of Hanoi: the next move by the paper's rule, any state by closed form.

All n disks go from peg 0 to peg 2. Disk 1 is the smallest; a peg lists its disks bottom to top.
"""

from __future__ import annotations

from typing import TypeAlias

Pegs: TypeAlias = list[list[int]]
Move: TypeAlias = list[int]
"""[disk, from peg, to peg]"""


def direction(disks: int) -> int:
    """Where disk 1 goes each time: +1 is 0 -> 1 -> 2 -> 0.

    The paper's rule (appendix C) says +1, which reaches peg 2 for even numbers of disks only;
    odd numbers need the other way round.
    """
    return 1 if disks % 2 == 0 else -1


def next_move(pegs: Pegs, previous: Move | None) -> Move:
    """The paper's strategy: every other move is disk 1's, the rest are the only legal one without it."""
    here = next((peg for peg in range(3) if pegs[peg] and pegs[peg][-1] == 1), 0)
    if previous is None or previous[0] != 1:
        return [1, here, (here + direction(sum(map(len, pegs)))) % 3]
    left, right = (peg for peg in range(3) if peg != here)
    if not pegs[left] or (pegs[right] and pegs[right][-1] < pegs[left][-1]):
        left, right = right, left
    return [pegs[left][-1] if pegs[left] else 1, left, right]


def apply(pegs: Pegs, move: Move) -> Pegs:
    """The pegs after a move; whether it is legal is not asked here."""
    disk, source, target = move
    after = [list(peg) for peg in pegs]
    if after[source]:
        after[source].pop()
    after[target].append(disk)
    return after


def walk(pegs: Pegs, previous: Move | None, moves: int) -> tuple[list[Move], Pegs]:
    """So many moves of the strategy from here on, and the pegs after them."""
    made: list[Move] = []
    for _ in range(moves):
        previous = next_move(pegs, previous)
        pegs = apply(pegs, previous)
        made.append(previous)
    return made, pegs


def pegs_after(disks: int, moves: int) -> Pegs:
    """The pegs after so many moves of the optimal path, without walking it."""
    pegs: Pegs = [[], [], []]
    for disk in range(disks, 0, -1):
        pegs[_peg(disks, disk, moves)].append(disk)
    return pegs


def move_number(disks: int, number: int) -> Move | None:
    """Move `number` of the optimal path, 1-based; None for 0, which is no move."""
    if number == 0:
        return None
    disk = (number & -number).bit_length()
    return [disk, _peg(disks, disk, number - 1), _peg(disks, disk, number)]


def _peg(disks: int, disk: int, moves: int) -> int:
    """Disk d moves at every 2**d-th move, always the same way round; the largest goes straight to 2."""
    times = (moves + (1 << (disk - 1))) >> disk
    way = -1 if (disks - disk) % 2 == 0 else 1
    return (way * times) % 3
