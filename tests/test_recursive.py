"""A model takes a problem apart, solves the parts and composes: every stage is voted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from maker import api, review, soundness, steps
from maker.decomposers.recursive import Recursive, wording
from maker.errors import IncompatibleResumeError, UsageError
from maker.input_file import InputFile
from maker.model import Request
from maker.nouns import Json, RedFlag, Sample, Step
from maker.result import RunResult
from maker.run_directory import RunDirectory
from maker.task import Task
from tests.conftest import Maker
from tests.faultd import Faultd
from tests.splitting_endpoint import Splitting


class Splitter:
    """The endpoint's answers without the endpoint."""

    name = "splitter"
    temperatures: tuple[float | None, float | None] = (None, None)

    def __init__(self, error: float = 0.02, flags: float = 0.02) -> None:
        self.answer = Splitting(error, flags)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            text = self.answer(request.prompt.messages[-1].content, seat.seed)
            yield Sample(seat, text, "stop", 1, 1, 0.0)

    async def aclose(self) -> None:
        pass


MODEL = f"{__file__}:Splitter"


def run(folder: Path, problem: str, model: str = MODEL, **how: object) -> RunResult:
    asked = {"engine": "inline", "run_dir": folder / "r", "model": model, "k": 3, "workers": 3}
    return api.run("recursive", params={"problem": problem, "depth": 5}, **{**asked, **how})


@pytest.mark.parametrize(
    ("problem", "solution"),
    [
        ("Multiply 4796 by 2038", 4796 * 2038),
        ("Multiply 7 by 6", 42),
        ("Sort in ascending order: [3, -1, 12, 5, 5, 0, 44, -7, 2]", [-7, -1, 0, 2, 3, 5, 5, 12, 44]),
    ],
)
def test_a_problem_is_split_solved_and_composed_though_every_stage_errs(
    tmp_path: Path, problem: str, solution: object
) -> None:
    result = run(tmp_path, problem, k=4)
    assert result.status == "done", result.reason
    assert wording.same_form(result.result) == wording.same_form(json.dumps(solution))
    soundness.check(RunDirectory(tmp_path / "r"))
    assert all(each.same for each in review.decided_again(tmp_path / "r"))


def test_without_voting_an_error_at_any_stage_is_the_end(tmp_path: Path) -> None:
    results = [
        run(tmp_path / str(seed), "Multiply 4796 by 2038", f"{MODEL}:error=0.05", k=1, seed=seed).result
        for seed in range(6)
    ]
    right = wording.same_form(str(4796 * 2038))
    assert sum(wording.same_form(str(result)) == right for result in results) < 4


def test_proposals_are_one_sample_each_and_what_is_chosen_of_them_is_voted(tmp_path: Path) -> None:
    run(tmp_path, "Multiply 4796 by 2038", f"{MODEL}:flags=0.2")
    kinds: Counter[str] = Counter()
    for record in steps.in_order(RunDirectory(tmp_path / "r")):
        votes = sum(len(each["draws"]) for each in record["votes"])
        assert (votes == 1) == (record.get("by") == "proposal")
        assert (
            ("problems" in record["answer"]) == (votes == 1) if isinstance(record["answer"], dict) else True
        )
        kinds["forks" if "children" in record else record.get("by", "vote")] += 1
    assert kinds["forks"] == 15, "16 products of digits"
    assert kinds["proposal"] > 2 * 15


def test_a_question_file_is_scored_and_depth_ends_the_recursion(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "Multiply 47 by 2", "answer": 94},
        {"id": "b", "question": "Multiply 12 by 12", "answer": "1,44"},
        {"id": "c", "question": "Sort in ascending order: [2, 1]", "answer": [1, 2]},
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    params = {"input": tmp_path / "q.jsonl", "depth": 1}
    result = api.run("recursive", params=params, model=MODEL, engine="inline", run_dir=tmp_path / "r")
    assert result.result["score"] == {"right": 2, "wrong": 1, "unknown": 0}
    names = {name for name, *_ in steps.decided(RunDirectory(tmp_path / "r"))}
    assert max(name.count("/") for name in names) == 1


def test_it_runs_through_an_openai_compatible_endpoint(maker: Maker) -> None:
    with Faultd(answer=Splitting()) as server:
        words = (
            "run",
            "recursive",
            "-T",
            "problem=Multiply 96 by 38",
            "-T",
            "depth=3",
            "--model",
            "openai:m",
        )
        done = maker(*words, "--base-url", server.url, "--engine", "inline", "--run-dir", "r", "--json").done
    assert (done["status"], wording.same_form(done["result"])) == ("done", str(96 * 38))
    shown = maker("show", "r", "problem:1").out
    assert "a proposal" in shown
    assert "forks into 2 segments" in maker("steps", "r").out


SPLIT = {"problems": ["a", "b"], "composition": "S1 S2"}


@pytest.mark.parametrize(
    ("stage", "good", "bad", "said"),
    [
        ("atomic", [True, False], ["no", "yes", 0, 1, None, {}], "expected true or false"),
        (
            "propose",
            [SPLIT],
            [
                {**SPLIT, "problems": ["a"]},
                {**SPLIT, "problems": ["a"] * 5},
                {**SPLIT, "problems": ["a", ""]},
                {**SPLIT, "problems": ["a", 1]},
                {**SPLIT, "problems": "ab"},
                {**SPLIT, "composition": " "},
                {**SPLIT, "more": 1},
                {"problems": ["a", "b"]},
                ["a", "b"],
                True,
            ],
            r'expected {"problems": \[2 to 4 texts\]',
        ),
        ("choose", [1, 2], [0, 3, -1, True, 1.0, "1", None], "expected the number of a candidate, 1 to 2"),
        *(
            (
                stage,
                [{"solution": "4"}],
                [{"solution": 4}, {"solution": ""}, {"answer": "4"}, "4", 4, None, {"solution": "4", "a": 1}],
                'expected {"solution": text}',
            )
            for stage in ("solve", "compose")
        ),
    ],
)
def test_an_answer_of_a_person_must_have_the_form_of_its_stage(
    stage: str, good: list[Json], bad: list[Json], said: str
) -> None:
    task = Task(Recursive("12 x 43"), "recursive")
    step = Step("problem", 0, {"problem": "12 x 43", "stage": stage, "splits": [SPLIT] * 2})
    for answer in good:
        task.check(step, answer)
    for answer in bad:
        with pytest.raises(RedFlag, match=said):
            task.check(step, answer)


def test_an_empty_problem_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the problem is empty"):
        Recursive(" \n")
    (tmp_path / "q.jsonl").write_text('{"id": "a", "question": " "}')
    with pytest.raises(UsageError, match="line 1: question: it is empty"):
        Recursive(input=InputFile.at(tmp_path / "q.jsonl"))


# -- prompts ---------------------------------------------------------------------------------------


def test_prompts_can_be_replaced_and_belong_to_the_run(tmp_path: Path) -> None:
    file = tmp_path / "prompts.toml"
    file.write_text('solve = """Here is a problem:\n$problem\n\nIt costs $$5. SOLUTION:"""')
    params = {"problem": "Multiply 7 by 6", "prompts": file}
    result = api.run("recursive", params=params, model=MODEL, engine="inline", run_dir=tmp_path / "r")
    assert result.result == "42"
    prompt = review.prompt_at(tmp_path / "r", "problem", 1)
    assert prompt is not None
    assert prompt.messages[-1].content == "Here is a problem:\nMultiply 7 by 6\n\nIt costs $5. SOLUTION:"
    (tmp_path / "r" / "result.json").unlink()
    file.write_text('solve = "other $problem"')
    with pytest.raises(IncompatibleResumeError):
        api.resume(tmp_path / "r", engine="inline")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("solve = 3", "saw 'solve', expected texts for stages"),
        ("guess = 'x'", "saw 'guess', expected texts for stages"),
        ("solve = 'what of $parts?'", r"solve may name \$problem .* saw \$parts"),
        ("solve = 'it costs $5 or more'", r"solve has '\$5', .* by itself it is \$\$"),
        ("solve = '$problem, for $'", r"solve has '\$', .* by itself it is \$\$"),
        ("solve = 'SOLUTION:'", r"solve must name \$problem"),
        ("atomic = 'ATOMIC:'", r"atomic must name \$problem"),
        ("choose = '$problem CANDIDATE:'", r"choose must name \$candidates"),
        ("compose = '$problem SOLUTION:'", r"compose must name \$parts"),
        ("solve = '$problem Solution:'", "solve must ask for a line SOLUTION:"),
        ("propose = '$problem SUBPROBLEM:'", "propose must ask for a line COMPOSITION:"),
        ("solve = ", "no TOML"),
    ],
)
def test_a_file_of_prompts_that_cannot_be_used_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.toml").write_text(content)
    with pytest.raises(UsageError, match=message):
        Recursive(problem="x", prompts=InputFile.at(tmp_path / "p.toml"))


def test_text_of_a_problem_is_never_taken_for_a_template() -> None:
    problem = "What is $problem worth in ${composition}?"
    subject = Recursive(problem=problem, depth=0)
    [segment] = subject.segments()
    prompt = subject.prompt(Step(segment.id, 0, segment.state))
    assert prompt is not None
    assert f"Here is a problem:\n{problem}\n" in prompt.messages[-1].content


# -- parsers ---------------------------------------------------------------------------------------


def test_labelled_lines_are_read_and_anything_else_is_a_red_flag() -> None:
    assert wording.atomic("Well.\nATOMIC: Yes.") is True
    assert wording.solution("a\n  SOLUTION:  1,234 \n") == "1,234"
    assert wording.candidate("CANDIDATE: 2", 3) == 2
    text = "SUBPROBLEM: a\nSUBPROBLEM: b\nCOMPOSITION: S1 then S2"
    assert wording.split(text, 4) == {"problems": ["a", "b"], "composition": "S1 then S2"}
    for read, bad in (
        (wording.atomic, "ATOMIC: maybe"),
        (wording.atomic, "ATOMIC: yes\nATOMIC: no"),
        (wording.solution, "SOLUTION:"),
        (wording.solution, "the solution is 3"),
        (lambda said: wording.candidate(said, 3), "CANDIDATE: 4"),
        (lambda said: wording.candidate(said, 3), "CANDIDATE: ²"),
        (lambda said: wording.split(said, 4), "SUBPROBLEM: a\nCOMPOSITION: b"),
        (lambda said: wording.split(said, 2), f"SUBPROBLEM: c\n{text}"),
        (lambda said: wording.split(said, 4), "SUBPROBLEM: a\nSUBPROBLEM: b"),
    ):
        with pytest.raises(RedFlag):
            read(bad)


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("1,234", "1234", True),
        ("-007", "-7", True),
        ("7", "-7", False),
        ("9" * 5000, "0" + "9" * 5000, True),
        ("[1, 2]", "[1,2]", True),
        ("[1, 2]", "[2, 1]", False),
        ("A  cat", "a cat.", True),
        ("`42`", "42", True),
        ("1.0", "1", True),
        ("0.50", "0.5", True),
        ("-0.0", "0", True),
        ("1e3", "1,000", True),
        ("1,234.50", "1234.5", True),
        ("[3.0, 1e2]", "[3, 100]", True),
        ("0.05", "0.5", False),
        ("-0.5", "0.5", False),
        ("12.5", "125", False),
        ("1e999999999", "1e999999998", False),
        ("1e999999999", "10e999999998", True),
        ("1e-20000", "0", False),
        (f"0.{'0' * 29_999}1", "1e-30000", True),
        (f"1{'0' * 30_000}", "1e30000", True),
        ("0.1000000000000000055", "0.1", False),
        ("9007199254740993", "9007199254740992.0", False),
        (f"{'9' * 5000}.50", f"{'9' * 5000}.5", True),
        ("true", "True", True),
        ("TRUE", "true.", True),
        ("true", "false", False),
        ("true", "1", False),
        ("[True, False]", "[true, false]", True),
        ("NaN", "nan", True),
    ],
)
def test_solutions_are_equal_in_form(one: str, two: str, same: bool) -> None:
    assert (wording.same_form(one) == wording.same_form(two)) is same
