"""The benchmarks that judge as well as measure, on small sizes."""

from __future__ import annotations

from openai import OpenAI

from benchmarks import http, journal, one_pass, resume
from benchmarks.chat_server import served
from benchmarks.serial import generate_solution
from maker.decomposers.hanoi import Hanoi


def test_a_chain_killed_at_random_points_ends_as_the_undisturbed_one() -> None:
    killed, wrong = resume.measure(11, kills=2)
    assert not wrong
    assert [row["end"] for row in killed.rows] == ["killed"] * (len(killed.rows) - 1) + ["done"]
    assert len(killed.rows) > 1
    assert killed.rows[1]["steps before"] > 0
    assert 0 < killed.rows[1]["after claim s"] < killed.rows[1]["first draw s"]


def test_the_journals_figures_are_of_one_run() -> None:
    figures = {row["figure"]: row for row in journal.measure(disks=8, rounds=1)}
    assert 10 < figures[journal.BYTES_RECORD]["median"] < figures[journal.BYTES_SAMPLE]["median"] < 200
    assert all(row["min"] <= row["median"] <= row["max"] for row in figures.values())


def test_hops_guessed_at_once_go_wrong_in_a_deep_graph_and_a_search_by_steps_does_not() -> None:
    guesses, chain = one_pass.measure(2, runs=1)
    assert (guesses["graphs right"], chain["graphs right"]) == ("0 of 1", "1 of 1")
    assert guesses["samples a graph"] > 3 * chain["samples a graph"]


def test_the_serial_baseline_and_every_way_beside_it_go_the_whole_way() -> None:
    with served(error=0.05) as url:
        task, client = Hanoi(4), OpenAI(api_key="none", base_url=url, max_retries=0)
        assert generate_solution(client, task, 3, steps=99).state["pegs"] == [[], [], [4, 3, 2, 1]]
        ways = http.Setting(url, disks=4).ways(chains=2)
        assert {(way.name, way.walk()) for way in ways} == {("serial", 15), ("raw", 15), ("maker", 15)}
