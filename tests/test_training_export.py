"""The training data is the referee's truth, and a real llama-server with our weights says what numpy says."""

from __future__ import annotations

import json
import random
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from maker.decomposers.hanoi import Hanoi, path, several, wording
from maker.decomposers.hanoi.referee import Referee
from maker.nouns import Message, Prompt, Step
from maker.workers.embedded import fill
from maker.workers.embedded.dialects import find
from maker.workers.embedded.dialects.hanoi import DIALECT, WORDS
from maker.workers.embedded.drawing import Asked, Draw
from maker.workers.embedded.transformer import CONTEXT
from maker.workers.embedded.vocabulary import ANSWER, EOS, PAD
from training.lessons import hanoi as data
from training.lessons import hanoi_moves

EXACT = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Without these llama.cpp cuts the tail of the distribution."""


def asked(server: str, messages: tuple[Message, ...], **more: Any) -> Any:
    chat = [{"role": message.role, "content": message.content} for message in messages]
    body = json.dumps({"model": "hanoi", "messages": chat, "max_tokens": 60, **EXACT, **more}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{server}/v1/chat/completions", body, headers), timeout=20
    ) as answer:
        return json.load(answer)


def prompts(count: int) -> Iterator[tuple[int, Prompt]]:
    rng = random.Random(7)
    for _ in range(count):
        disks = rng.randint(1, 20)
        moves = rng.randrange(2**disks - 1)
        state = {"pegs": path.pegs_after(disks, moves), "previous": path.move_number(disks, moves)}
        prompt = Hanoi(disks).prompt(Step("0", 0, state))
        assert prompt is not None
        yield disks, prompt


def greedy(prompt: Prompt) -> str:
    one = Asked(find(prompt.messages)[1], [Draw(0.0, 0)], CONTEXT)
    fill(DIALECT, [one])
    return WORDS.decode(one.draws[0].tokens[:-1])


def test_llama_server_answers_as_numpy_does(llama_server: str) -> None:
    for disks, prompt in prompts(20):
        answer = asked(llama_server, prompt.messages, temperature=0)
        assert answer["choices"][0]["message"]["content"] == greedy(prompt)
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert answer["usage"]["prompt_tokens"] == len(find(prompt.messages)[1]) <= disks + 10
        assert answer["usage"]["completion_tokens"] == disks + 9


def test_three_choices_of_one_request_differ_at_a_high_temperature(llama_server: str) -> None:
    _, prompt = next(prompts(1))
    answers = [asked(llama_server, prompt.messages, temperature=3.0, n=3, seed=seed) for seed in range(5)]
    assert all(len(answer["choices"]) == 3 for answer in answers)
    assert len({choice["message"]["content"] for answer in answers for choice in answer["choices"]}) > 3


# -- the data it was trained on ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "uniform", "sticky"])
@pytest.mark.parametrize("disks", [1, 2, 3, 7, 20])
def test_a_training_row_is_the_question_and_the_fixed_rules_answer(kind: str, disks: int) -> None:
    steps = data.draw(np.random.default_rng(disks), kind, disks, 40)
    for row, where, move in zip(data.rows(steps), steps.pegs, steps.previous.tolist(), strict=True):
        pegs = [[disk for disk in range(disks, 0, -1) if where[disk - 1] == peg] for peg in range(3)]
        previous = move if move[0] else None
        prompt = find((Message("user", wording.question(disks, pegs, previous)),))[1]
        right = path.next_move(pegs, previous)
        answer = WORDS.encode(wording.write(right, path.apply(pegs, right)))
        assert row[row != PAD].tolist() == [*prompt, *answer, EOS]


@pytest.mark.parametrize("kind", ["path", "uniform", "sticky"])
@pytest.mark.parametrize("disks", [2, 3, 6, 10])
@pytest.mark.parametrize("moves", [1, 2, 3, 4])
def test_so_is_one_of_several_moves_and_each_of_them_can_be_made(kind: str, disks: int, moves: int) -> None:
    steps = hanoi_moves.possible(data.draw(np.random.default_rng(disks), kind, disks, 40), moves)
    for row, where, move in zip(
        hanoi_moves.rows(steps, moves), steps.pegs, steps.previous.tolist(), strict=True
    ):
        pegs = [[disk for disk in range(disks, 0, -1) if where[disk - 1] == peg] for peg in range(3)]
        previous = move if move[0] else None
        dialect, prompt = find((Message("user", several.question(disks, pegs, previous, moves)),))
        made, after = path.walk(pegs, previous, moves)
        answer = several.write(made, after)
        assert row[row != PAD].tolist() == [*prompt, *dialect.words.encode(answer), EOS]
        assert Referee(pegs).judge({"moves": made, "next_state": after}) is None


def test_path_steps_are_those_of_the_closed_form() -> None:
    for disks in range(1, 9):
        steps = data.path(disks, np.arange(2**disks - 1))
        for moves in range(2**disks - 1):
            where = {disk: peg for peg, held in enumerate(path.pegs_after(disks, moves)) for disk in held}
            assert steps.pegs[moves].tolist() == [where[disk] for disk in range(1, disks + 1)]
            assert steps.previous[moves].tolist() == (path.move_number(disks, moves) or [0, 0, 0])


def test_no_training_batch_holds_a_held_out_state_and_about_2_percent_are_held_out() -> None:
    rng = np.random.default_rng(1)
    assert not any(data.held_out(steps).any() for steps in data.batch_of_steps(rng, 20_000, 20, 0.5))
    share = data.held_out(data.uniform(rng, 14, 50_000)).mean()
    assert 0.015 < share < 0.025


def asked_in(row: list[int]) -> tuple[str, str]:
    """The previous move and the pegs of a row of several moves."""
    question = hanoi_moves.DIALECT.words.decode(row[: row.index(ANSWER)])
    found = re.search(r"previous_move = (.*)\ncurrent_state = (.*)\nmoves_to_make", question)
    assert found is not None
    return found[1], found[2]


def test_no_row_of_several_moves_begins_in_a_held_out_state() -> None:
    rng, seen = np.random.default_rng(1), 0
    made = [hanoi_moves.fresh(rng, 3000, "mined1", 0.0), *(rows[::20] for rows in hanoi_moves.pool(rng))]
    for row in np.concatenate(made).tolist():
        said, pegs = asked_in(row)
        where = {disk: peg for peg, held in enumerate(json.loads(pegs)) for disk in held}
        steps = data.Steps(
            np.array([[where[disk] for disk in sorted(where)]]),
            np.array([[0, 0, 0] if said == "None" else json.loads(said)]),
        )
        seen += len(where) >= data.SMALL
        assert not data.held_out(steps).any()
    assert seen > 3000
