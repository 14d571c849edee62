"""Whatever a plug-in does wrong, the run ends, says where, and keeps what it has."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import maker
from maker import Message, Prompt, RedFlag, Sample, Segment, Step
from maker.errors import JoinError, PluginError, UsageError
from maker.model import Request

DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


class Faulty:
    """Two steps; at `where` it does `what`."""

    def __init__(self, where: str, what: str) -> None:
        self.where, self.what = where, what

    def _maybe(self, where: str, value: Any) -> Any:
        return faults(self.what) if where == self.where else value

    def segments(self) -> Any:
        return self._maybe("segments", [Segment("a", 0)])

    def prompt(self, step: Step) -> Any:
        if step.index == 2:
            return None
        return self._maybe("prompt", Prompt((Message("user", "?"),)))

    def parse(self, step: Step, text: str) -> Any:
        return self._maybe("parse", text)

    def check(self, step: Step, answer: Any) -> Any:
        return self._maybe("check", True)

    def canonical(self, answer: Any) -> Any:
        return self._maybe("canonical", answer)

    def advance(self, step: Step, answer: Any) -> Any:
        return self._maybe("advance", step.state + 1)

    def stitch(self, finals: Any) -> Any:
        return self._maybe("stitch", dict(finals))

    def verify(self, decided: Any) -> Any:
        list(decided)
        return self._maybe("verify", True)


class Panic(BaseException):
    """As extensions in other languages raise."""


def faults(what: str) -> Any:
    match what:
        case "raises":
            raise ValueError("\x1b[31mred\x07 \ud800")
        case "panics":
            raise Panic("bb")
        case "exits":
            raise SystemExit(9)
        case "cancels":
            raise asyncio.CancelledError
        case "flags":
            raise RedFlag("odd")
        case "flags oddly":
            raise RedFlag(["a"])  # type: ignore[arg-type]
        case "joins":
            raise JoinError("no fit")
    return {"set": {1}, "nan": float("nan"), "object": object(), "deep": DEEP, "none": None, "text": "odd"}[
        what
    ]


class Plain:
    name, temperatures = "plain", (None, None)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            yield Sample(seat, "x", "stop", 1, 1, 0.0)

    async def aclose(self) -> None:
        pass


def run(folder: Path, where: str, what: str, model: type = Plain) -> maker.RunResult:
    params = {"where": where, "what": what}
    return maker.run(
        Faulty, params=params, model=model, engine="inline", max_samples=8, run_dir=folder / "run"
    )


STEPWISE = ("prompt", "parse", "check", "canonical", "advance")
WRONG = ("raises", "panics", "exits", "cancels", "flags oddly", "joins", "set", "nan", "object", "deep")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("where", STEPWISE)
def test_a_fault_at_a_step_parks_that_step_and_says_what_and_where(
    tmp_path: Path, where: str, what: str
) -> None:
    result = run(tmp_path, where, what)
    assert (result.status, result.parked) == ("parked", 1)
    assert result.reason is not None
    assert result.reason.isprintable()
    assert f"{where} " in result.reason or where == "canonical"
    assert re.search(rf"at step a:[01], state [01] \({re.escape(__file__)}:\d+\)", result.reason)
    json.dumps(result.to_json(), allow_nan=False)


class Roomy(Faulty):
    """Its state is long and hostile, and it trips inside a library."""

    def segments(self) -> Any:
        return [Segment("a", {"text": "\x1b[2J\n" + "x" * 10_000})]

    def advance(self, step: Step, answer: Any) -> Any:
        return json.loads(answer)


def test_the_state_is_shown_escaped_and_cut_and_the_line_is_the_plug_ins_not_the_librarys(
    tmp_path: Path,
) -> None:
    params = {"where": "", "what": ""}
    result = maker.run(Roomy, params=params, model=Plain, engine="inline", run_dir=tmp_path / "r")
    line = Roomy.advance.__code__.co_firstlineno + 1
    said = str(result.reason)
    assert r'advance raised JSONDecodeError at step a:0, state {"text": "\u001b[2J\nxxx' in said
    assert f"... ({__file__}:{line}): Expecting value" in said
    assert len(said) < 500
    assert said.isprintable()


class Moody(Faulty):
    """`advance` takes what it took before no more."""

    broken = False

    def advance(self, step: Step, answer: Any) -> Any:
        return faults("raises") if Moody.broken else step.state + 1


def test_a_run_whose_plug_in_breaks_between_two_commands_is_not_lost(tmp_path: Path) -> None:
    params = {"where": "", "what": ""}
    command = partial(maker.run, Moody, params=params, model=Plain, engine="inline", run_dir=tmp_path / "r")
    assert command(max_calls=4).status == "budget"
    Moody.broken = True
    broken = command(max_calls="none")
    assert (broken.status, broken.steps) == ("failed", 1)
    assert "advance raised ValueError at step a:0, state 0" in str(broken.reason)
    Moody.broken = False
    assert command().status == "done"


@pytest.mark.parametrize(("where", "what"), [("prompt", "flags"), ("advance", "flags"), ("check", "none")])
def test_a_flag_or_a_forgotten_return_where_it_makes_no_sense_is_a_fault_too(
    tmp_path: Path, where: str, what: str
) -> None:
    result = run(tmp_path, where, what)
    assert result.status == "parked"
    assert where in str(result.reason)


@pytest.mark.parametrize(("where", "what"), [("parse", "flags"), ("check", "flags"), ("check", "text")])
def test_a_flag_in_parse_or_check_discards_the_sample_and_is_counted(
    tmp_path: Path, where: str, what: str
) -> None:
    result = run(tmp_path, where, what)
    assert (result.status, result.samples, result.flagged) == ("parked", 8, 8)


@pytest.mark.parametrize("what", [*WRONG, "flags", "none"])
@pytest.mark.parametrize("where", ["stitch", "verify"])
def test_a_fault_at_the_end_fails_the_run_and_the_same_command_tries_the_end_again(
    tmp_path: Path, where: str, what: str
) -> None:
    if (where, what) == ("stitch", "none"):
        return  # None is a result
    for _ in range(2):
        result = run(tmp_path, where, what)
        assert (result.status, result.steps, result.samples) == ("failed", 2, 6)
        assert str(result.reason).isprintable()


@pytest.mark.parametrize("what", [*WRONG, "text"])
def test_segments_that_are_none_are_refused(tmp_path: Path, what: str) -> None:
    result = run(tmp_path, "segments", what)
    assert (result.status, result.steps) == ("failed", 0)
    assert "segments" in str(result.reason)


class Named:
    """Segments with the ids of a list."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def segments(self) -> list[Segment]:
        return [Segment(name, 0) for name in self.ids]

    def prompt(self, step: Step) -> Prompt | None:
        return Prompt((Message("user", "?"),)) if step.index == 0 else None

    def parse(self, step: Step, text: str) -> str:
        return text

    def advance(self, step: Step, answer: str) -> int:
        return 1

    def stitch(self, finals: Any) -> Any:
        return dict(finals)


@pytest.mark.parametrize(
    "ids", [[""], ["a/b"], ["é"], ['a"b'], ["a\x1b"], ["\ud800"], ["x" * 81], ["a", "b", "a"]]
)
def test_segment_ids_that_could_be_mistaken_are_refused(tmp_path: Path, ids: list[str]) -> None:
    result = maker.run(Named, params={"ids": ids}, model=Plain, engine="inline", run_dir=tmp_path / "run")
    assert result.status == "failed"
    assert "segments gave the id" in str(result.reason)


class Renamed(Named):
    """Its ids differ from one process, or one command, to the next."""

    turn = 0

    def segments(self) -> list[Segment]:
        Renamed.turn += 1
        return [Segment(f"{name}{Renamed.turn}", 0) for name in self.ids]


def test_segments_that_change_their_ids_are_found_when_the_run_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        result = maker.run(
            Renamed, params={"ids": ["a"]}, model=Plain, engine="inline", run_dir=tmp_path / "r"
        )
        (tmp_path / "r" / "result.json").unlink()
    assert result.status == "failed"
    assert "does not give any more" in str(result.reason)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "changed",
    [{"text": b"x"}, {"text": None}, {"finish": None}, {"tokens_out": None}, {"latency": float("nan")}],
)
def test_samples_that_the_journal_could_not_hold_park_the_step(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    class Odd(Plain):
        async def draw(self, request: Request) -> AsyncIterator[Sample]:
            plain = {"text": "x", "finish": "stop", "tokens_in": 1, "tokens_out": 1, "latency": 0.0}
            for seat in request.seats:
                yield Sample(seat, **(plain | changed))  # type: ignore[arg-type]

    globals()["Odd"] = Odd
    Odd.__qualname__ = "Odd"
    result = run(tmp_path, "nowhere", "", Odd)
    assert result.status == "parked"
    assert "a sample needs text" in str(result.reason)


class Confused:
    def decide(self, ballot: Any) -> Any:
        raise ZeroDivisionError


class Brittle:
    def __call__(self, sample: Sample) -> Any:
        raise KeyError(sample.text)


@pytest.mark.parametrize(
    ("option", "said"), [("voter", "the voter raised"), ("red_flags", "a red-flag rule raised")]
)
def test_a_voter_or_a_rule_that_raises_parks_the_step(tmp_path: Path, option: str, said: str) -> None:
    spec = {"voter": f"{__file__}:Confused", "red_flags": f"{__file__}:Brittle"}[option]
    try:
        result = maker.run(
            Named,
            params={"ids": ["a"]},
            model=Plain,
            engine="inline",
            run_dir=tmp_path / "r",
            **{option: spec},
        )
    except PluginError as error:
        assert option == "voter", error
        assert said in str(error)
    else:
        assert result.status == "parked"
        assert said in str(result.reason)


def test_a_model_without_a_name_or_with_an_end_that_raises_does_no_harm(tmp_path: Path) -> None:
    class Nameless(Plain):
        name = None  # type: ignore[assignment]

    class Sour(Plain):
        async def aclose(self) -> None:
            raise OSError("no")

    for model in (Nameless, Sour):
        globals()[model.__name__] = model
        model.__qualname__ = model.__name__
    with pytest.raises(PluginError, match="needs a name"):
        run(tmp_path, "nowhere", "", Nameless)
    assert run(tmp_path, "nowhere", "", Sour).status == "done"


def test_a_cap_below_what_the_voter_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the voter needs 9 votes"):
        maker.run("hanoi", model="sim", k=9, max_samples=8, engine="inline", run_dir=tmp_path / "r")
