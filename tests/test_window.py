"""The window that finds itself: as wide as guesses pay, 1 where there is nothing to hide."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maker
from maker.errors import UsageError
from maker.operation import Operation
from maker.run_directory import RunDirectory
from maker.window import FIRST, MOST, SHORT, Window

MOMENTS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.lists(st.floats(0, 10), max_size=5),
        st.integers(0, 100),
        st.booleans(),
    )
)


@given(MOMENTS)
def test_it_stays_between_one_and_the_most(moments: list[tuple[int, list[float], int, bool]]) -> None:
    window = Window()
    for moment in moments:
        window.follow(*moment)
        assert 1 <= window.size <= MOST
        assert window.surplus >= 0


def test_it_grows_with_each_step_while_no_guess_is_lost() -> None:
    window = Window()
    for _ in range(10):
        window.follow(1, [0.5] * 3, 0, waiting=False)
    assert window.size == FIRST + 10
    window.follow(1000, [0.5], 0, waiting=False)
    assert window.size == MOST


def test_a_lost_guess_or_two_is_the_price_and_many_halve_it() -> None:
    window = Window(size=40)
    window.follow(1, [0.5] * 3, 5, waiting=False)
    assert window.size == 41
    window.follow(1, [0.5] * 3, 30, waiting=False)
    assert window.size == 20, "five and thirty of two hundred are more than a twentieth"
    window.follow(1, [0.5] * 3, 0, waiting=False)
    assert window.size == 20, "nor does it grow before they are forgotten"


def test_it_gives_way_where_requests_wait_for_permits() -> None:
    window = Window(size=3)
    sizes = []
    for _ in range(4):
        window.follow(1, [0.5], 0, waiting=True)
        sizes.append(window.size)
    assert sizes == [2, 1, 1, 1]


def test_calls_that_take_no_time_are_not_hidden() -> None:
    window = Window()
    window.follow(1, [SHORT / 2] * 3, 0, waiting=False)
    assert window.size == 1


def test_an_unknown_durability_is_told() -> None:
    with pytest.raises(UsageError, match="durability='Step', expected group or step"):
        Operation(durability="Step")  # type: ignore[arg-type]


def test_an_unknown_window_is_told() -> None:
    assert Operation(window="auto").width is None
    assert Operation(window="8").width == Operation(window=8).width == 8
    for window in ("wide", "0", 0, "-1", "1.5"):
        with pytest.raises(UsageError, match="1 or more steps, or auto"):
            Operation(window=window)


def ahead(folder: Path) -> int:
    """The most steps that a sample was written before its step became the head."""
    head, most = 0, 0
    for record in RunDirectory(folder).records(("sample", "decision")):
        if record["kind"] == "decision":
            head = record["step"] + 1
        else:
            most = max(most, record["step"] - head)
    return most


@pytest.mark.parametrize(("error", "least", "most"), [(0.0, 8, MOST), (0.3, 1, 20)])
def test_a_chain_looks_as_far_ahead_as_its_steps_are_certain(
    tmp_path: Path, error: float, least: int, most: int
) -> None:
    model = f"sim:error={error},latency=10ms,sigma=1.0"
    params, how = {"disks": 6}, {"k": 5, "engine": "inline", "seed": 1}
    ended = maker.run("hanoi", params=params, model=model, window="auto", run_dir=tmp_path / "r", **how)
    assert ended.verified
    assert least <= ahead(tmp_path / "r") <= most
    plain = maker.run("hanoi", params=params, model=f"sim:error={error}", run_dir=tmp_path / "plain", **how)
    assert (ended.votes, ended.contested) == (plain.votes, plain.contested)
    assert ended.samples <= plain.samples * 1.5  # with a window of 64 it is 2.2 where answers err so much


def test_nothing_is_begun_on_a_guess_where_answers_come_at_once(tmp_path: Path) -> None:
    ended = maker.run(
        "hanoi", params={"disks": 6}, model="sim", window="auto", engine="inline", run_dir=tmp_path / "r"
    )
    assert ended.verified
    assert ahead(tmp_path / "r") <= FIRST
