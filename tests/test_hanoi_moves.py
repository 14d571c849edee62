"""Several Hanoi moves a step: any number of them, odd lengths and waypoints; no wrong answer passes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker.decomposers.hanoi import EMBEDDED_DISKS, Hanoi, path, several
from maker.errors import UsageError
from maker.nouns import Json, Message, RedFlag, Step
from maker.workers.embedded.dialects import find, hanoi, hanoi_moves


def walk(task: Hanoi) -> tuple[list[tuple[Step, Json]], dict[str, Json]]:
    """Every step answered right, and the final states."""
    decided, finals = [], {}
    for segment in task.segments():
        step = Step(segment.id, 0, segment.state)
        while task.prompt(step):
            answer = task.parse(step, task.truth(step))
            assert task.check(step, answer) is True
            decided.append((step, answer))
            step = Step(segment.id, step.index + 1, task.advance(step, answer))
        finals[segment.id] = step.state
    return decided, finals


def judged(task: Hanoi, answers: list[Json]) -> bool | str:
    return task.verify(("", 0, answer) for answer in answers)


@st.composite
def tasks(draw: st.DrawFn) -> Hanoi:
    disks, moves = draw(st.integers(1, 7)), draw(st.integers(2, 20))
    first = draw(st.integers(0, 2**disks - 2))
    last = draw(st.integers(first + 1, 2**disks - 1))
    waypoints = draw(st.integers(1, last - first))
    return Hanoi(disks, check="legal", waypoints=waypoints, first=first, last=last, moves=moves)


@given(tasks())
@settings(max_examples=80, deadline=None)
def test_any_part_of_the_path_is_solved_with_any_number_of_moves_a_step(task: Hanoi) -> None:
    decided, finals = walk(task)
    assert len(decided) == task.steps
    assert judged(task, [answer for _, answer in decided]) is True
    made = [move for _, answer in decided for move in answer["moves"]]
    assert made == [path.move_number(task.disks, at + 1) for at in range(task.cuts[0], task.cuts[-1])]
    assert task.stitch(finals) == {"pegs": path.pegs_after(task.disks, task.cuts[-1]), "moves": len(made)}


@pytest.mark.parametrize(
    ("moves", "waypoints", "lengths"),
    [(2, 1, [2, 2, 2, 1]), (4, 1, [4, 3]), (9, 1, [7]), (2, 3, [2, 2, 2, 1])],
)
def test_the_last_step_of_a_segment_has_what_is_left(moves: int, waypoints: int, lengths: list[int]) -> None:
    task = Hanoi(3, moves=moves, waypoints=waypoints)
    decided, _ = walk(task)
    assert [len(answer["moves"]) for _, answer in decided] == lengths
    for step, answer in decided:
        prompt = task.prompt(step)
        assert prompt is not None
        assert prompt.messages[-1].content.endswith(f"\nmoves_to_make = {len(answer['moves'])}")
        assert prompt.max_tokens == 750 * len(answer["moves"])


def test_one_move_a_step_is_asked_and_answered_as_ever() -> None:
    plain, one = Hanoi(3), Hanoi(3, moves=1)
    for step, answer in walk(plain)[0]:
        assert (one.prompt(step), one.truth(step)) == (plain.prompt(step), plain.truth(step))
        assert set(answer) == {"move", "next_state"}


# -- no wrong answer passes ----------------------------------------------------------------------------


@given(tasks(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_no_planted_fault_passes_the_judge(task: Hanoi, random: Random) -> None:
    decided, _ = walk(task)
    at = random.randrange(len(decided))
    step, right = decided[at]
    for wrong in faults(task, step, right):
        answers = [answer for _, answer in decided]
        answers[at] = wrong
        assert wrong != right
        assert judged(task, answers) is not True, wrong


def faults(task: Hanoi, step: Step, right: Json) -> list[Json]:
    """Other last moves, one move too few, one made twice, and other pegs behind the right moves."""
    moves, pegs = right["moves"], right["next_state"]
    mistakes = [task.parse(step, task.mistake(step, rank)) for rank in range(6)]
    fewer = {"moves": moves[:-1], "next_state": pegs}
    twice = {"moves": [*moves, moves[-1]], "next_state": pegs}
    turned = {"moves": moves, "next_state": pegs[1:] + pegs[:1]}
    return [*mistakes, fewer, twice, turned]


def test_the_check_flags_an_illegal_move_in_any_place_and_pegs_that_do_not_fit() -> None:
    plain, strict = Hanoi(3, moves=3), Hanoi(3, moves=3, check="legal")
    step = Step("0", 0, {"previous": None, "pegs": [[3, 2, 1], [], []]})
    right = [[1, 0, 2], [2, 0, 1], [1, 2, 1]]
    after = [[3], [2, 1], []]
    assert strict.check(step, {"moves": right, "next_state": after}) is True
    for at in range(3):
        bad = [*right[:at], [3, 0, 2], *right[at + 1 :]]
        assert plain.check(step, {"moves": bad, "next_state": after}) is True
        assert strict.check(step, {"moves": bad, "next_state": after}) == "illegal"
    assert strict.check(step, {"moves": right, "next_state": [[3], [1, 2], []]}) == "illegal"


# -- what a response may look like ---------------------------------------------------------------------

GOOD = "moves = [[1, 0, 2], [2, 0, 1]]\nnext_state = [[3], [2], [1]]"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.upper(),
        "First moves = [[9, 9, 9], [9, 9, 9]] and next_state = [[1],[2],[3]]. No:\n" + GOOD,
        "moves=[[1,0,2],[2,0,1]] next_state=[[3],[2],[1]]",
        "moves\n=\n[\n[1, 0, 2],\n[ 2 , 0 , 1 ]\n]\nnext_state = [[3], [2], [1]]",
        GOOD + "\nDone.",
    ],
)
def test_the_last_moves_and_state_of_a_response_count(text: str) -> None:
    assert several.parse(text, 3, 2) == ([[1, 0, 2], [2, 0, 1]], [[3], [2], [1]])


@pytest.mark.parametrize(
    "moves",
    [
        "",
        "move = [1, 0, 2]",
        "moves = [1, 0, 2]",
        "moves = [[1, 0, 2]]",
        "moves = [[1, 0, 2], [2, 0, 1], [1, 2, 1]]",
        "moves = [[1, 0, 2], [2, 0]]",
        "moves = [[1, 0, 2], [2, 0, 1, 1]]",
        "moves = [[1, 0, 2], [2, 0, 1.0]]",
        "moves = [[1, 0, 2], [2, 0, -1]]",
        "moves = [[1, 0, 2], []]",
        "moves = [[1, 0, 2], [2, 0, 1]",
        "moves = [[1, 0, 2], [２, 0, 1]]",
        "moves = [[1, 0, 2], [2, 0, 1]] moves = [",
    ],
)
def test_what_is_not_well_formed_is_flagged(moves: str) -> None:
    with pytest.raises(RedFlag, match="malformed"):
        several.parse(f"{moves}\nnext_state = [[3], [2], [1]]", 3, 2)


@pytest.mark.parametrize(
    "state", ["[[3], [2]]", "[[3], [2], [2]]", "[[3], [2], [1]", "[[3], [2], [1], []]", ""]
)
def test_a_state_that_is_not_well_formed_is_flagged(state: str) -> None:
    with pytest.raises(RedFlag, match="malformed"):
        several.parse(f"moves = [[1, 0, 2], [2, 0, 1]]\nnext_state = {state}", 3, 2)


PIECES = st.sampled_from(
    ["moves = [", "[1, 0, 2], ", "next_state = [[", "], [", "]]", "1", ", ", "\n", "=", "[" * 50, "9" * 400]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=60).map("".join), st.integers(1, 5))
def test_any_text_is_an_answer_of_so_many_moves_or_a_red_flag(text: str, wanted: int) -> None:
    with suppress(RedFlag):
        moves, _ = several.parse(text, 3, wanted)
        assert [len(move) for move in moves] == [3] * wanted


@pytest.mark.parametrize(
    "text", ["moves = [" * 20_000, "moves = [" + "[1, 0, 2], " * 20_000, "moves =" + " " * 200_000]
)
def test_hostile_texts_are_read_in_bounded_time(text: str) -> None:
    with pytest.raises(RedFlag):
        several.parse(text, 20, 4)


@pytest.mark.parametrize("moves", [0, -1])
def test_no_move_a_step_is_refused(moves: int) -> None:
    with pytest.raises(UsageError, match=r"moves=.*expected 1 or more"):
        Hanoi(3, moves=moves)


# -- the embedded model --------------------------------------------------------------------------------


def asked(disks: int, moves: int) -> tuple[Message, ...]:
    task = Hanoi(disks, moves=moves)
    prompt = task.prompt(Step("0", 0, next(task.segments()).state))
    assert prompt is not None
    return prompt.messages


@given(tasks())
@settings(max_examples=60, deadline=None)
def test_every_question_that_it_knows_survives_the_tokenizer(task: Hanoi) -> None:
    for step, _ in walk(task)[0]:
        prompt = task.prompt(step)
        assert prompt is not None
        content = prompt.messages[-1].content
        if int(content.rpartition(" ")[2]) > hanoi_moves.MOST:
            continue
        dialect, tokens = find(prompt.messages)
        assert dialect is hanoi_moves.DIALECT
        assert dialect.words.decode(tokens) == f"<bos>{content[content.rfind('previous_move') :]}<answer>"
        answer = task.truth(step)
        assert dialect.words.decode(dialect.words.encode(answer)) == answer


@pytest.mark.parametrize(("disks", "moves"), [(11, 2), (10, 5), (20, 4), (21, 1)])
def test_what_it_was_not_trained_on_is_refused_by_name_and_not_suggested(disks: int, moves: int) -> None:
    with pytest.raises(
        UsageError, match=r"it knows .*1 to 4 moves at once of the towers of Hanoi with 1 to 10 disks"
    ):
        find(asked(disks, moves))
    assert Hanoi(disks, moves=moves).model is None


def test_what_it_was_trained_on_is_suggested() -> None:
    for moves, disks in EMBEDDED_DISKS.items():
        assert Hanoi(disks, moves=moves).model == "embedded"
        assert find(asked(disks, moves))[0] is (hanoi.DIALECT if moves == 1 else hanoi_moves.DIALECT)


def test_the_guess_makes_the_moves_that_were_said() -> None:
    _, tokens = find(asked(4, 2))
    words, first = hanoi_moves.WORDS, "moves = [[1, 0, 1"

    def guess(said: str) -> str:
        return words.decode(hanoi_moves.guess(tokens + words.encode(said), len(tokens)))

    assert guess("") == "moves = [["
    assert guess("moves = [[1") == ", 0"
    assert guess(first) == "], ["
    assert guess(f"{first}], [1") == ", 1"
    assert guess(f"{first}], [2, 0, 2") == "]]\nnext_state = [[4, 3], [1], [2]]"
    assert guess(f"{first}], [2, 0, 2]]\nnext_state = [[4, 3], [") == "1], [2]]"
    assert guess(f"{first}], [2, 0, 2]]\nnext_state = [[4, 3], [1], [2]]") == ""


# -- whole runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("moves", [2, 3, 4])
@pytest.mark.parametrize(("disks", "waypoints"), [(3, 1), (7, 5), (10, 16)])
def test_the_embedded_model_solves_it_with_several_moves_a_step(
    tmp_path: Path, moves: int, disks: int, waypoints: int
) -> None:
    result = run(tmp_path, "embedded:temperature=1.5", disks=disks, moves=moves, waypoints=waypoints)
    assert (result.status, result.verified) == ("done", True)
    assert result.steps == Hanoi(disks, moves=moves, waypoints=waypoints).steps


@pytest.mark.parametrize("moves", [2, 5, 64])
def test_the_simulated_model_solves_it_with_several_moves_a_step(tmp_path: Path, moves: int) -> None:
    result = run(tmp_path, "sim:error=0.05,flags=0.02", disks=8, moves=moves, check="legal")
    assert (result.status, result.verified, result.steps) == ("done", True, -(-255 // moves))


def test_without_voting_a_wrong_step_of_several_moves_is_found(tmp_path: Path) -> None:
    result = run(tmp_path, "sim:error=0.2", k=1, disks=6, moves=4)
    assert (result.status, result.verified) == ("failed", False)


def run(folder: Path, model: str, k: int = 4, **params: Json) -> maker.RunResult:
    return maker.run(
        "hanoi", params=params, model=model, k=k, seed=1, engine="inline", run_dir=folder / "run"
    )
