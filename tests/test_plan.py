"""Plans from calibrations: the honest k, what cannot be reached, what to buy; and a run that follows one."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import maker as library
from maker.calibration import Kind, Mean, read
from maker.choices import Choices, compare, read_prices
from maker.errors import UsageError
from maker.offer import of
from maker.plan import Aim, Plan, plan
from maker.plan_picture import svg
from maker.theory import k_min, p_full
from tests.calibrated import Row, calibration, kept, share
from tests.conftest import Maker

MILLION = 2**20
AIM = Aim(0.95)


def planned(rows: list[Row], steps: float = MILLION, aim: Aim = AIM, **more: object) -> Plan:
    return plan(of(calibration(rows, **more), steps, aim.confidence, {}), aim)


def bought(*seen: tuple[list[Row], str], prices: list[str], aim: Aim = AIM) -> Choices:
    made = [
        calibration(rows, f"sim:error={model}", tokens_in=Mean(value=600, low=600, high=600))
        for rows, model in seen
    ]
    return compare([(each, MILLION) for each in made], aim, read_prices(prices, made))


def test_k_comes_from_the_bound_and_not_from_the_error_as_seen() -> None:
    """Of 2 wrong in 1,000: at most 0.0084 at 99 %; the table of calibration examples."""
    found = planned([(1, 0, 998), (0, 1, 2)])
    assert found.offer.error_bound == pytest.approx(0.0084, abs=1e-4)
    assert (found.k_seen, found.k) == (3, 4)
    assert found.success == pytest.approx(p_full(1 - found.offer.error_bound, 4, MILLION))
    assert planned([(1, 0, 998), (0, 1, 2)], aim=Aim(0.95, 0.5)).k == 3


@pytest.mark.parametrize(("error", "count"), [(0.1, 100), (0.1, 300), (0.01, 300), (0.002, 1000)])
def test_k_from_the_99_percent_bound_is_too_small_in_under_2_percent(error: float, count: int) -> None:
    """All of what a sample of single votes can say, each weighted by how often it comes."""
    right = k_min(1 - error, 0.95, MILLION)
    assert right
    drawn = np.random.default_rng(1).binomial(count, error, 100_000)
    values, counts = np.unique(drawn, return_counts=True)
    too_small = 0
    for wrong, often in zip(values.tolist(), counts.tolist(), strict=True):
        k = planned([(1, 0, count - wrong), *([(0, 1, wrong)] if wrong else [])]).k
        too_small += often * (k is not None and k < right)
    assert too_small / 100_000 < 0.02


def test_steps_of_unlike_hardness_get_the_k_that_the_hard_ones_need() -> None:
    rng = np.random.default_rng(2)
    wrong = rng.binomial(10, np.where(rng.random(4000) < 0.02, 0.3, 0.002))
    rows = [(10 - value, value, int((wrong == value).sum())) for value in range(11) if (wrong == value).any()]
    found = planned(rows)
    assert found.k is not None and found.k_alike is not None
    assert found.k > 3 * found.k_alike, "the mean error alone would ask for far too few"
    assert found.escalation is not None
    assert found.escalation.votes_per_step < 0.9 * found.votes / MILLION
    assert any("errors come together" in each for each in found.warnings)


def test_steps_that_mostly_go_wrong_cannot_be_outvoted_and_the_plan_says_so() -> None:
    found = planned([(8, 0, 970), (7, 1, 10), (1, 7, 20)])
    assert found.k is None
    assert found.success == 0
    assert found.success_at_most < 1e-100
    assert "mostly go wrong" in found.warnings[0]
    assert found.to_json()["votes"] is None, "no figure is made up"


def test_an_error_that_may_be_a_half_has_no_k_and_the_plan_says_why() -> None:
    found = planned([(1, 0, 6), (0, 1, 4)])
    assert found.k is None
    assert "sample more, or take another model" in found.warnings[0]


def test_a_target_that_the_sample_cannot_vouch_for_is_called_uncertified() -> None:
    long, short = planned([(3, 0, 1000)]), planned([(3, 0, 1000)], steps=5)
    assert any("94,142,343 steps" in each for each in long.warnings)
    assert long.success >= 0.95 > long.success_certain
    assert not any("certified" in each for each in short.warnings)
    assert short.success_certain >= 0.95


def test_kinds_of_steps_that_are_worse_than_all_are_named() -> None:
    def kind(name: str, right: int, wrong: int, lost: int = 0) -> Kind:
        votes = right + wrong
        return Kind(
            name=name,
            evenly=1,
            steps=votes // 3,
            valid=share(votes, votes),
            error=share(wrong, votes),
            majority_wrong=share(lost, votes // 3),
        )

    kinds = [kind("usual", 2994, 6), kind("rare", 48, 12), kind("lost", 10, 20, 7)]
    found = planned([(3, 0, 994), (2, 1, 6)], kinds=kinds)
    lost, rare = [each for each in found.warnings if "of the kind" in each]
    assert "'lost': 0.67 of votes wrong" in lost
    assert "at 7 of 10 most votes were wrong" in lost
    assert f"'rare': 0.2 of votes wrong, 0 of samples flagged, of all steps {6 / 3000:.2g} and 0" in rare
    assert f"by what was seen they need k = {k_min(0.8, AIM.target, MILLION)}" in rare


def test_a_calibration_by_disagreement_and_one_of_single_votes_are_told() -> None:
    blind = planned([(3, 0, 1000)], truth="disagreement")
    single = planned([(1, 0, 1000)])
    assert any("no truth" in each for each in blind.warnings)
    assert any("--draws 3" in each for each in single.warnings)


def test_the_least_cost_over_p_is_not_always_the_cheapest_for_the_whole_task() -> None:
    poor, good = ([(3, 0, 100), (2, 1, 300), (1, 2, 20)], "0.3"), ([(3, 0, 995), (2, 1, 5)], "0.01")
    found = bought(poor, good, prices=["sim:error=0.3=1,1", "sim:error=0.01=1.9,1.9"])
    assert found.best is found.measured[1]
    assert any("fails here" in note for note in found.notes)
    agreeing = bought(poor, good, prices=["sim:error=0.3=1,1", "sim:error=0.01=1.1,1.1"])
    assert any("as well" in note for note in agreeing.notes)


def test_a_budget_that_is_too_small_tells_what_it_buys() -> None:
    aim = Aim(0.95, budget=1300)
    found = bought(([(3, 0, 995), (2, 1, 5)], "0.01"), prices=["1,1"], aim=aim).measured[0]
    assert found.cost and found.cost > 1300
    assert any("buys k = 2" in each for each in found.warnings)


def test_several_steps_a_call_and_panels_are_marked_as_not_measured() -> None:
    found = bought(([(3, 0, 995), (2, 1, 5)], "0.01"), ([(3, 0, 990), (2, 1, 10)], "0.02"), prices=["1,1"])
    panel, *calls = found.supposed
    assert panel.offer.error == pytest.approx(0.0025, abs=1e-4)
    assert all(any("not measured" in each for each in one.warnings) for one in found.supposed)
    four = next(each for each in calls if each.offer.per_call == 4)
    assert four.offer.steps == MILLION / 4
    assert four.cost and found.measured[0].cost and four.cost < found.measured[0].cost, "one prompt for four"


def test_chains_at_a_time_take_less_time_and_the_same_k() -> None:
    found = bought(([(3, 0, 995), (2, 1, 5)], "0.01"), prices=[])
    one, eight, _ = found.clocks
    assert eight.seconds == pytest.approx(one.seconds / 8)
    assert one.seconds_ahead < one.seconds


def test_the_picture_is_svg_whatever_a_model_is_called() -> None:
    made = calibration([(3, 0, 995), (2, 1, 5)])
    hostile = made.model_copy(
        update={"models": [made.models[0].model_copy(update={"spec": "<script>&\x1b"})]}
    )
    drawn = svg(compare([(hostile, 1000)], AIM, {}))
    root = ElementTree.fromstring(drawn)
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 1
    assert "<script>" not in drawn


# -- the commands -----------------------------------------------------------------------------------

SIM = "sim:error=0.01"


@pytest.fixture
def seen(tmp_path: Path) -> str:
    """Of ten disks, 1,023 steps."""
    rows = [(3, 0, 970), (2, 1, 30)]
    made = calibration(rows, SIM, 1023)
    return kept(tmp_path / "c.json", made.model_copy(update={"parameters": {**made.parameters, "disks": 10}}))


def test_maker_plan_says_k_and_what_it_takes(maker: Maker, seen: str) -> None:
    ended = maker("plan", "hanoi", "--calibration", seen, "--price", "1,2", "--picture", "p.svg", "--json")
    lines = ended.events
    assert ended.code == 0
    assert lines[0]["event"] == "plan"
    assert (lines[0]["k"], lines[0]["offer"]["steps"]) == (3, 1023)
    assert lines[-1]["event"] == "choice"
    assert (maker.folder / "p.svg").read_text().startswith("<svg")
    longer = maker("plan", "hanoi", "-T", "disks=20", "--calibration", seen)
    assert "1,048,575 steps" in longer.out
    assert "not certified" in longer.out


def test_maker_plan_refuses_what_it_cannot_use(maker: Maker, seen: str) -> None:
    assert "is not what was calibrated" in maker("plan", "sorting", "--calibration", seen).err
    assert "none.json cannot be read" in maker("plan", "hanoi", "--calibration", "none.json").err
    assert "--budget needs the price" in maker("plan", "hanoi", "--calibration", seen, "--budget", "3").err
    (maker.folder / "bad.json").write_text(json.dumps({"format": 1}))
    bad = maker("plan", "hanoi", "--calibration", "bad.json")
    assert (bad.code, "make one with `maker calibrate`" in bad.err) == (2, True)


@pytest.mark.parametrize(
    ("picture", "said"),
    [("p.png", "ends in .svg"), ("no/p.svg", "there is no folder no"), ("d.svg", "that is a folder")],
)
def test_a_picture_that_cannot_be_written_is_refused_first(
    maker: Maker, seen: str, picture: str, said: str
) -> None:
    (maker.folder / "d.svg").mkdir()
    ended = maker("plan", "hanoi", "--calibration", seen, "--picture", picture)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_two_calibrations_of_one_model_are_told_apart_and_what_is_free_costs_nothing(
    maker: Maker, seen: str
) -> None:
    both = ("--calibration", seen, "--calibration", seen)
    ended = maker("plan", "hanoi", *both, "--price", "0,0")
    assert ended.code == 0
    assert "sim:error=0.01 (calibration 2)" in ended.out
    assert "chooses sim:error=0.01 (calibration 1) as well" in ended.out
    assert "inf" not in ended.out


def test_calibrations_of_tasks_of_unlike_size_are_not_compared(
    maker: Maker, seen: str, tmp_path: Path
) -> None:
    other = kept(tmp_path / "d.json", calibration([(3, 0, 970), (2, 1, 30)], SIM, 63))
    both = ("--calibration", seen, "--calibration", other)
    ended = maker("plan", "hanoi", *both)
    assert (ended.code, "are of 1,023 and 63 steps: say which by -T" in ended.err) == (2, True)
    assert maker("plan", "hanoi", *both, "--steps", "500").code == 0


def test_a_run_with_a_target_has_the_planned_k_and_resumes_as_the_same_run(maker: Maker, seen: str) -> None:
    asked = ("run", "hanoi", "-T", "disks=6", "--model", SIM, "--target", "0.95", "--calibration", seen)
    first = maker(*asked, "--run-dir", "r", "--engine", "inline", "--json")
    assert first.done["verified"] is True
    assert "calibrated_otherwise" in first.err, "six disks where ten were calibrated"
    stored = json.loads((maker.folder / "r" / "manifest.json").read_text())
    assert stored["voter"]["spec"] == "ahead_by_k:k=2", "63 steps need less than 1,023"
    again = maker(*asked, "--run-dir", "r", "--engine", "inline", "--json")
    assert again.done["verified"] is True


def test_a_target_beside_k_or_for_another_model_is_refused(seen: str, tmp_path: Path) -> None:
    def run(**more: object) -> None:
        given = {"model": SIM, "target": 0.95, "calibration": seen, "engine": "inline", **more}
        library.run("hanoi", params={"disks": 6}, run_dir=tmp_path / "r", **given)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="leave out ahead_by_k:k=3"):
        run(k=3)
    with pytest.raises(UsageError, match=r"models.0.spec is sim:error=0.5 here and sim:error=0.01 there"):
        run(model="sim:error=0.5")
    with pytest.raises(UsageError, match="red_flags"):
        run(red_flags="refusal")
    with pytest.raises(UsageError, match="give both"):
        run(calibration=None)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("votes", [], "its votes are 0 wrong of 0 at 0 steps, its figures say"),
        ("models", [], "models: "),
        ("steps", 7, "its figures say"),
    ],
)
def test_a_calibration_whose_figures_do_not_follow_from_its_votes_is_refused(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    file = tmp_path / "edited.json"
    made = json.loads(calibration([(3, 0, 98), (2, 1, 2)]).model_dump_json())
    file.write_text(json.dumps(made | {field: value}))
    with pytest.raises(UsageError, match=said):
        read(file)
