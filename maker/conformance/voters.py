"""What every voter must keep, or draws are wasted and arrival order matters (`maker/voter.py` says why).

Ballots are filled as a chain fills them: exactly the wanted draws, in any order. Whether a rule is a good one
is not asked. Invariant: equal seeds play equal ballots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from random import Random

from maker.ballot import Ballot
from maker.conformance.finding import Finding, fail, ok, run_all
from maker.guard import guarded
from maker.voter import Decided, Voter, Want

ROUNDS = 200
"""Ballots that are played for a check."""

CAP = 100
"""Draws of one ballot: what the answers of a round are prepared for."""

Make = Callable[[], Voter]


@dataclass(frozen=True, slots=True)
class Played:
    key: str | None
    """Of the winner; None where the cap came first."""
    draws: int
    """Samples used."""


def check(make: Make) -> Iterator[Finding]:
    return run_all((name, partial(each, make)) for name, each in CHECKS.items())


def ends(make: Make) -> Finding:
    """A unanimous ballot is decided, for the answer that it is unanimous about."""
    played = _play(make(), ["a"] * CAP, Random(0))
    if isinstance(played, Finding):
        return played
    if played.key != '"a"':
        return fail(f"{played.draws} equal votes and no decision", "one within the cap of 100 draws")
    return ok(f"{played.draws} equal votes decide")


def begins(make: Make) -> Finding:
    """An empty ballot is not decided."""
    verdict = _decide(make(), Ballot(CAP))
    if not isinstance(verdict, Want) or not isinstance(verdict.votes, int) or verdict.votes < 1:
        return fail(f"an empty ballot gives {verdict!r}", "Want of at least 1 vote")
    return ok(f"an empty ballot wants {verdict.votes}")


def orderless(make: Make) -> Finding:
    """The same draws in another order decide the same with as many samples."""
    for seed in range(ROUNDS):
        said = _answers(seed)
        plays = [_play(make(), said, Random(order)) for order in range(3)]
        found = next((play for play in plays if isinstance(play, Finding)), None)
        if found:
            return found
        if len(set(plays)) > 1:
            return fail(
                f"the votes {''.join(said[:20])}... in three orders end in {plays}",
                "one end",
                "look at counts only, and let no n - 1 further votes decide after Want(n)",
            )
    return ok(f"{ROUNDS} ballots in three orders each end alike")


def wants(make: Make) -> Finding:
    """After Want(n), no n - 1 further votes decide."""
    for seed in range(ROUNDS):
        voter, ballot, wanted = make(), Ballot(CAP), 0
        for draw, text in enumerate(_answers(seed)):
            verdict = _decide(voter, ballot)
            if isinstance(verdict, Decided):
                if wanted > 0:
                    return fail(
                        f"a decision came {wanted} votes before it could", "Want the deficit", _DEFICIT
                    )
                break
            if not isinstance(verdict, Want):
                return fail(f"it gave {verdict!r}", "Decided or Want")
            wanted = max(wanted, verdict.votes) - 1
            _count(ballot, draw, text.replace("?", "a"))
    return ok(f"no decision came sooner than was wanted in {ROUNDS} ballots")


def pure(make: Make) -> Finding:
    """The same ballot gives the same verdict, from any instance, and is not changed."""
    one = make()
    for seed in range(ROUNDS):
        ballot = Ballot(CAP)
        for draw, text in enumerate(_answers(seed)[: seed % 7]):
            _count(ballot, draw, text)
        before = ballot.tally()
        verdicts = [_decide(voter, ballot) for voter in (one, one, make())]
        if ballot.tally() != before:
            return fail("decide changes the ballot", "it to stay as it is")
        if len({repr(verdict) for verdict in verdicts}) > 1:
            return fail(f"one ballot gives {verdicts}", "one verdict", "a voter keeps nothing between calls")
    return ok(f"{ROUNDS} ballots give the same verdict each time")


CHECKS: dict[str, Callable[[Make], Finding]] = {
    "begin": begins,
    "end": ends,
    "order": orderless,
    "deficit": wants,
    "pure": pure,
}
"""By name, in the order in which they are run."""

_DEFICIT = "each wanted draw is launched at once: a decision before they are in wastes votes"


def _answers(seed: int) -> list[str]:
    """What the draws of a ballot say; `?` is flagged."""
    return Random(seed).choices("aaaabc?", k=CAP)


def _play(voter: Voter, said: list[str], order: Random) -> Played | Finding:
    """One ballot as a chain plays it, the wanted draws coming in in some order."""
    ballot, waiting, used = Ballot(CAP), list[int](), 0
    while isinstance(verdict := _decide(voter, ballot), Want):
        waiting += ballot.want(verdict.votes)
        if not waiting:
            return Played(None, used)
        draw = waiting.pop(order.randrange(len(waiting)))
        used += 1
        if said[draw] == "?":
            ballot.flag(draw, "malformed")
        else:
            ballot.vote(draw, f'"{said[draw]}"', said[draw])
    if not isinstance(verdict, Decided) or verdict.key not in ballot.answers:
        return fail(f"it gave {verdict!r}", "Want, or Decided with the key of an answer that has votes")
    return Played(verdict.key, used)


def _count(ballot: Ballot, draw: int, text: str) -> None:
    ballot.wanted.add(draw)
    if text == "?":
        ballot.flag(draw, "malformed")
    else:
        ballot.vote(draw, f'"{text}"', text)


def _decide(voter: Voter, ballot: Ballot) -> Decided | Want:
    return guarded("the voter", None, voter.decide, ballot)
