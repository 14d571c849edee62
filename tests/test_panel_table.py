"""What is worked out from drawn answers: ballots as words, panels as mixtures, wrong decisions."""

from __future__ import annotations

import asyncio
import random

import pytest

from maker.decomposers.hanoi import path, wording
from maker.nouns import Flags, Tally, Votes
from training import chains, panel_table
from training.exact import LEADS


def test_a_ballot_tells_its_draws_in_their_order() -> None:
    votes = (Votes("right", (0, 3, 5)), Votes("other", (1, 4)), Votes("third", (6,)))
    tally = Tally(votes, (Flags("malformed", (2,)), Flags("truncated", (7,))))
    assert chains.ballot(tally, "right") == "RaFRaRbF"
    assert chains.ballot(tally, "third") == "abFabaRF"


def test_a_run_without_votes_ends_at_its_first_wrong_decision_and_one_with_votes_is_solved() -> None:
    alone = asyncio.run(chains.runs(6, 1, 2.5, [1], range(6)))
    voted = asyncio.run(chains.runs(6, 4, 1.5, [1], range(2)))
    assert {run.ended for run in voted} == {"solved"}
    assert all(run.steps == 63 and sum(run.ballots.values()) == 63 for run in voted)
    lost = [run for run in alone if run.ended == "wrong"]
    assert lost
    assert all(run.steps == sum(run.ballots.values()) - 1 for run in lost)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_ruin_of_two_answers_is_that_of_a_simulated_race(k: int) -> None:
    rng, lost, races = random.Random(k), 0, 4000
    for _ in range(races):
        margin = 0
        while abs(margin) < k:
            margin += 1 if rng.random() < 0.6 / 0.9 else -1
        lost += margin < 0
    seen = {"right": 0.6, "x": 0.3}
    assert panel_table.ruin(seen, k) == pytest.approx(lost / races, abs=0.025)


def drawn(texts: dict[str, int], number: int) -> dict[str, object]:
    return {"stratum": "s", "at": 0, "state": 3, "disks": 3, "set": number, "seen": texts}


def searched(elsewhere: float) -> dict[str, object]:
    wrong = {f"k{k}": elsewhere for k in LEADS}
    return {"stratum": "s", "at": 0, "states": 10, "error": 0.8, "wrong_elsewhere": wrong}


def test_a_panel_outvotes_the_answer_that_only_one_of_its_sets_gives() -> None:
    wrong = wording.write([1, 0, 1], path.pegs_after(3, 2))
    malformed = wrong.replace("[", "(")
    line = searched(0.1)
    one = drawn({wrong: 100, "right": 60, malformed: 40}, 1)
    two = drawn({"right": 150, malformed: 50}, 2)
    rows = {
        tuple(row["panel"]): row for row in panel_table.rows({"set1": [line], "set2": [line]}, [one, two])
    }
    assert [rows[panel]["majority_wrong"] for panel in ((1,), (2,), (1, 2))] == [1, 0, 0]
    assert rows[1,]["fewest_valid"] == pytest.approx(0.8)
    share = rows[1, 2]["wrong_decisions"]["k3"] - 0.1
    assert share == pytest.approx(1 / (1 + (210 / 100) ** 3))


def test_texts_that_say_the_same_are_one_answer_to_the_papers_parser_alone() -> None:
    wrong = wording.write([1, 0, 1], path.pegs_after(3, 2))
    line = searched(0.0)
    seen = drawn({wrong: 40, wrong.replace(" = ", "="): 40, "right": 60}, 1)
    [row] = panel_table.rows({"set1": [line]}, [seen])
    assert (row["majority_wrong"], row["majority_wrong_plain"]) == (1, 0)
