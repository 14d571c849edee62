"""From what was searched and drawn (`panels.py`) to what each panel of the sets does, stratum by stratum.

Pure arithmetic. A panel's answers are its members' in equal parts, as drawing in turn makes them. Where no
member is doubtful, a panel's chance of a wrong decision is at most the mean of its members' own, for it is
convex in the rival's share.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations, combinations_with_replacement
from typing import Any, TypeAlias

from maker.decomposers.hanoi import wording
from maker.nouns import RedFlag
from training.exact import LEADS

Seen: TypeAlias = Mapping[str, float]
"""How often each response came, `right` or its text."""
Line: TypeAlias = Mapping[str, Any]
State: TypeAlias = tuple[str, int, int, int]
"""Its stratum, its disks, its chunk, and its number there."""


def rows(searched: Mapping[str, list[Line]], drawn: list[Line]) -> Iterator[dict[str, Any]]:
    """A row for every panel and stratum; `searched` by name of the set: set1, set2, ..."""
    sets = sorted(int(name.removeprefix("set")) for name in searched)
    states = _by_state(drawn)
    for stratum in dict.fromkeys(line["stratum"] for line in searched[f"set{sets[0]}"]):
        found = {n: [line for line in searched[f"set{n}"] if line["stratum"] == stratum] for n in sets}
        here = {state: seen for state, seen in states.items() if state[0] == stratum}
        for size in range(1, len(sets) + 1):
            for panel in combinations(sets, size):
                yield _row(stratum, panel, found, here)


def _by_state(drawn: list[Line]) -> dict[State, dict[int, Seen]]:
    """What each set, by its number, said at each state."""
    states: defaultdict[State, dict[int, Seen]] = defaultdict(dict)
    for line in drawn:
        states[line["stratum"], line["disks"], line["at"], line["state"]][line["set"]] = line["seen"]
    return states


def _row(
    stratum: str,
    panel: tuple[int, ...],
    found: Mapping[int, list[Line]],
    drawn: Mapping[State, Mapping[int, Seen]],
) -> dict[str, Any]:
    counted = [line for number in panel for line in found[number]]
    looked = sum(line["states"] for line in found[panel[0]])
    plain = {state: _mixed(panel, seen) for state, seen in drawn.items()}
    flagged = [_valid(answers, disks) for (_, disks, _, _), answers in plain.items()]
    sure = {k: sum(line["wrong_elsewhere"][f"k{k}"] for line in counted) / len(panel) for k in LEADS}
    return {
        "stratum": stratum,
        "panel": panel,
        "states": looked,
        "error": sum(line["error"] for line in counted) / len(panel) / looked,
        "doubtful": len(plain),
        "majority_wrong": sum(map(majority_wrong, flagged)),
        "majority_wrong_plain": sum(map(majority_wrong, plain.values())),
        "fewest_valid": min((sum(one.values()) for one in flagged), default=1.0),
        "wrong_decisions": {f"k{k}": sure[k] + sum(ruin(one, k) for one in flagged) for k in LEADS},
    }


def overlaps(drawn: list[Line]) -> Iterator[dict[str, Any]]:
    """For every two sets (and each with itself): do they err at the same states, and in the same way?

    both_mostly_wrong: states where each has a wrong majority. same_if_both_wrong: of pairs of wrong answers,
    one of each set at one state, those that are the same.
    """
    states = _by_state(drawn)
    sets = sorted({line["set"] for line in drawn})
    for pair in combinations_with_replacement(sets, 2):
        row: dict[str, Any] = {"sets": pair}
        for parser, heed in (("plain", False), ("paper", True)):
            shares = [_pair(pair, seen, disks if heed else None) for (_, disks, _, _), seen in states.items()]
            both, same = sum(share[1] for share in shares), sum(share[2] for share in shares)
            row[f"both_mostly_wrong_{parser}"] = sum(share[0] for share in shares)
            row[f"same_if_both_wrong_{parser}"] = same / both if both else None
        yield row


def _pair(pair: tuple[int, int], seen: Mapping[int, Seen], disks: int | None) -> tuple[bool, float, float]:
    """Whether both are mostly wrong; the chances that one answer of each is wrong, and the same."""
    one, other = [_mixed((number,), seen) for number in pair]
    if disks is not None:
        one, other = _of_valid(one, disks), _of_valid(other, disks)
    wrong = [sum(share for answer, share in each.items() if answer != "right") for each in (one, other)]
    same = sum(share * other[answer] for answer, share in one.items() if answer != "right")
    return majority_wrong(one) and majority_wrong(other), wrong[0] * wrong[1], same


def _of_valid(texts: Seen, disks: int) -> Counter[str]:
    valid = _valid(texts, disks)
    total = sum(valid.values())
    return Counter({answer: share / total for answer, share in valid.items()})  # type: ignore[arg-type]


def _mixed(panel: tuple[int, ...], seen: Mapping[int, Seen]) -> Counter[str]:
    """Shares of the responses of a panel at one state, as a parser that takes anything sees them."""
    mixed: Counter[str] = Counter()
    for number in panel:
        total = sum(seen[number].values()) * len(panel)
        for text, count in seen[number].items():
            mixed[text] += count / total  # type: ignore[assignment]
    return mixed


def _valid(texts: Seen, disks: int) -> Counter[str]:
    """By the paper's parser: texts that say the same are one answer, and the malformed are none."""
    answers: Counter[str] = Counter()
    for text, share in texts.items():
        try:
            answer = text if text == "right" else repr(wording.parse(text, disks))
        except RedFlag:
            continue
        answers[answer] += share  # type: ignore[assignment]
    return answers


def majority_wrong(answers: Seen) -> bool:
    """Some wrong answer is at least as frequent as the right one."""
    right = answers.get("right", 0.0)
    return any(share >= right for answer, share in answers.items() if answer != "right")


def ruin(answers: Seen, k: int) -> float:
    """Chance that a wrong answer gets ahead by k first: gambler's ruin against each rival, added up."""
    right = answers.get("right", 0.0)
    rivals = [share for answer, share in answers.items() if answer != "right" and share > 0]
    if k == 1:
        return 1 - right / (right + sum(rivals)) if rivals else 0.0
    return min(1.0, sum(1 / (1 + (right / share) ** k) for share in rivals))
