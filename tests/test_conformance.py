"""The suites for plug-ins' authors: every built-in keeps them, and each fault is found by its check."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import pytest

from maker import JoinError, Message, Prompt, RedFlag, Sample, Segment, Step
from maker.ballot import Ballot
from maker.conformance import Finding, decomposers, elsewhere, hostile, models, voters
from maker.conformance.finding import run
from maker.conformance.models import Asked
from maker.conformance.subject import Subject
from maker.conformance.telling import by_model
from maker.decomposers.hanoi import Hanoi
from maker.model import Model, Request
from maker.nouns import Fork
from maker.plugins import spec_of
from maker.testing import DecomposerSuite, ModelSuite, VoterSuite
from maker.voter import Decided, Voter, Want
from maker.voters import AheadByK, BestOf, Escalating, FirstToK, Majority, Posterior, Weighted
from maker.workers.embedded import Embedded
from maker.workers.openai_chat import OpenAIChat
from maker.workers.simulated import Simulated
from tests.conftest import Maker
from tests.faultd import Faultd
from tests.support import ROOT

# -- built-ins --------------------------------------------------------------------------------------


class TestHanoi(DecomposerSuite):
    task = Hanoi
    parameters: ClassVar = {"disks": 6, "waypoints": 5, "check": "legal"}


class TestHanoiWithoutACheck(DecomposerSuite):
    task = "hanoi"


class TestOwnTask(DecomposerSuite):
    task = f"{ROOT}/examples/own_task.py:Collatz"
    model = f"{ROOT}/examples/own_task.py:Careless"


class TestAheadByK(VoterSuite):
    def make(self) -> Voter:
        return AheadByK(3)


class TestFirstToK(VoterSuite):
    def make(self) -> Voter:
        return FirstToK(4)


class TestMajority(VoterSuite):
    def make(self) -> Voter:
        return Majority(5)


class TestEscalating(VoterSuite):
    def make(self) -> Voter:
        return Escalating(4, 7)


class TestPosterior(VoterSuite):
    def make(self) -> Voter:
        return Posterior(1000, 0.1, 0.05, 0.3)


class TestWeighted(VoterSuite):
    def make(self) -> Voter:
        return Weighted(1000, 0.1, {"good": 0.01})


class TestBestOf(VoterSuite):
    def make(self) -> Voter:
        return BestOf(5)


FIRST = next(iter(Hanoi(5).segments()))


class HanoiModel(ModelSuite):
    step = Step(FIRST.id, 0, FIRST.state)
    prompt = Hanoi(5).prompt(step) or Prompt(())


class TestSimulated(HanoiModel):
    def make(self) -> Model:
        return Simulated(Hanoi(5), error=0.1, flags=0.1, latency=0.001, sigma=0.5)


class TestEmbedded(HanoiModel):
    def make(self) -> Model:
        return Embedded(2.0)


class TestOpenAIChat(ModelSuite):
    @pytest.fixture(autouse=True)
    def endpoint(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        with Faultd(latency=0.02) as server:
            self.url = server.url
            yield

    def make(self) -> Model:
        return OpenAIChat("tiny", base_url=self.url)


# -- decomposers with one fault each ----------------------------------------------------------------


class Count:
    """Counts to `to` in two segments; all that the checks can ask for is there and right."""

    seen = 0

    def __init__(self, to: int = 12) -> None:
        self.to, self.steps = to, 2 * to

    def segments(self) -> Iterable[Segment]:
        return [Segment("a", {"n": 0}), Segment("b", {"n": 100})]

    def prompt(self, step: Step) -> Prompt | None:
        if step.index == self.to:
            return None
        return Prompt((Message("user", f"What comes after {step.state['n']}?"),))

    def parse(self, step: Step, text: str) -> Any:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise RedFlag("malformed")
        return int(text)

    def advance(self, step: Step, answer: Any) -> Any:
        return {"n": answer}

    def stitch(self, finals: Mapping[str, Any]) -> Any:
        return [finals[name]["n"] for name in ("a", "b")]

    def verify(self, decided: Iterable[tuple[str, int, Any]]) -> bool | str:
        first = {"a": 1, "b": 101}
        return all(answer == first[name] + index for name, index, answer in decided) or "miscounted"

    def truth(self, step: Step) -> str:
        return str(step.state["n"] + 1)

    def mistake(self, step: Step, rank: int) -> str:
        return str(step.state["n"] + 2 + rank)


class Shuffled(Count):
    def segments(self) -> Iterable[Segment]:
        return [Segment(name, {"n": 0}) for name in set("abcdefgh")]


class Clocked(Count):
    def prompt(self, step: Step) -> Prompt | None:
        Clocked.seen += 1
        return None if step.index == self.to else Prompt((Message("user", str(Clocked.seen)),))


class Hashed(Count):
    def prompt(self, step: Step) -> Prompt | None:
        return None if step.index == self.to else Prompt((Message("user", str(hash("a"))),))


class Chancy(Count):
    def advance(self, step: Step, answer: Any) -> Any:
        return {"n": answer, "lot": random.random()}


class Grabbing(Count):
    def parse(self, step: Step, text: str) -> Any:
        step.state["read"] = True
        return super().parse(step, text)


class Overwriting(Count):
    def advance(self, step: Step, answer: Any) -> Any:
        step.state["n"] = answer
        return step.state


class Keyed(Count):
    def advance(self, step: Step, answer: Any) -> Any:
        return {"n": answer, "seen": {answer: True}}


class Chatty(Count):
    def prompt(self, step: Step) -> Prompt | None:
        print("asking")
        return super().prompt(step)


class Hoarding(Count):
    def advance(self, step: Step, answer: Any) -> Any:
        return {"n": answer, "all": [*step.state.get("all", []), answer]}


class Wordy(Count):
    def prompt(self, step: Step) -> Prompt | None:
        return None if step.index == self.to else Prompt((Message("user", "word " * 10_000),))


class Parroting(Count):
    def variant(self, step: Step, number: int) -> Prompt | None:
        return self.prompt(step)


class Moody(Count):
    def variant(self, step: Step, number: int) -> Prompt | None:
        return Prompt((Message("user", str(random.random())),))


class Pricing(Count):
    def score(self, step: Step, answer: Any) -> float:
        step.state["price"] = 1
        return 1.0


class Trusting(Count):
    def parse(self, step: Step, text: str) -> Any:
        return int(text)


class Slow(Count):
    def parse(self, step: Step, text: str) -> Any:
        if not re.fullmatch(r"([0-9]+)+", text):
            raise RedFlag("malformed")
        return int(text[:9])


class Fragile(Count):
    def parse(self, step: Step, text: str) -> Any:
        return text

    def advance(self, step: Step, answer: Any) -> Any:
        return {"n": int(answer)}

    def verify(self, decided: Iterable[tuple[str, int, Any]]) -> bool | str:
        return super().verify((name, index, int(answer)) for name, index, answer in decided)


class Disagreeing(Count):
    def check(self, step: Step, answer: Any) -> bool:
        return bool(answer % 2)


class Honest(Count):
    def mistake(self, step: Step, rank: int) -> str:
        return self.truth(step)


class Endless(Count):
    steps = 5

    def __init__(self) -> None:
        self.to = 12


class Lenient(Count):
    def verify(self, decided: Iterable[tuple[str, int, Any]]) -> bool | str:
        return True


class Strict(Count):
    def verify(self, decided: Iterable[tuple[str, int, Any]]) -> bool | str:
        return "never good enough"


class InOrder(Count):
    def stitch(self, finals: Mapping[str, Any]) -> Any:
        return [each["n"] for each in finals.values()]


class Torn(Count):
    def stitch(self, finals: Mapping[str, Any]) -> Any:
        raise JoinError("they do not fit")


class Sprouting(Count):
    """Each number forks into two chains of one step, whose greater end counts."""

    def prompt(self, step: Step) -> Prompt | None:
        length = 1 if "/" in step.segment else self.to
        return super().prompt(Step(step.segment, self.to * (step.index == length), step.state))

    def advance(self, step: Step, answer: Any) -> Any:
        if "/" in step.segment:
            return {"n": answer}
        return Fork([{"n": answer - 1}, {"n": answer - 2}], {"n": None})

    def join(self, step: Step, finals: list[Any]) -> Any:
        return {"n": max(final["n"] for final in finals)}

    def verify(self, decided: Iterable[tuple[str, int, Any]]) -> bool | str:
        return super().verify(each for each in decided if "/" not in each[0])

    def __init__(self, to: int = 12) -> None:
        super().__init__(to)
        self.steps = 3 * 2 * to


class Silent(Count):
    def prompt(self, step: Step) -> Prompt | None:
        return None


def found(task: type, **options: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in decomposers.check(Subject(spec_of(task), **options))}


def faults(findings: Mapping[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.verdict in ("fail", "warn")}


def test_a_decomposer_without_fault_passes_every_check() -> None:
    findings = found(Count)
    assert list(findings) == list(decomposers.CHECKS)
    assert {finding.verdict for finding in findings.values()} == {"ok"}, findings


def test_a_task_that_forks_is_walked_through_its_children() -> None:
    findings = found(Sprouting, steps=9)
    assert {finding.verdict for finding in findings.values()} == {"ok"}, findings
    assert findings["walk"].seen.startswith("18 steps of")
    assert findings["steps"].seen.startswith("72 steps")


@pytest.mark.parametrize(
    ("task", "check", "said"),
    [
        (Shuffled, "segments", "in another process"),
        (Clocked, "pure", "prompt gives something else when called again"),
        (Hashed, "pure", "prompt gives something else in another process"),
        (Chancy, "pure", "advance gives something else"),
        (Grabbing, "state", "parse, check or canonical changes step.state"),
        (Overwriting, "state", "advance changes step.state"),
        (Keyed, "json", "the key 1"),
        (Hoarding, "growth", "bytes in 12 steps"),
        (Wordy, "prompt", "50,000 characters"),
        (Parroting, "prompt", "variant 1 is the prompt itself"),
        (Moody, "prompt", "another one when called again"),
        (Pricing, "state", "score changes step.state"),
        (Trusting, "parse", "parse raised ValueError"),
        (Fragile, "advance", "advance raised ValueError"),
        (Disagreeing, "walk", "at step a:1"),
        (Honest, "mistake", "the same as truth"),
        (Endless, "steps", "says 5, the task took 24"),
        (Lenient, "verify", "takes a run with a mistake at step a:0"),
        (Strict, "verify", "never good enough"),
        (InOrder, "stitch", "another result"),
        (Torn, "stitch", "they do not fit"),
        (Silent, "walk", "no segment has a step"),
    ],
)
def test_a_fault_is_found_by_its_check(task: type, check: str, said: str) -> None:
    subject = Subject(spec_of(task), steps=12)
    finding = run(check, partial(decomposers.CHECKS[check], subject))
    assert finding.verdict in ("fail", "warn")
    assert said in str(finding)
    assert "expected" in str(finding)


def test_a_parser_that_never_comes_back_is_named_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "LIMIT", 0.3)
    finding = found(Slow)["parse"]
    assert finding.verdict == "fail"
    assert "did not come back" in str(finding)
    assert f"{__file__}:" in str(finding)
    assert "reading a text of" in str(finding)


def test_a_finding_names_file_line_step_and_state() -> None:
    said = str(found(Trusting)["parse"])
    place = re.escape(__file__)
    assert re.search(rf'at step [ab]:\d+, state {{"n": \d+}} \({place}:\d+\)', said), said


def test_without_truth_a_model_is_walked_with_and_without_both_it_is_said() -> None:
    task = f"{ROOT}/examples/own_task.py:Collatz"
    model = f"{ROOT}/examples/own_task.py:Careless"
    walked = {each.check: each for each in decomposers.check(Subject(task, teller=by_model(model, {})))}
    assert not faults(walked)
    assert walked["walk"].seen.startswith("20 steps")
    assert walked["stitch"].verdict == "skip", "the walk ended before the segment"
    assert "--steps" in walked["stitch"].todo
    right = Subject(task, {"start": 6}, by_model(f"{model}:error=0", {}))
    whole = {each.check: each for each in decomposers.check(right)}
    assert (whole["stitch"].verdict, whole["verify"].verdict) == ("ok", "skip")
    alone = {each.check: each for each in decomposers.check(Subject(task))}
    assert alone["walk"].verdict == "warn"
    assert "--model" in alone["walk"].todo


def test_hostile_texts_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    one, same, other = (list(hostile.texts(seed, ["move = [1, 2]"])) for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) > 300


# -- voters with one fault each ---------------------------------------------------------------------


class Early(AheadByK):
    def decide(self, ballot: Ballot) -> Decided | Want:
        verdict = super().decide(ballot)
        return Want(self.k + 2) if isinstance(verdict, Want) else verdict


class Arriving(AheadByK):
    """Takes the answer that came in first."""

    def decide(self, ballot: Ballot) -> Decided | Want:
        return Decided(next(iter(ballot.answers))) if ballot.total >= 3 else Want(3 - ballot.total)


class Remembering(AheadByK):
    calls = 0

    def decide(self, ballot: Ballot) -> Decided | Want:
        self.calls += 1
        return Want(1 + self.calls % 2)


class Hasty(AheadByK):
    def decide(self, ballot: Ballot) -> Decided | Want:
        return Decided("null")


class Never(AheadByK):
    def decide(self, ballot: Ballot) -> Decided | Want:
        return Want(1)


class Spoiling(AheadByK):
    def decide(self, ballot: Ballot) -> Decided | Want:
        ballot.want(1)
        ballot._flags["spoilt"] = [0]
        return Want(1)


@pytest.mark.parametrize(
    ("voter", "check"),
    [
        (Early, "deficit"),
        (Arriving, "order"),
        (Remembering, "pure"),
        (Hasty, "begin"),
        (Never, "end"),
        (Spoiling, "pure"),
    ],
)
def test_a_voter_with_a_fault_is_found_by_its_check(voter: type[AheadByK], check: str) -> None:
    findings = {each.check: each for each in voters.check(voter)}
    assert findings[check].verdict == "fail", findings
    assert "expected" in str(findings[check])


# -- models with one fault each ---------------------------------------------------------------------


class Plain:
    name: Any = "plain"
    temperatures: Any = (None, 0.1)

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            yield Sample(seat, "x", "stop", 1, 1, 0.0)

    async def aclose(self) -> None:
        pass


class Nameless(Plain):
    name = None


class Lazy(Plain):
    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        yield Sample(request.seats[0], "x", "stop", 1, 1, 0.0)


class Eager(Plain):
    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in (*request.seats, request.seats[0]):
            yield Sample(seat, "x", "stop", 1, 1, 0.0)


class Odd(Plain):
    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        for seat in request.seats:
            yield Sample(seat, "x", "stop", 1, 1, float("inf"))


class Mixing(Plain):
    def __init__(self) -> None:
        self.seats: tuple[Any, ...] = ()

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        self.seats = request.seats
        await asyncio.sleep(0)
        for seat in self.seats:
            yield Sample(seat, "x", "stop", 1, 1, 0.0)


class Locked(Plain):
    """Never lets go of what a cancelled draw has taken."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        await self.lock.acquire()
        await asyncio.sleep(0.05)
        for seat in request.seats:
            yield Sample(seat, "x", "stop", 1, 1, 0.05)
        self.lock.release()


class Sour(Plain):
    closed = False

    async def aclose(self) -> None:
        if self.closed:
            raise ValueError("closed already")
        self.closed = True


class Raising(Plain):
    async def draw(self, request: Request) -> AsyncIterator[Sample]:
        raise KeyError("\x1b[31m")
        yield


@pytest.mark.parametrize(
    ("model", "check", "said"),
    [
        (Nameless, "name", "its name is None"),
        (Lazy, "seats", "these were filled: [0]"),
        (Eager, "seats", "these were filled: [0, 0]"),
        (Odd, "seats", "finite latency"),
        (Mixing, "together", "were filled"),
        (Locked, "cancel", "did not end"),
        (Sour, "close", "closed already"),
        (Raising, "seats", f"KeyError at step check:0, state null ({__file__}:"),
    ],
)
def test_a_model_with_a_fault_is_found_by_its_check(model: type[Plain], check: str, said: str) -> None:
    findings = {each.check: each for each in models.check(Asked(model, patience=1.0))}
    assert findings[check].verdict == "fail", findings
    assert said in str(findings[check])


def test_a_plain_model_passes_every_check() -> None:
    assert {each.verdict for each in models.check(Asked(Plain))} == {"ok"}


# -- the command ------------------------------------------------------------------------------------


def test_the_command_prints_a_line_a_check_and_ends_as_they_say(maker: Maker) -> None:
    ended = maker("check", "hanoi", "-T", "disks=4", "--json")
    assert ended.code == 0, ended.err
    assert [event["check"] for event in ended.events] == list(decomposers.CHECKS)
    assert {event["verdict"] for event in ended.events} == {"ok"}
    ended = maker("check", f"{__file__}:Chatty", "--json")
    assert ended.code == 0
    assert len(ended.events) == len(decomposers.CHECKS)
    ended = maker("check", f"{__file__}:Trusting")
    assert ended.code == 1
    assert len(ended.out.splitlines()) == len(decomposers.CHECKS)
    assert "FAIL  parse " in ended.out
    assert ended.out.isascii()


def test_a_wrong_command_is_no_finding(maker: Maker) -> None:
    for words in (
        ["hanoi", "-T", "disks=0"],
        ["nothing"],
        ["hanoi", "-T", "disks"],
        ["hanoi", "-T", "foo=1"],
    ):
        ended = maker("check", *words)
        assert (ended.code, ended.out) == (2, ""), words
        assert ended.err.startswith("maker: ")


def test_a_task_that_breaks_when_it_is_made_is_a_finding(maker: Maker) -> None:
    (maker.folder / "broken.py").write_text("class Broken:\n    def __init__(self):\n        1 / 0\n")
    ended = maker("check", "broken.py:Broken")
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.out
