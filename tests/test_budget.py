"""Caps on calls, tokens and money hold for the whole run, whatever the number of workers and commands."""

from __future__ import annotations

import asyncio
import re
from itertools import count
from pathlib import Path
from random import Random

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from maker import api, journal, records, summary
from maker.budget import NO_CAP, ZERO, Account, Allowance, Budget, Spend, Terms
from maker.chain import Chain, Park
from maker.engine import Engine
from maker.errors import UsageError
from maker.ledger import Ledger
from maker.model import Request
from maker.nouns import Message, Prompt, Seat, Segment
from maker.prices import Price
from maker.result import RunResult
from maker.run_directory import RunDirectory
from maker.totals import Totals
from tests.conftest import SAME, Maker
from tests.support import panel, task
from tests.test_engine import Scripted

NOISY = "sim:error=0.05,flags=0.05"
PRICES = {"m": Price(2, 3, 2)}


class Lane:
    """A lane and its worker: draws that ask, samples that come in, takeovers."""

    def __init__(self, terms: Terms, random: Random) -> None:
        self.terms, self.random, self.draws = terms, random, count()
        self.written = Totals()
        self.left = random.randint(0, 30)
        """Draws that its segments still ask for."""
        self.begin()

    def begin(self) -> None:
        """A fresh worker reads the lane: what was under way is lost."""
        self.lost = False
        """Nobody hears of the worker any more; it goes on until the lane is taken over."""
        self.told: Spend | None = None
        """A limit that it has been sent."""
        self.unheard = False
        """Something is short, or has ended, that no report has said."""
        self.allowance = Allowance(self.terms, self.written, self.short)
        self.under_way: list[tuple[str, int]] = []
        for number in range(min(4, self.left)):
            self.ask(f"s{number}")

    def short(self) -> None:
        self.unheard = True

    def ask(self, segment: str) -> None:
        if self.left:
            self.left -= 1
            draws = tuple(next(self.draws) for _ in range(self.random.randint(1, 4)))
            prompt = Prompt((Message("user", "x" * self.random.randint(0, 9)),), self.random.randint(1, 9))
            go = lambda: self.under_way.extend((segment, draw) for draw in draws)  # noqa: E731
            self.allowance.ask([(segment, 0, "", draw) for draw in draws], prompt, "m", go)

    def sample(self) -> None:
        """One comes in; the last of its draw lets the segment ask again."""
        segment, draw = self.under_way.pop(self.random.randrange(len(self.under_way)))
        heard, said = self.random.randint(0, 16), self.random.randint(0, 1)
        record = {"kind": "sample", "model": "m", "tokens_in": heard, "tokens_out": said}
        self.written.fold(record)
        self.allowance.settle((segment, 0, "", draw), said)
        waits = any(each.places[0][0] == segment for each in self.allowance._waiting)
        if not any(place[0] == segment for place in self.under_way) and not waits:
            self.allowance.drop(segment)
            self.unheard |= not self.left  # a segment's end is news
            self.ask(segment)
        elif self.random.random() < 0.3:
            self.ask(segment)  # a rival's vote: the lead has grown out of reach of the draws under way
        starving = self.allowance._waiting and not self.allowance._held
        assert self.unheard or not starving, "or the coordinator hears of it a second late"

    @property
    def limit(self) -> Spend:
        return self.allowance._limit.most(self.terms.spent(self.written) + self.allowance._sum)

    def die(self) -> None:
        self.left += len({segment for segment, _ in self.under_way})
        self.begin()


@settings(max_examples=300, deadline=None)
@given(
    calls=st.one_of(st.just(NO_CAP), st.integers(1, 200)),
    tokens=st.one_of(st.just(NO_CAP), st.integers(1, 9000)),
    cost=st.one_of(st.just(NO_CAP), st.integers(1, 20000)),
    lanes=st.integers(1, 5),
    workers=st.integers(1, 3),
    deaths=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 2**32),
)
def test_leases_never_exceed_the_cap_and_all_come_back(
    calls: int, tokens: int, cost: int, lanes: int, workers: int, deaths: float, seed: int
) -> None:
    terms = Terms(Spend(calls, tokens, cost), PRICES)
    world = World(terms, lanes, workers, Random(seed))
    for _ in range(3000):
        world.act(deaths)
        assert sum((lane.limit for lane in world.lanes.values()), ZERO).within(terms.cap)
        assert world.spent.within(terms.cap)
        if world.at_rest:
            break
    assert world.at_rest
    for name in world.lanes:
        world.report(name)
    assert sum((account.committed for account in world.reports.values()), ZERO) == world.spent
    for name, account in world.reports.items():
        if account.need:
            assert not (world.spent + account.need).within(terms.cap)
            assert "give a larger --max-" in world.budget.reason(name)
        else:
            assert world.lanes[name].left == 0


class World:
    """Lanes and the budget that they share."""

    def __init__(self, terms: Terms, lanes: int, workers: int, random: Random) -> None:
        self.terms, self.random = terms, random
        self.lanes = {f"{number}": Lane(terms, random) for number in range(lanes)}
        self.budget = Budget(terms.cap, workers, {})
        self.reports: dict[str, Account] = {}
        for name in self.lanes:
            self.report(name)

    def act(self, deaths: float) -> None:
        name = self.random.choice(sorted(self.lanes))
        lane = self.lanes[name]
        lane.lost |= self.random.random() < deaths
        if lane.lost and self.random.random() < 0.2:
            lane.die()
            self.report(name)
        elif lane.under_way and self.random.random() < 0.7:
            lane.sample()
        elif lane.told:
            lane.allowance.limit_to(lane.told)
            self.report(name)
        elif not lane.lost and not self.budget.starves(name):
            lane.told = self.budget.grant(name)

    def report(self, name: str) -> None:
        self.lanes[name].unheard, self.lanes[name].told = False, None
        self.reports[name] = self.lanes[name].allowance.account()
        self.budget.note(name, self.reports[name])

    @property
    def at_rest(self) -> bool:
        """Nothing is under way, and what waits cannot be served."""
        waiting = [name for name, account in self.reports.items() if account.need]
        lanes = self.lanes.values()
        nothing = not any(lane.under_way or lane.unheard or lane.lost or lane.told for lane in lanes)
        return nothing and all(map(self.budget.starves, waiting))

    @property
    def spent(self) -> Spend:
        return sum((self.terms.spent(lane.written) for lane in self.lanes.values()), ZERO)


# -- runs ------------------------------------------------------------------------------------------


def run(folder: Path, **more: object) -> RunResult:
    """255 steps in 12 segments over three lanes."""
    how = {"params": {"disks": 8, "waypoints": 12}, "model": NOISY, "workers": 3, "engine": "inline"}
    return api.run("hanoi", run_dir=folder, **(how | more))


def same(result: RunResult) -> dict[str, object]:
    return {name: getattr(result, name) for name in SAME}


def drawn(folder: Path) -> int:
    return sum(1 for _ in RunDirectory(folder).records(("sample",)))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    result = run(tmp_path_factory.mktemp("straight") / "r")
    assert result.status == "done"
    return result


@pytest.mark.parametrize("cap", [1, 2, 3, 50, 400])
def test_calls_hold_exactly_and_a_larger_cap_goes_on_to_the_same_end(
    tmp_path: Path, undisturbed: RunResult, cap: int
) -> None:
    ended = run(tmp_path, max_calls=cap)
    assert (ended.status, ended.exit_code) == ("budget", 4)
    assert cap - 3 < ended.samples == drawn(tmp_path) <= cap
    more = run(tmp_path, max_calls=undisturbed.samples - 1)
    assert (more.status, more.samples) == ("budget", drawn(tmp_path))
    assert undisturbed.samples - 4 < more.samples < undisturbed.samples
    assert same(run(tmp_path, max_calls="none")) == same(undisturbed)


def test_a_cap_that_is_reached_exactly_at_the_end_is_no_obstacle(
    tmp_path: Path, undisturbed: RunResult
) -> None:
    assert same(run(tmp_path, max_calls=undisturbed.samples)) == same(undisturbed)


def test_the_reason_says_what_was_spent_and_what_to_do(tmp_path: Path) -> None:
    params = {"disks": 5}
    ended = run(tmp_path, params=params, max_calls=20, model="sim")
    assert ended.reason == (
        "calls: 18 of 20 spent, the next draw needs up to 3; "
        "give a larger --max-calls and run the same command again"
    )
    ended = run(tmp_path, params=params, max_calls=5, max_tokens=100, model="sim")
    assert ended.reason is not None
    assert ended.reason.startswith("calls: 18 of 5 spent; tokens: 2")
    assert ended.reason.endswith("give a larger --max-calls and --max-tokens and run the same command again")


def test_a_cap_below_what_is_spent_ends_at_once_without_a_draw(tmp_path: Path) -> None:
    first = run(tmp_path, max_calls=300)
    for workers in (3, 1):  # with fewer workers than lanes some are not read, and count all the same
        again = run(tmp_path, max_calls=100, workers=workers)
        assert (again.status, again.samples, again.steps) == ("budget", first.samples, first.steps)
    assert drawn(tmp_path) == first.samples


def test_a_cap_stays_until_another_is_given_or_none(tmp_path: Path, undisturbed: RunResult) -> None:
    run(tmp_path, max_calls=20)
    with structlog.testing.capture_logs() as told:
        ended = run(tmp_path)
    assert (ended.status, drawn(tmp_path) <= 20) == ("budget", True)
    assert [(line["event"], line["option"], line["value"]) for line in told] == [
        ("cap_stays", "--max-calls", 20)
    ]
    ended = run(tmp_path, max_tokens=10)
    assert ended.reason is not None
    assert ended.reason.startswith("calls: ") and "; tokens: " in ended.reason
    assert 20 < run(tmp_path, max_calls=40, max_tokens="none").samples <= 40
    assert same(run(tmp_path, max_calls="none")) == same(undisturbed)
    assert (RunDirectory(tmp_path).newest_command() or {})["max_calls"] is None


def test_prices_stay_until_others_are_given_or_none(tmp_path: Path) -> None:
    params = {"disks": 4}
    first = run(tmp_path, params=params, model="sim", price="0,1", max_cost=0.0003)
    assert first.status == "budget"
    assert run(tmp_path, params=params, model="sim").cost == first.cost
    with pytest.raises(UsageError, match="max_cost needs the price of every model"):
        run(tmp_path, params=params, model="sim", price="none")
    dearer = run(tmp_path, params=params, model="sim", price="0,2")
    assert (dearer.status, dearer.cost) == ("budget", 2 * (first.cost or 0))
    free = run(tmp_path, params=params, model="sim", price="none", max_cost="none")
    assert (free.status, free.cost) == ("done", None)


def test_lanes_that_no_worker_has_read_yet_count(tmp_path: Path, undisturbed: RunResult) -> None:
    run(tmp_path, max_calls=300)
    ended = run(tmp_path, max_calls=400, workers=1)
    assert ended.status == "budget"
    assert 397 < drawn(tmp_path) <= 400
    assert same(run(tmp_path, workers=1, max_calls="none")) == same(undisturbed)


def test_a_task_whose_every_segment_is_short_comes_to_an_end(tmp_path: Path) -> None:
    """Seven commands in a row, each of which can draw a little, on 64 segments in three lanes."""
    params = {"disks": 9, "waypoints": 64}
    for cap in range(10, 80, 10):
        ended = run(tmp_path, params=params, seed=1, max_calls=cap)
        assert (ended.status, drawn(tmp_path)) == ("budget", ended.samples)
        assert cap - 3 < ended.samples <= cap
    assert run(tmp_path, params=params, seed=1, max_calls="none").status == "done"


LIMITED = '''
import asyncio
from maker import Message, Prompt, Sample, Segment

class Words:
    def __init__(self, cap: bool = True, count: int = 20, first: int = 20):
        self.cap, self.count, self.first = cap, count, first
    def segments(self):
        return [Segment(str(n), 0) for n in range(self.count)]
    def prompt(self, step):
        length = self.first if step.segment == "0" else 20
        prompt = Prompt((Message("user", "say a word"),), 10 if self.cap else None)
        return prompt if step.index < length else None
    def parse(self, step, text):
        return text
    def advance(self, step, answer):
        return step.index + 1
    def stitch(self, finals):
        return len(finals)

class Wordy:
    """Takes 9 tokens of prompt and 10 of response; every hundredth response has 50 where it may."""
    name, temperatures = "wordy", (None, None)
    def __init__(self, broken: str = "", slow: str = ""):
        self.drawn, self.broken, self.slow = 0, broken, slow
    async def draw(self, request):
        if request.step.segment == self.slow:
            await asyncio.sleep(0.4)
        for seat in request.seats:
            self.drawn += 1
            if request.step.segment == self.broken and seat.draw:
                raise ZeroDivisionError
            long = self.drawn % 100 == 0 and request.prompt.max_tokens is None
            yield Sample(seat, "a", "stop", 9, 50 if long else 10, 0.0)
    async def aclose(self):
        pass
'''


@pytest.fixture
def words(tmp_path: Path) -> dict[str, object]:
    file = tmp_path / "words.py"
    file.write_text(LIMITED)
    return {"task": f"{file}:Words", "model": f"{file}:Wordy", "engine": "inline", "workers": 3}


def test_tokens_and_money_hold_where_prompts_cap_the_response(
    tmp_path: Path, words: dict[str, object]
) -> None:
    ended = api.run(**words, run_dir=tmp_path / "t", max_tokens=5000)
    assert ended.status == "budget"
    assert 5000 - 3 * (10 + 16 + 10) < ended.tokens_in + ended.tokens_out <= 5000
    ended = api.run(**words, run_dir=tmp_path / "c", max_cost=0.01, price=["wordy=1,2.5"])
    assert ended.cost is not None
    assert ended.cost == (ended.tokens_in * 1 + ended.tokens_out * 2.5) / 1e6
    assert 0.01 - 3 * (26 + 25) / 1e6 < ended.cost <= 0.01
    done = api.resume(tmp_path / "c", engine="inline", price="1,2.5", max_cost="none")
    assert (done.status, done.samples, done.cost) == ("done", 1200, 1200 * (9 + 25) / 1e6)


def test_a_response_that_nothing_caps_may_exceed_a_cap_by_what_no_other_took(
    tmp_path: Path, words: dict[str, object]
) -> None:
    ended = api.run(**words, params={"cap": False}, run_dir=tmp_path / "t", max_tokens=6000)
    assert ended.status == "budget"
    assert 6000 - 3 * (26 + 50) < ended.tokens_in + ended.tokens_out <= 6000 + 50


@pytest.mark.parametrize("cap", range(40, 60))
def test_what_one_lane_does_not_need_another_gets(tmp_path: Path, cap: int) -> None:
    """However the end of a budget falls to two lanes with steps of very different size, the next draw of
    either would not have fitted."""
    params, model = {"disks": 5, "waypoints": 2}, "sim:error=0.3,flags=0.2"
    ended = run(tmp_path, params=params, model=model, k=6, workers=2, max_calls=cap)
    assert ended.reason is not None
    assert ended.seconds < 0.9, "nobody waits for the next report in vain"
    need = re.search("the next draw needs up to ([0-9]+)", ended.reason)
    assert ended.samples == cap or (need and ended.samples + int(need[1]) > cap), ended.reason


@pytest.mark.parametrize("first", [1, 20])
def test_a_run_does_not_end_while_a_slow_lane_draws_or_may_give_something_back(
    tmp_path: Path, words: dict[str, object], first: int
) -> None:
    """Segment 0 takes 0.4 s a step; the other lane has drawn all that it is leased in no time. With `first`
    at 1, what the slow lane does not need any more comes back when it ends."""
    words["model"] = f"{words['model']}:slow=0"
    params = {"count": 2, "first": first}
    ended = api.run(**words, params=params, run_dir=tmp_path / "t", max_calls=40)
    assert (ended.status, ended.samples) == ("budget", 39), ended.reason


def test_a_draw_that_waits_when_its_step_is_parked_is_never_made(tmp_path: Path) -> None:
    def broken(request: Request, seat: Seat) -> Exception:
        return ZeroDivisionError()

    async def go() -> Scripted:
        subject, board = task(), panel(members=("a", "b"))
        lane = journal.Lane.claim(tmp_path, "r", 1)
        lane.turn(Ledger().page([]))
        engine = Engine({"a": Scripted(broken), "b": Scripted(lambda request, seat: "a")}, lane)
        engine.means.allowance = Allowance(
            Terms(Spend(2, NO_CAP, NO_CAP)), engine.ledger.totals, lambda: None
        )
        chain = Chain(subject, board, next(subject.segments()))
        engine.write(records.from_segment(Segment("s0", [])))
        engine.means.allowance.limit_to(Spend(2, NO_CAP, NO_CAP))
        assert isinstance(await engine.run(chain, chain.start()), Park)
        assert engine.means.allowance.account() == Account(need=None)
        await asyncio.sleep(0.05)
        lane.close()
        return engine.models["b"]

    assert asyncio.run(go()).drawn == 0


def test_what_a_broken_draw_was_allowed_comes_back(tmp_path: Path, words: dict[str, object]) -> None:
    """A model that raises parks its step; were its other seats still waited for, so would be the end."""
    words["model"] = f"{words['model']}:broken=0"
    ended = api.run(**words, run_dir=tmp_path / "t", max_calls=100)
    assert (ended.status, ended.parked) == ("budget", 1)
    assert 97 < ended.samples <= 100


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_cost": 1.0}, "max_cost needs the price of every model"),
        ({"max_calls": 0}, "max_calls=0, expected more than 0"),
        ({"max_cost": float("nan"), "price": "1,2"}, "max_cost=nan, expected more than 0"),
        ({"max_calls": "many"}, "max_calls=many, expected more than 0, or none for no cap"),
        ({"max_tokens": 2.5}, "max_tokens=2.5, expected a whole number"),
        ({"price": "1"}, "expected IN,OUT or IN,OUT,CACHED"),
        ({"price": "1,2,3"}, "cached prompt tokens cost more"),
        ({"price": "1,-2"}, "'-2' is no number from 0 up"),
        ({"price": "1,0.0000001"}, "with at most 6 decimals"),
        ({"price": ["1,2", "3,4"]}, "given twice"),
        ({"price": "other=1,2"}, "no such model, expected one of sim, embedded"),
        ({"price": "sim=1,2"}, "no price for embedded: give --price embedded=IN,OUT as well"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        run(tmp_path / "r", model=["sim", "embedded"], **options)
    assert not (tmp_path / "r").exists()


def test_each_model_of_a_panel_has_its_price(maker: Maker) -> None:
    words = ("run", "hanoi", "-T", "disks=4", "--model", "sim", "--model", "embedded", "--k", 4, "--json")
    prices = ("--price", "embedded=2,3", "--price", "0,1")
    done = maker(*words, "--run-dir", "r", *prices).done
    [status] = maker("status", "r", "--json").events
    (sim_in, sim_out, _), (in_, out, _) = status["by_model"]["sim"], status["by_model"]["embedded"]
    assert (sim_in + in_, sim_out + out) == (done["tokens_in"], done["tokens_out"])
    assert done["cost"] == status["cost"] == (sim_out * 1 + in_ * 2 + out * 3) / 1e6 > 0


def test_models_that_retry_parked_steps_have_their_prices_too(tmp_path: Path) -> None:
    params = {"disks": 4, "waypoints": 1}
    parked = run(tmp_path, params=params, model="sim:flags=1", max_samples=5, price="1,1")
    assert parked.status == "parked"
    retried = {"engine": "inline", "retry_parked": True, "model": ["embedded"], "max_cost": 1.0}
    with pytest.raises(UsageError, match="no price for embedded"):
        api.resume(tmp_path, **retried, price="sim=1,1")
    again = api.resume(tmp_path, **retried, price=["sim=0,1", "embedded=2,3"])
    assert (again.status, again.steps) == ("parked", 1), "the next step is the run's own panel's"
    tokens = summary.summarise(RunDirectory(tmp_path)).totals.by_model
    (_, sim_out, _), (heard, said, _) = tokens["sim"], tokens["embedded"]
    assert again.cost == (sim_out + 2 * heard + 3 * said) / 1e6
    plain = api.resume(tmp_path, engine="inline", price="sim=0,2")
    assert plain.cost == (2 * sim_out + 2 * heard + 3 * said) / 1e6


def test_budgets_come_from_a_file_too(maker: Maker) -> None:
    (maker.folder / "run.toml").write_text('max-cost = 0.02\nprice = ["sim=0,2.5"]\n')
    ended = maker(
        "run", "hanoi", "-T", "disks=9", "--model", "sim", "--config", "run.toml", "--run-dir", "r", "--json"
    )
    assert (ended.code, ended.done["status"]) == (4, "budget")
    assert 0.02 - 3 * 750 * 2.5e-6 < ended.done["cost"] <= 0.02, "750 is what its prompts allow a response"
    assert maker("resume", "r", "--max-calls", 5, "--json").code == 4
    assert maker("resume", "r", "--max-calls", "none", "--max-cost", "none").code == 0
