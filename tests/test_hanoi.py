"""Hanoi is right for odd and even disks, its parser is the paper's, and no wrong move passes."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maker.decomposers.hanoi import Hanoi, path, wording
from maker.errors import JoinError, UsageError
from maker.nouns import Json, RedFlag, Step


def walk(task: Hanoi) -> tuple[list[tuple[str, int, Json]], dict[str, Json]]:
    """Every step answered right: (decided, final states)."""
    decided, finals = [], {}
    for segment in task.segments():
        step = Step(segment.id, 0, segment.state)
        while task.prompt(step):
            answer = task.parse(step, task.truth(step))
            assert task.check(step, answer) is True
            decided.append((segment.id, step.index, answer))
            step = Step(segment.id, step.index + 1, task.advance(step, answer))
        finals[segment.id] = step.state
    return decided, finals


@pytest.mark.parametrize("disks", range(1, 13))
@pytest.mark.parametrize("waypoints", [1, 3, 64])
def test_the_procedure_solves_odd_and_even_disks(disks: int, waypoints: int) -> None:
    task = Hanoi(disks, check="legal", waypoints=min(waypoints, 2**disks - 1))
    decided, finals = walk(task)
    assert len(decided) == task.steps == 2**disks - 1
    assert task.verify(decided) is True
    assert task.stitch(finals)["pegs"] == [[], [], list(range(disks, 0, -1))]


@pytest.mark.parametrize("disks", [1, 2, 5, 8, 20])
def test_the_closed_form_is_where_the_procedure_comes_by(disks: int) -> None:
    pegs, previous = path.pegs_after(disks, 0), None
    for number in range(1, min(2**disks, 600)):
        previous = path.next_move(pegs, previous)
        pegs = path.apply(pegs, previous)
        assert (previous, pegs) == (path.move_number(disks, number), path.pegs_after(disks, number))


def test_a_part_of_the_path_is_verified_too() -> None:
    task = Hanoi(10, first=300, last=500, waypoints=7)
    decided, finals = walk(task)
    assert len(decided) == 200
    assert task.verify(decided) is True
    assert task.stitch(finals)["moves"] == 200


def test_no_planted_fault_passes_the_judge() -> None:
    task, random = Hanoi(6), Random(0)
    decided, _ = walk(task)
    steps = list(replay(task, decided))
    for _ in range(300):
        at = random.randrange(len(decided))
        name, index, answer = decided[at]
        wrong = random.choice(faults(task, steps[at], answer))
        assert wrong != answer
        planted = [*decided[:at], (name, index, wrong), *decided[at + 1 :]]
        assert task.verify(planted) is not True, (at, wrong)
    for at in range(len(decided)):
        assert task.verify(decided[:at] + decided[at + 1 :]) is not True
        assert task.verify([*decided[: at + 1], decided[at], *decided[at + 1 :]]) is not True
    for at in range(len(decided) - 1):
        swapped = [*decided[:at], decided[at + 1], decided[at], *decided[at + 2 :]]
        assert task.verify(swapped) is not True


def replay(task: Hanoi, decided: list[tuple[str, int, Json]]):
    state = next(iter(task.segments())).state
    for name, index, answer in decided:
        yield Step(name, index, state)
        state = task.advance(Step(name, index, state), answer)


def faults(task: Hanoi, step: Step, answer: Json) -> list[Json]:
    """Well-formed wrong answers: other moves, and the right move with other pegs."""
    mistakes = [task.parse(step, task.mistake(step, rank)) for rank in range(5)]
    pegs = [list(peg) for peg in answer["next_state"]]
    tallest = max(pegs, key=len)
    tallest[0], tallest[-1] = tallest[-1], tallest[0]
    turned = {"move": answer["move"], "next_state": answer["next_state"][::-1]}
    swapped = {"move": answer["move"], "next_state": pegs}
    return [fault for fault in (*mistakes, turned, swapped) if fault != answer]


def test_a_check_for_legal_moves_flags_what_the_papers_parser_lets_through() -> None:
    plain, strict = Hanoi(4), Hanoi(4, check="legal")
    step = Step("0", 1, {"previous": [1, 0, 1], "pegs": [[4, 3, 2], [1], []]})
    onto_smaller = {"move": [2, 0, 1], "next_state": [[4, 3], [1, 2], []]}
    assert plain.parse(step, wording.write([2, 0, 1], [[4, 3], [1, 2], []])) == onto_smaller
    assert plain.check(step, onto_smaller) is True
    assert strict.check(step, onto_smaller) == "illegal"
    assert strict.check(step, {"move": [2, 0, 2], "next_state": [[4, 3], [1], [2]]}) is True


def test_mistakes_are_well_formed_and_wrong() -> None:
    task = Hanoi(5)
    for step in replay(task, walk(task)[0]):
        right = task.parse(step, task.truth(step))
        wrong = [task.parse(step, task.mistake(step, rank)) for rank in range(3)]
        assert right not in wrong
        assert len({str(answer) for answer in wrong}) >= 1


def test_segments_that_do_not_join_are_not_stitched() -> None:
    task = Hanoi(4, waypoints=3)
    _, finals = walk(task)
    finals["1"] = finals["0"]
    with pytest.raises(JoinError, match="segment 1 does not end where segment 2 begins"):
        task.stitch(finals)


GOOD = "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.upper().replace("MOVE", "Move"),
        "I think move = [9, 9, 9] and next_state = [[1],[2],[3]]. No:\n" + GOOD,
        "move=[1,0,2] next_state=[[3,2],[],[1]]",
        "move\n=\n[ 1 , 0 , 2 ]\nnext_state = [\n[3, 2],\n[ ],\n[1]\n]",
        GOOD + "\nDone.",
    ],
)
def test_the_last_move_and_state_of_a_response_count(text: str) -> None:
    assert wording.parse(text, 3) == ([1, 0, 2], [[3, 2], [], [1]])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "move = [1, 0, 2]",
        "next_state = [[3, 2], [], [1]]",
        "move = [1, 0]\nnext_state = [[3, 2], [], [1]]",
        "move = [1, 0, 2.0]\nnext_state = [[3, 2], [], [1]]",
        "move = [1, 0, '2']\nnext_state = [[3, 2], [], [1]]",
        "move = [１, 0, 2]\nnext_state = [[3, 2], [], [1]]",
        "move = [1, 0, 2]\nnext_state = [[3, 2], [1]]",
        "move = [1, 0, 2]\nnext_state = [[3, 2], [], [], [1]]",
        "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]",
        "move = [1, 0, 2]\nnext_state = [[3], [], [1]]",
        "move = [1, 0, 2]\nnext_state = [[3, 2, 2], [], [1]]",
        "move = [1, 0, 2]\nnext_state = [[4, 2], [], [1]]",
        "move = [1, 0, 2]\nnext_state = [[3, 2], [], [1]]\nnext_state = [[",
    ],
)
def test_what_is_not_well_formed_is_flagged(text: str) -> None:
    with pytest.raises(RedFlag, match="malformed"):
        wording.parse(text, 3)


PIECES = st.sampled_from(
    ["move = [", "next_state = [[", "], [", "]]", "1", ", ", " ", "\n", "=", "[" * 50, "9" * 400]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=60).map("".join))
def test_any_text_is_an_answer_or_a_red_flag(text: str) -> None:
    with suppress(RedFlag):
        wording.parse(text, 3)


@pytest.mark.parametrize(
    "text", ["move = [" * 20_000, "next_state = [" + "[" * 100_000, "move =" + " " * 200_000]
)
def test_hostile_texts_are_read_in_bounded_time(text: str) -> None:
    with pytest.raises(RedFlag):
        wording.parse(text, 20)


@pytest.mark.parametrize(
    "options", [{"disks": 0}, {"disks": 3, "first": 7}, {"disks": 3, "last": 8}, {"disks": 3, "waypoints": 8}]
)
def test_parameters_that_make_no_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Hanoi(**options)


def test_the_prompt_tells_odd_and_even_their_own_way_round() -> None:
    even, odd = (next(iter(Hanoi(disks).segments())) for disks in (4, 5))
    for disks, segment, order in ((4, even, "0 -> 1 -> 2 -> 0"), (5, odd, "0 -> 2 -> 1 -> 0")):
        prompt = Hanoi(disks).prompt(Step("0", 0, segment.state))
        assert prompt is not None
        assert order in prompt.messages[1].content
        assert prompt.messages[1].content.endswith(f"current_state = {segment.state['pegs']}")
