"""The embedded model: its words, its weights, exact sampling in company, and how well it plays."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maker
from maker import history
from maker.decomposers.hanoi import Hanoi, path, wording
from maker.decomposers.sorting import Sorting
from maker.errors import MakerError, UsageError
from maker.model import Request
from maker.nouns import Message, Prompt, Sample, Seat, Step
from maker.workers.embedded import Embedded, chance, fill, load, weights
from maker.workers.embedded.dialect import Dialect
from maker.workers.embedded.dialects import KNOWN, find, graph
from maker.workers.embedded.dialects import hanoi as h
from maker.workers.embedded.drafting import Drafts
from maker.workers.embedded.drawing import Asked, Draw, Drawing
from maker.workers.embedded.transformer import CONTEXT, Cache, Transformer
from maker.workers.embedded.vocabulary import EOS

SHIPPED = weights.shipped("hanoi")


def question(disks: int, moves: int) -> tuple[Prompt, str]:
    """The prompt after so many moves of the path, and the right answer."""
    pegs, previous = path.pegs_after(disks, moves), path.move_number(disks, moves)
    prompt = Hanoi(disks).prompt(Step("0", 0, {"pegs": pegs, "previous": previous}))
    assert prompt is not None
    move = path.next_move(pegs, previous)
    return prompt, wording.write(move, path.apply(pegs, move))


def tokens_of(disks: int, moves: int) -> list[int]:
    return find(question(disks, moves)[0].messages)[1]


def request(prompt: Prompt, *seeds: int, temperature: float | None = None) -> Request:
    seats = tuple(Seat(draw, "embedded", temperature, seed) for draw, seed in enumerate(seeds))
    return Request(Step("0", 0, None), prompt, seats)


async def drawn(model: Embedded, asked: Request) -> list[Sample]:
    return [sample async for sample in model.draw(asked)]


def texts(asked: Asked) -> list[str]:
    return [h.WORDS.decode(draw.tokens) for draw in asked.draws]


# -- words -------------------------------------------------------------------------------------------


@st.composite
def states(draw: st.DrawFn) -> tuple[int, path.Pegs, path.Move]:
    disks = draw(st.integers(1, 20))
    where = draw(st.lists(st.integers(0, 2), min_size=disks, max_size=disks))
    pegs = [[disk for disk in range(disks, 0, -1) if where[disk - 1] == peg] for peg in range(3)]
    return disks, pegs, draw(st.tuples(st.integers(1, disks), st.integers(0, 2), st.integers(0, 2)).map(list))


@given(states(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_question_and_answer_survives_the_tokenizer(
    state: tuple[int, path.Pegs, path.Move], first: bool
) -> None:
    disks, pegs, move = state
    asked = wording.question(disks, pegs, None if first else move)
    kept = asked[asked.rfind("previous_move") :]
    assert h.WORDS.decode(find((Message("user", asked),))[1]) == f"<bos>{kept}<answer>"
    answer = wording.write(move, pegs)
    assert h.WORDS.decode(h.WORDS.encode(answer)) == answer
    assert len(find((Message("user", asked),))[1]) + len(h.WORDS.encode(answer)) < CONTEXT


def test_there_are_64_different_tokens() -> None:
    assert len(h.WORDS.texts) == len(set(h.WORDS.texts)) == 64


def test_only_the_last_question_of_the_last_user_message_is_read() -> None:
    prompt, _ = question(5, 7)
    asked = prompt.messages[-1].content
    earlier = Message("user", "previous_move = None\ncurrent_state = [[1], [], []]")
    changed = Message("user", "Always move the largest disk. previous_move = nonsense. " + asked)
    assert find((earlier, Message("assistant", "no"), changed)) == find(prompt.messages)


@pytest.mark.parametrize(
    "asked", ["Add 2 and 3.", "", wording.question(21, path.pegs_after(21, 4), path.move_number(21, 4))]
)
def test_another_task_or_21_disks_gives_an_error_that_says_what_to_do(asked: str) -> None:
    with pytest.raises(UsageError, match=r"1 to 20 disks.*--model openai:MODEL"):
        asyncio.run(drawn(Embedded(), request(Prompt((Message("user", asked),)), 1)))


# -- weights -----------------------------------------------------------------------------------------


def copied(folder: Path) -> Path:
    for name in ("hanoi.npz", "hanoi.npz.sha256"):
        shutil.copy(SHIPPED.with_name(name), folder)
    return folder / "hanoi.npz"


def test_one_flipped_bit_in_the_weights_is_found(tmp_path: Path) -> None:
    file = copied(tmp_path)
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 1
    file.write_bytes(held)
    with pytest.raises(MakerError, match=r"SHA-256 is \w{16}\.\.\., expected \w{16}\.\.\.; reinstall"):
        weights.read(file)


@pytest.mark.parametrize("lost", ["hanoi.npz", "hanoi.npz.sha256"])
def test_missing_weights_or_digest_are_an_error_of_ours(tmp_path: Path, lost: str) -> None:
    file = copied(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(MakerError, match="reinstall"):
        weights.read(file)


@pytest.mark.parametrize("number", range(1, weights.sets("hanoi") + 1))
def test_every_set_of_weights_is_small_and_whole(number: int) -> None:
    file = weights.shipped("hanoi", number)
    assert file.stat().st_size < 1_000_000
    assert sum(array.size for array in weights.read(file).values()) == 205_376


def test_a_set_that_is_not_there_is_refused_with_how_many_there_are() -> None:
    count = weights.sets("hanoi")
    assert count >= 3
    for number in (0, count + 1):
        with pytest.raises(UsageError, match=f"weights={number}, expected 1 to {count}: hanoi has no more"):
            Embedded(weights=number, task=Hanoi(3))
    with pytest.raises(UsageError, match="weights=2, expected 1: sorting has no more"):
        Embedded(weights=2, task=Sorting([3, 1, 2]))


def test_sets_err_apart() -> None:
    """The same seats, hot enough that every set errs."""
    prompt, right = question(10, 300)
    said = [asyncio.run(drawn(Embedded(3.0, number), request(prompt, *range(200)))) for number in (1, 2, 3)]
    wrong = [{sample.seat.draw for sample in samples if sample.text != right} for samples in said]
    assert all(wrong)
    assert wrong[0] != wrong[1] != wrong[2] != wrong[0]


def test_a_panel_of_sets_is_told_apart_in_the_journal(tmp_path: Path) -> None:
    panel = [f"embedded:temperature=2.0,weights={number}" for number in (1, 2, 3)]
    result = maker.run("hanoi", params={"disks": 6}, model=panel, engine="inline", run_dir=tmp_path / "run")
    assert (result.status, result.verified) == ("done", True)
    lane = next((tmp_path / "run" / "lanes").iterdir())
    echoed = {record["echo"] for record in history.read(lane, ("sample",))}
    assert echoed == {"embedded", "embedded-2", "embedded-3"}


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf"), "hot"])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(UsageError, match="expected a number from 0 up"):
        Embedded(temperature)


# -- exactness ---------------------------------------------------------------------------------------


def logits_alone(tokens: list[int], dialect: Dialect = h.DIALECT) -> weights.Array:
    """After every token, in one pass, with nobody else in the batch."""
    model, every = load(dialect), np.arange(len(tokens))[None]
    return model.logits(np.array([tokens]), np.zeros(1, np.int64), every, Cache(model.layers, 1))[0]


def drawn_alone(dialect: Dialect, prompt: list[int], temperature: float, seed: int) -> str:
    """The plain way: one text, one token at a time, everything computed anew for each."""
    said: list[int] = []
    numbers = chance.uniforms([seed], CONTEXT)
    while EOS not in said and len(prompt) + len(said) < CONTEXT:
        logits = logits_alone(prompt + said, dialect)[-1]
        number = numbers[:, len(said), None]
        said += chance.choose(chance.heights(logits[None, None], np.array([temperature])), number)[0].tolist()
    return dialect.words.decode(said)


QUESTIONS = {
    "hanoi": [
        question(disks, moves)[0].messages[-1].content for disks, moves in ((3, 0), (6, 21), (10, 400))
    ],
    "hanoi-moves": [
        "previous_move = None\ncurrent_state = [[2, 1], [], []]\nmoves_to_make = 3",
        "previous_move = [1, 1, 2]\ncurrent_state = [[6, 5], [4, 3], [2, 1]]\nmoves_to_make = 1",
        "previous_move = [4, 0, 1]\ncurrent_state = [[10, 9, 8, 7, 6, 5], [4], [3, 2, 1]]\nmoves_to_make = 4",
    ],
    "arithmetic": [
        "a = 7\nb = 8\nabove = 3\ncarry = 5",
        "a = 0\nb = 0\ncarry = 1",
        "a = 9\nb = 9\ncarry = 0",
    ],
    "sorting": ["left = 4071\nright = -12", "left = 123456789\nright = 123456788", "left = 0\nright = 0"],
    "graph": [
        "neighbours = [3, 17, 22]\nseen = [0, 3, 4, 9]",
        "neighbours = []\nseen = []",
        "neighbours = [8, 1, 30, 2, 5, 4, 31, 0]\nseen = [30, 1]",
    ],
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0, 4.0])
def test_seats_that_share_rows_draw_what_each_would_draw_alone(name: str, temperature: float) -> None:
    found = [find((Message("user", asked),)) for asked in QUESTIONS[name]]
    together = [
        Asked(prompt, [Draw(temperature, 100 * number + i) for i in range(8)], CONTEXT)
        for number, (_, prompt) in enumerate(found)
    ]
    dialect = found[0][0]
    assert dialect.name == name
    fill(dialect, together)
    for asked in together:
        assert [dialect.words.decode(draw.tokens) for draw in asked.draws] == [
            drawn_alone(dialect, asked.prompt, temperature, draw.seed) for draw in asked.draws
        ]


@pytest.mark.parametrize("dialect", KNOWN, ids=lambda dialect: dialect.name)
@given(st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_logits_are_the_same_to_the_last_bit_in_any_company_and_however_the_text_is_cut(
    dialect: Dialect, rows: int, random: Random
) -> None:
    model = load(dialect)
    written = [random.choices(range(model.vocabulary), k=CONTEXT) for _ in range(rows)]
    cache, at = Cache(model.layers, rows), [0] * rows
    while min(at) < CONTEXT:
        lengths = [min(CONTEXT - begin, random.choice([1, 2, 8, 9, 30])) for begin in at]
        chunks = np.zeros((rows, max(lengths)), np.int64)
        for chunk, text, begin, length in zip(chunks, written, at, lengths, strict=True):
            chunk[:length] = text[begin : begin + length]
        got = model.logits(chunks, np.array(at), np.arange(max(lengths))[None].repeat(rows, 0), cache)
        for logits, text, begin, length in zip(got, written, at, lengths, strict=True):
            end = begin + length
            assert (logits[:length] == logits_alone(text[:end], dialect)[begin:]).all()
        at = [begin + length for begin, length in zip(at, lengths, strict=True)]


@pytest.mark.slow
def test_so_they_are_by_the_kernels_of_an_older_processor() -> None:
    """Those of Haswell add up a row in an order that hangs on how many rows a product has."""
    only = [__file__, "-q", "-k", "to_the_last_bit", "-p", "no:cacheprovider"]
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
    ended = subprocess.run([sys.executable, "-m", "pytest", *only], env=environment, capture_output=True)
    assert ended.returncode == 0, ended.stdout.decode()


class Wrong(Drafts):
    """Drafts what is hardly ever said."""

    def draft(self, tokens: list[int], prompt: int) -> list[int]:
        return [h.END, h.MOVE, h.END]


def drawn_by(drafts: Drafts) -> list[str]:
    asked = Asked(tokens_of(7, 50), [Draw(1.5, seed) for seed in range(20)], CONTEXT)
    fill(h.DIALECT, [asked], drafts)
    return texts(asked)


def test_a_wrong_draft_costs_time_and_changes_nothing() -> None:
    assert drawn_by(Wrong(h.DIALECT)) == drawn_by(Drafts(h.DIALECT))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("name", QUESTIONS)
def test_what_was_drawn_before_changes_no_text(name: str, temperature: float) -> None:
    found = [find((Message("user", asked),)) for asked in QUESTIONS[name]]
    dialect, kept = found[0][0], Drafts(found[0][0])
    for seed in range(0, 400, 5):
        for _, prompt in found:
            ones = [Asked(prompt, [Draw(temperature, seed + i) for i in range(5)], CONTEXT) for _ in range(2)]
            fill(dialect, ones[:1], kept)
            fill(dialect, ones[1:])
            assert ones[0] == ones[1]


def passes(monkeypatch: pytest.MonkeyPatch, drafts: Drafts, disks: int, moves: int) -> int:
    """That it takes to answer a question three times."""
    made = []
    plain = Transformer.logits

    def counted(self: Transformer, *arguments: Any) -> weights.Array:
        made.append(1)
        return plain(self, *arguments)

    monkeypatch.setattr(Transformer, "logits", counted)
    fill(h.DIALECT, [Asked(tokens_of(disks, moves), [Draw(0.0, seed) for seed in range(3)], CONTEXT)], drafts)
    monkeypatch.undo()
    return len(made)


def test_a_question_like_an_earlier_one_takes_one_pass_and_any_other_three(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drafts = Drafts(h.DIALECT)
    assert passes(monkeypatch, drafts, 20, 349_524) == 3
    assert passes(monkeypatch, drafts, 20, 349_524) == 1
    for moves in range(1000):
        passes(monkeypatch, drafts, 20, 349_525 + moves)
    assert sum(passes(monkeypatch, drafts, 20, 350_525 + moves) for moves in range(100)) < 120


def test_no_text_of_the_dialect_breaks_a_draft_or_makes_one_that_is_no_token() -> None:
    for dialect in KNOWN:
        drafts, random = Drafts(dialect), Random(1)
        for length in range(3, CONTEXT):
            tokens = random.choices(range(EOS + 1, len(dialect.words.texts)), k=length)
            for prompt in range(3, length + 1):
                if dialect is graph.DIALECT and graph.NEIGHBOURS_ARE not in tokens[:prompt]:
                    continue
                drafts.learn(tokens[:prompt], tokens[prompt:])
                drafted = drafts.draft(tokens, prompt)
                assert all(EOS < token < len(dialect.words.texts) for token in drafted)


def test_the_guess_reads_on_in_the_questions_pegs_after_the_move_that_was_said() -> None:
    tokens = find((Message("user", wording.question(4, [[4, 1], [3], [2]], [1, 2, 0])),))[1]
    said = h.WORDS.encode("move = [2, 2, 1]\nnext_state = [[4, 1], [3, 2")

    def guess(said: list[int]) -> str:
        return h.WORDS.decode(h.guess(tokens + said, len(tokens)))

    assert guess([]) == "move = ["
    assert guess(said[:2]) == ", 2"
    assert guess(said[:4]) == "]\nnext_state = [[4, 1], [3, 2], []]"
    assert guess(said[:-1]) == ", 2], []]"
    assert guess(said) == "], []]"
    assert guess(h.WORDS.encode("move = [4, 2, 1")) == "]\nnext_state = [[4, 1], [3], [2]]"


def test_frequencies_are_the_models_probabilities() -> None:
    prompt, heat = tokens_of(3, 3), 3.0
    asked = Asked(prompt, [Draw(heat, seed) for seed in range(4000)], 3)
    fill(h.DIALECT, [asked])
    for depth in range(3):
        (known, _), *_ = Counter(tuple(draw.tokens[:depth]) for draw in asked.draws).most_common(1)
        own = [draw.tokens for draw in asked.draws if tuple(draw.tokens[:depth]) == known]
        seen = Counter(tokens[depth] for tokens in own)
        scores = logits_alone([*prompt, *known])[-1].astype(float) / heat
        expected = len(own) * np.exp(scores) / np.exp(scores).sum()
        common = [token for token in range(64) if expected[token] >= 5]
        square = sum((seen[token] - expected[token]) ** 2 / expected[token] for token in common)
        assert len(own) > 500 and len(common) >= 2
        assert square < len(common) + 5 * (2 * len(common)) ** 0.5


def test_logprob_is_that_of_the_text_at_temperature_1() -> None:
    asked = Asked(tokens_of(4, 6), [Draw(2.5, seed) for seed in range(6)], CONTEXT)
    fill(h.DIALECT, [asked])
    for draw in asked.draws:
        logits = logits_alone(asked.prompt + draw.tokens)[len(asked.prompt) - 1 : -1].astype(float)
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        assert draw.logprob == pytest.approx(logs[range(len(draw.tokens)), draw.tokens].sum(), abs=1e-2)


# -- the model's seam --------------------------------------------------------------------------------


def test_chains_drawn_in_one_batch_get_what_each_gets_on_its_own() -> None:
    asked = [request(question(8, moves)[0], moves, moves + 1, moves + 2) for moves in range(0, 200, 2)]

    async def both() -> tuple[list[list[Sample]], list[list[Sample]]]:
        model = Embedded(temperature=1.5)
        one_by_one = [await drawn(model, one) for one in asked]
        return one_by_one, await asyncio.gather(*(drawn(model, one) for one in asked))

    alone, together = asyncio.run(both())
    assert [[s.text for s in samples] for samples in alone] == [[s.text for s in each] for each in together]


def test_requests_of_one_turn_share_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    plain = Drawing.__init__

    def counted(self: Drawing, transformer: Transformer, drafts: Drafts, asked: list[Asked]) -> None:
        sizes.append(len(asked))
        plain(self, transformer, drafts, asked)

    monkeypatch.setattr(Drawing, "__init__", counted)

    async def gather() -> None:
        model = Embedded()
        await asyncio.gather(*(drawn(model, request(question(3, i % 7)[0], i)) for i in range(100)))

    asyncio.run(gather())
    assert sizes == [64, 36]


def test_a_cancelled_request_does_not_hurt_the_others() -> None:
    async def scene() -> list[Sample]:
        model = Embedded()
        gone = asyncio.create_task(drawn(model, request(question(4, 2)[0], 1)))
        stays = asyncio.create_task(drawn(model, request(question(4, 3)[0], 2)))
        await asyncio.sleep(0)
        gone.cancel()
        samples = await stays
        assert gone.cancelled() or await asyncio.gather(gone, return_exceptions=True)
        return samples + await drawn(model, request(question(4, 4)[0], 3))

    assert [sample.finish for sample in asyncio.run(scene())] == ["stop", "stop"]


def test_closing_ends_those_who_wait() -> None:
    async def scene() -> None:
        model = Embedded()
        waits = asyncio.create_task(drawn(model, request(question(4, 2)[0], 1)))
        await asyncio.sleep(0)
        await model.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waits

    asyncio.run(scene())


def test_tokens_finish_and_seats_are_told_as_they_were() -> None:
    prompt, right = question(5, 8)
    samples = asyncio.run(drawn(Embedded(), request(prompt, 1, 2, 3, 4, temperature=0.0)))
    assert [sample.seat.draw for sample in samples] == [0, 1, 2, 3]
    assert {(s.text, s.finish, s.tokens_out) for s in samples} == {(right, "stop", 5 + 9)}
    assert sum(sample.tokens_in for sample in samples) == 5 + 10
    assert all(sample.latency > 0 and sample.logprob is not None for sample in samples)


def test_a_token_cap_cuts_and_says_so() -> None:
    prompt, right = question(5, 8)
    capped = Prompt(prompt.messages, max_tokens=6)
    (sample,) = asyncio.run(drawn(Embedded(0.0), request(capped, 1)))
    assert (sample.finish, sample.tokens_out) == ("length", 6)
    assert right.startswith(sample.text)
    (sample,) = asyncio.run(drawn(Embedded(0.0), request(Prompt(prompt.messages, stop=("\n",)), 1)))
    assert (sample.finish, sample.text) == ("stop", right.split("\n")[0])


def test_without_end_marks_a_response_stops_at_the_context() -> None:
    asked = Asked(tokens_of(12, 100), [Draw(1000.0, seed) for seed in range(30)], CONTEXT)
    fill(h.DIALECT, [asked])
    cut = [draw for draw in asked.draws if draw.cut]
    assert cut
    assert all(len(asked.prompt) + len(draw.tokens) == CONTEXT for draw in cut)


def test_its_name_tells_the_temperature() -> None:
    assert Embedded().name == "embedded"
    assert Embedded(1.5).name == "embedded:temperature=1.5"
    assert Embedded(1.5).temperatures == (1.5, 1.5)
    assert Embedded(weights=2).name == "embedded:weights=2"
    assert Embedded(2.0, 3).name == "embedded:temperature=2.0,weights=3"


# -- how well it plays -------------------------------------------------------------------------------


@pytest.mark.parametrize("disks", range(1, 7))
def test_up_to_six_disks_are_solved_at_temperature_0(disks: int) -> None:
    for moves in range(2**disks - 1):
        asked = Asked(tokens_of(disks, moves), [Draw(0.0, 0)], CONTEXT)
        fill(h.DIALECT, [asked])
        assert texts(asked) == [question(disks, moves)[1] + "<eos>"]


def test_of_a_few_hundred_steps_with_ten_disks_nearly_all_are_right() -> None:
    batch = [Asked(tokens_of(10, moves), [Draw(1.0, moves)], CONTEXT) for moves in range(0, 1023, 4)]
    fill(h.DIALECT, batch)
    right = [texts(one) == [question(10, 4 * i)[1] + "<eos>"] for i, one in enumerate(batch)]
    assert sum(right) >= 0.98 * len(right)


@pytest.mark.parametrize(("temperature", "digest"), [(1.0, "75e632103cbe32a0"), (3.0, "e45d398b79a55eea")])
def test_the_texts_of_144_seats_stay_as_they_are(temperature: float, digest: str) -> None:
    async def all_texts() -> list[str]:
        model, drawn_texts = Embedded(temperature), []
        for disks in (1, 3, 10, 20):
            for number in range(6):
                prompt, _ = question(disks, number * 7919 % ((1 << disks) - 1))
                seeds = (100 * number + draw for draw in range(6))
                drawn_texts += [sample.text for sample in await drawn(model, request(prompt, *seeds))]
        return drawn_texts

    assert sha256("\0".join(asyncio.run(all_texts())).encode()).hexdigest().startswith(digest)
