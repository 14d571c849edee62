"""What monitoring is told of a run: by how much it has grown, under few names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from maker import metrics
from maker.latency import BOUNDS, Histogram
from maker.limits import Figures
from maker.metrics import MOST, OTHER, Change, Meter
from maker.totals import Totals


@dataclass
class Now:
    """A coordinator's report."""

    totals: Totals = field(default_factory=Totals)
    going: int = 0
    finished: int = 0
    parked: int = 0
    lost_workers: int = 0
    requests: Mapping[str, Figures] = field(default_factory=dict)
    latencies: Mapping[str, Histogram] = field(default_factory=dict)


def summed(changes: Iterable[Change]) -> dict[tuple[str, ...], float]:
    """By name and labels but the run's."""
    found: Counter[tuple[str, ...]] = Counter()
    for change in changes:
        values = [value for name, value in change.labels.items() if name != "run"]
        found[change.metric.name, *values] += change.value  # type: ignore[assignment]
    return dict(found)


def test_a_resumed_run_tells_only_what_its_command_adds() -> None:
    meter = Meter("r", Totals(steps=100, votes=300, reasons=Counter(malformed=7)))
    now = Now(Totals(steps=140, votes=420, reasons=Counter(malformed=7, truncated=1)))
    found = summed(meter.read(now))
    assert {name: value for name, value in found.items() if name[0] != "maker_segments"} == {
        ("maker_steps",): 40,
        ("maker_votes",): 120,
        ("maker_flags", "truncated"): 1,
    }
    assert {change.metric.kind for change in meter.read(now)} == {"gauge"}


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(0, 1000))
def test_counters_never_fall_and_add_up_to_what_the_run_came_to(seen: list[int], before: int) -> None:
    """A lost worker takes with it what it had not written, and that is drawn again."""
    meter = Meter("r", Totals(steps=before))
    changes = [meter.read(Now(Totals(steps=steps))) for steps in seen]
    steps = [each.value for told in changes for each in told if each.metric is metrics.STEPS]
    assert all(value > 0 for value in steps)
    assert sum(steps) == max(0, max(seen) - before)


@given(st.dictionaries(st.text(), st.integers(1, 9), max_size=60))
def test_names_that_a_plug_in_makes_up_become_few_labels_and_no_fault_is_lost(kinds: dict[str, int]) -> None:
    meter = Meter("r\x1b[31m")
    told = meter.read(Now(Totals(faults=Counter(kinds))))
    faults = [each for each in told if each.metric is metrics.FAULTS]
    labels = {each.labels["kind"] for each in faults}
    assert len(labels - {OTHER}) <= MOST
    assert all(label.isascii() and label.isprintable() and len(label) <= 80 for label in labels)
    assert sum(each.value for each in faults) == sum(kinds.values())
    assert {each.labels["run"] for each in told} == {"r__31m"}


def test_a_label_keeps_its_name_when_others_come() -> None:
    meter, faults = Meter("r"), Counter({"http-429": 1})
    meter.read(Now(Totals(faults=faults)))
    for number in range(3 * MOST):
        faults[f"kind-{number}"] += 1
        faults["http-429"] += 1
        [*_, told] = (each for each in meter.read(Now(Totals(faults=faults))) if "429" in str(each.labels))
        assert (told.labels["kind"], told.value) == ("http-429", 1)


def test_changes_are_told_once_a_second() -> None:
    clock = iter([100.0, 100.5, 101.0])
    meter = Meter("r", clock=lambda: next(clock))
    told = [summed(meter(Now(Totals(steps=steps)))).get(("maker_steps",)) for steps in (1, 2, 5)]
    assert told == [1, None, 4]


@given(st.lists(st.floats(0, 1000)), st.lists(st.floats(0, 1000)))
def test_buckets_count_what_took_as_long_or_less(first: list[float], more: list[float]) -> None:
    histogram, other = Histogram(), Histogram()
    for seconds in first:
        histogram.note(seconds)
    for seconds in more:
        other.note(seconds)
    histogram.add(other)
    found = summed(Meter("r").read(Now(latencies={"m": histogram})))
    for bound in BOUNDS:
        count = sum(seconds <= bound for seconds in first + more)
        assert found.get(("maker_latency_seconds_bucket", "m", str(bound)), 0) == count
    count = found.get(("maker_latency_seconds_bucket", "m", "+Inf"), 0)
    assert count == len(first + more) == sum(histogram.counts)


def test_gauges_are_told_each_time_for_ray_forgets_those_that_are_not() -> None:
    meter = Meter("r")
    figures = Figures(20, 100, 3.5, 2, 9, 0, 0, 0.0)
    found = summed(meter.read(Now(going=3, requests={"openai:m": figures})))
    assert found["maker_request_limit", "openai:m"] == 20
    assert found["maker_requests", "openai:m", "under_way"] == 3.5
    assert found["maker_segments", "parked"] == 0
    again = summed(meter.read(Now(going=2, requests={"openai:m": figures})))
    assert again == {**found, ("maker_segments", "going"): 2}


def test_every_metric_has_a_name_and_labels_that_prometheus_takes() -> None:
    names = [metric.name for metric in metrics.METRICS]
    assert len(set(names)) == len(names)
    for metric in metrics.METRICS:
        assert all(part.isidentifier() and part.isascii() for part in (metric.name, *metric.labels))
