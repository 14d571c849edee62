"""The Towers of Hanoi, one move a step: the paper's task (MAKER, section 4.1 and appendix C).

A state is {"previous": move or null, "pegs": [[...], [...], [...]]}, an answer is
{"move": [disk, from, to], "next_state": [[...], [...], [...]]}. With several moves a step it is
{"moves": [[disk, from, to], ...], "next_state": ...}, and the last step of a segment may have fewer. Votes
are on the whole answer, and the next state is the model's own, as in the paper: the code never computes it.
Read next: `wording.py` (prompt and parser; `several.py` for several moves), `path.py` (the strategy),
`referee.py` (the verifier).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from random import Random
from typing import Literal

from maker.decomposers.hanoi import path, several, wording
from maker.decomposers.hanoi.referee import Referee
from maker.errors import JoinError, UsageError
from maker.nouns import Json, Message, Prompt, Segment, Step

MAX_TOKENS = 750
"""The paper's cap on a response, in tokens a move (appendix C): longer answers err more."""

EMBEDDED_DISKS = {1: 20, 2: 10, 3: 10, 4: 10}
"""The most that the model in the package was trained on, by moves a step."""


class Hanoi:
    """Moves `first` to `last` of the 2**disks - 1, as one chain or cut at evenly spaced waypoints.

    disks: 1 or more. check: `legal` flags a transition that breaks the rules (the paper has no such
    check). waypoints: number of segments; their first states come from the closed form, and stitching
    checks that each segment ends where the next began. first, last: moves done before and at the end,
    0 <= first < last <= 2**disks - 1. moves: of one step, 1 or more; one is the paper's, more make fewer and
    less certain steps (docs/results/steps-per-call.md).
    """

    version = "1"

    def __init__(
        self,
        disks: int = 10,
        check: Literal["none", "legal"] = "none",
        waypoints: int = 1,
        first: int = 0,
        last: int | None = None,
        moves: int = 1,
    ) -> None:
        if disks < 1 or moves < 1:
            raise UsageError(f"hanoi: disks={disks}, moves={moves}; expected 1 or more")
        end = (1 << disks) - 1 if last is None else last
        if not 0 <= first < end <= (1 << disks) - 1:
            raise UsageError(
                f"hanoi: first={first}, last={end}; expected 0 <= first < last <= {(1 << disks) - 1}"
            )
        if not 1 <= waypoints <= end - first:
            raise UsageError(f"hanoi: waypoints={waypoints}, expected 1 to {end - first} (one per move)")
        self.disks, self.moves, self.legal = disks, moves, check == "legal"
        self.model = "embedded" if disks <= EMBEDDED_DISKS.get(moves, 0) else None
        self.cuts = [first + (end - first) * i // waypoints for i in range(waypoints + 1)]
        self.steps = sum(-(-(cut - before) // moves) for before, cut in pairwise(self.cuts))
        self._single = moves == 1
        self._rules = Message("system", (wording if self._single else several).rules(disks))

    # -- the chain ---------------------------------------------------------------------------------

    def segments(self) -> Iterator[Segment]:
        for number, start in enumerate(self.cuts[:-1]):
            yield Segment(self._name(number), self._state_after(start))

    def prompt(self, step: Step) -> Prompt | None:
        wanted = self._wanted(step)
        if wanted <= 0:
            return None
        question = self._question(step.state["pegs"], step.state["previous"], wanted)
        return Prompt((self._rules, Message("user", question)), MAX_TOKENS * wanted)

    def parse(self, step: Step, text: str) -> Json:
        if self._single:
            move, pegs = wording.parse(text, self.disks)
            return {"move": move, "next_state": pegs}
        moves, pegs = several.parse(text, self.disks, self._wanted(step))
        return {"moves": moves, "next_state": pegs}

    def check(self, step: Step, answer: Json) -> bool | str:
        if not self.legal:
            return True
        return Referee(step.state["pegs"]).judge(answer) is None or "illegal"

    def advance(self, step: Step, answer: Json) -> Json:
        previous = answer["move"] if self._single else answer["moves"][-1]
        return {"previous": previous, "pegs": answer["next_state"]}

    # -- the result --------------------------------------------------------------------------------

    def stitch(self, finals: Mapping[str, Json]) -> Json:
        """The last pegs; JoinError where a segment does not end where the next one began."""
        segments = list(self.segments())
        for here, after in pairwise(segments):
            if finals[here.id] != after.state:
                raise JoinError(f"segment {here.id} does not end where segment {after.id} begins")
        return {"pegs": finals[segments[-1].id]["pegs"], "moves": self.cuts[-1] - self.cuts[0]}

    def verify(self, decided: Iterable[tuple[str, int, Json]]) -> bool | str:
        """Judge the whole run by the rules, move by move, from the first pegs to the last."""
        referee = Referee(path.pegs_after(self.disks, self.cuts[0]))
        wrong = referee.fault(answer for _, _, answer in decided)
        if wrong:
            return wrong
        if referee.moves != self.cuts[-1] - self.cuts[0]:
            return f"{referee.moves} moves made, expected {self.cuts[-1] - self.cuts[0]}"
        if self.cuts[-1] == (1 << self.disks) - 1:
            return referee.solved() or "not all disks are on peg 2"
        return referee.pegs == path.pegs_after(self.disks, self.cuts[-1]) or "left the shortest path"

    # -- the truth, for models that are simulated and for measuring ---------------------------------

    def truth(self, step: Step) -> str:
        """The text of a right answer; behind a segment's end, of one more move."""
        wanted = max(1, self._wanted(step))
        return self._text(*path.walk(step.state["pegs"], step.state["previous"], wanted))

    def mistake(self, step: Step, rank: int) -> str:
        """The text of a well-formed answer that is wrong in its last move.

        Ranks tell wrong answers apart, legal moves come first.
        """
        done, pegs = path.walk(step.state["pegs"], step.state["previous"], self._wanted(step) - 1)
        right = path.next_move(pegs, done[-1] if done else step.state["previous"])
        moves = [
            [pegs[source][-1], source, target]
            for source in range(3)
            for target in range(3)
            if source != target and pegs[source]
        ]
        wrong = [move for move in moves if move != right]
        legal = [m for m in wrong if not pegs[m[2]] or pegs[m[2]][-1] > m[0]]
        ranked = legal + [move for move in wrong if move not in legal]
        chosen = ranked[rank % len(ranked)]
        return self._text([*done, chosen], path.apply(pegs, chosen))

    def kind(self, step: Step) -> str:
        """Which disk is to move (first): large ones rarely do, and smaller ones lie on one peg then."""
        disk = path.next_move(step.state["pegs"], step.state["previous"])[0]
        return f"disk {disk:0{len(str(self.disks))}}"

    def sample(self, rng: Random, count: int) -> Iterator[Step]:
        """Steps from anywhere on the path, all different."""
        chosen: dict[int, None] = {}
        while len(chosen) < min(count, self.steps):
            chosen[rng.randrange(self.steps)] = None
        ends = list(accumulate(-(-(cut - before) // self.moves) for before, cut in pairwise(self.cuts)))
        for number in chosen:
            segment = bisect_right(ends, number)
            index = number - (ends[segment - 1] if segment else 0)
            state = self._state_after(self.cuts[segment] + index * self.moves)
            yield Step(self._name(segment), index, state)

    # -- one move a step, or several ----------------------------------------------------------------

    def _question(self, pegs: path.Pegs, previous: path.Move | None, wanted: int) -> str:
        if self._single:
            return wording.question(self.disks, pegs, previous)
        return several.question(self.disks, pegs, previous, wanted)

    def _text(self, moves: list[path.Move], pegs: path.Pegs) -> str:
        return wording.write(moves[0], pegs) if self._single else several.write(moves, pegs)

    def _wanted(self, step: Step) -> int:
        """Moves of this step; 0 or less behind the last one of its segment."""
        number = int(step.segment)
        return min(self.moves, self.cuts[number + 1] - self.cuts[number] - self.moves * step.index)

    def _state_after(self, moves: int) -> Json:
        return {
            "previous": path.move_number(self.disks, moves),
            "pegs": path.pegs_after(self.disks, moves),
        }

    def _name(self, number: int) -> str:
        """Of a segment."""
        return f"{number:0{len(str(len(self.cuts)))}}"
