"""Samples of one streamed request: each comes as its choice ends, tokens are counted, no fault loses one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.errors import BlockedError
from maker.model import Request
from maker.nouns import Message, Prompt, Sample, Seat, Step
from maker.workers.openai_chat import OpenAIChat
from maker.workers.openai_chat.clients import Through
from maker.workers.openai_chat.reply import Reply, of
from maker.workers.openai_chat.streamed import Assembly, events
from tests import faultd
from tests.faultd import Act, Faultd
from tests.hanoi_endpoint import right
from tests.test_requests import run

HELLO = Prompt((Message("user", "hello there"),))
LENGTHS = (4, 1, 2)
"""Words of the three answers to a prompt."""

pytestmark = pytest.mark.parametrize("client", get_args(Through))


def words(prompt: str, ordinal: int) -> str:
    return " ".join([f"w{ordinal}"] * LENGTHS[ordinal % 3])


def ask(
    server: Faultd, client: Through, faults: list[str] | None = None, **options: Any
) -> list[tuple[Sample, float]]:
    """The samples of three seats as they came, and after how many seconds."""
    seats = tuple(Seat(number, "openai:tiny", 0.1, 100 + number) for number in range(3))
    heard = [] if faults is None else faults

    async def asked() -> list[tuple[Sample, float]]:
        model = OpenAIChat("tiny", base_url=server.url, client=client, requests="streamed", **options)
        began = time.monotonic()
        try:
            request = Request(Step("s", 0, None), HELLO, seats, heard.append)
            return [(sample, time.monotonic() - began) async for sample in model.draw(request)]
        finally:
            await model.aclose()

    return asyncio.run(asked())


def texts(came: list[tuple[Sample, float]]) -> dict[int, str]:
    return {sample.seat.draw: sample.text for sample, _ in came}


ALL = {0: "w0 w0 w0 w0", 1: "w1", 2: "w2 w2"}


def test_a_sample_comes_when_its_choice_has_ended(client: Through) -> None:
    with Faultd(answer=words, pace=0.3) as server:
        came = ask(server, client)
    assert [sample.seat.draw for sample, _ in came] == [1, 2, 0]
    assert texts(came) == ALL
    assert came[2][1] - came[0][1] > 0.6 < came[2][0].latency - came[0][0].latency
    [call] = server.calls
    assert (call.body["n"], call.body["stream"]) == (3, True)


def test_tokens_add_up_to_what_the_endpoint_says_at_the_end(client: Through) -> None:
    with Faultd(answer=words) as server:
        samples = [sample for sample, _ in ask(server, client)]
    assert sum(sample.tokens_in for sample in samples) == 2
    assert {sample.seat.draw: sample.tokens_out for sample in samples} == {0: 4, 1: 1, 2: 2}
    assert {sample.request for sample in samples} == {"chatcmpl-0#0", "chatcmpl-0#1", "chatcmpl-0#2"}
    assert {sample.model for sample in samples} == {"tiny"}


def test_an_endpoint_that_counts_otherwise_is_believed(client: Through) -> None:
    usage = {"prompt_tokens": 50, "completion_tokens": 99, "prompt_tokens_details": {"cached_tokens": 30}}
    act = faultd.edited(lambda answer: answer.update(usage=usage))
    with Faultd(answer=words, script=[act]) as server:
        samples = [sample for sample, _ in ask(server, client)]
    assert [sum(getattr(each, name) for each in samples) for name in ("tokens_in", "tokens_out")] == [50, 99]
    assert sum(sample.tokens_cached for sample in samples) == 30


def test_an_endpoint_that_counts_one_choice_of_several_is_not(client: Through) -> None:
    act = faultd.edited(lambda answer: answer["usage"].update(completion_tokens=2))
    with Faultd(answer=words, script=[act]) as server:
        samples = [sample for sample, _ in ask(server, client)]
    assert sum(sample.tokens_out for sample in samples) == sum(LENGTHS)


def test_the_newest_usage_that_says_something_counts(client: Through) -> None:
    with Faultd(answer=words) as server:
        body = _raw(server)
    bad = b'data: {"choices": [], "usage": {"prompt_tokens": "many", "completion_tokens": -5}}'
    said = faultd.raw(body.replace(b"data: [DONE]", bad + b"\n\ndata: [DONE]"), "text/event-stream")
    with Faultd(script=[said]) as server:
        samples = [sample for sample, _ in ask(server, client)]
    assert [sum(getattr(each, name) for each in samples) for name in ("tokens_in", "tokens_out")] == [2, 7]


def test_a_stream_that_ends_before_its_choices_is_one_fault(client: Through) -> None:
    faults: list[str] = []
    with Faultd(answer=words) as server:
        body = _raw(server)
    first = body.index(b"\n\n", body.index(b'"finish_reason": "stop"')) + 2
    said = faultd.raw(body[:first], "text/event-stream")
    with Faultd(answer=words, script=[said]) as server:
        assert sorted(texts(ask(server, client, faults))) == [0, 1, 2]
        assert [call.body.get("n", 1) for call in server.calls] == [3, 2], (
            "and no sign that it gives only one"
        )
    assert faults == ["broken-body"]


def test_log_probabilities_are_summed_and_count_tokens(client: Through) -> None:
    with Faultd(answer=words) as server:
        samples = [sample for sample, _ in ask(server, client, logprobs=True)]
    assert {sample.seat.draw: sample.logprob for sample in samples} == {0: -2.0, 1: -0.5, 2: -1.0}


@pytest.mark.parametrize("streams", ["ignored", "refused"])
def test_an_endpoint_that_does_not_stream_is_noticed(client: Through, streams: str) -> None:
    with Faultd(answer=words, streams=streams) as server:
        assert texts(ask(server, client)) == ALL
    assert [call.body.get("stream") for call in server.calls] == [True, None][: 1 + (streams == "refused")]


@pytest.mark.parametrize(("n", "requests"), [("ignored", 3), ("refused", 4), ("surplus", 1)])
def test_an_endpoint_that_gives_other_than_n_is_noticed(client: Through, n: str, requests: int) -> None:
    with Faultd(answer=words, n=n) as server:
        samples = [sample for sample, _ in ask(server, client)]
    assert sorted(sample.seat.draw for sample in samples) == [0, 1, 2]
    assert len(server.calls) == requests
    assert sum(sample.tokens_in for sample in samples) == (6 if n != "surplus" else 2), "none is lost"


def cut_after(ended: int) -> Act:
    """The connection breaks when so many choices have ended."""
    with Faultd(answer=words) as server:
        body = _raw(server)
    at = 0
    for _ in range(ended):
        at = body.index(b'"finish_reason": "stop"', at + 1)
    return Act(cut=body.index(b"\n\n", at) + 2 if ended else 30)


def _raw(server: Faultd) -> bytes:
    import urllib.request

    message = {"role": "user", "content": "hello there"}
    asked = {
        "model": "tiny",
        "n": 3,
        "stream": True,
        "messages": [message],
        "stream_options": {"include_usage": True},
    }
    request = urllib.request.Request(f"{server.url}/chat/completions", json.dumps(asked).encode())
    with urllib.request.urlopen(request) as response:
        return bytes(response.read())


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_a_stream_that_breaks_off_loses_no_choice_that_has_ended(client: Through, ended: int) -> None:
    faults: list[str] = []
    with Faultd(answer=words, script=[cut_after(ended)]) as server:
        came = ask(server, client, faults)
    assert sorted(texts(came)) == [0, 1, 2]
    assert [call.body.get("n", 1) for call in server.calls] == [3, 3 - ended]
    assert faults == ["connection"]
    first = dict(list(texts(came).items())[:ended])
    assert first == {draw: ALL[draw] for draw in (1, 2)[:ended]}, "it is not drawn again"


def test_a_stream_that_hangs_ends_with_the_time_for_one_try(client: Through) -> None:
    faults: list[str] = []
    with Faultd(answer=words, pace=0.4) as server:
        came = ask(server, client, faults, timeout=1.0, give_up_after=20.0)
    assert sorted(texts(came)) == [0, 1, 2]
    assert set(faults) == {"timeout"}


def test_an_error_in_a_stream_is_a_fault(client: Through) -> None:
    faults: list[str] = []
    said = faultd.raw(b'data: {"error": {"message": "out of memory"}}\n\n', "text/event-stream")
    with Faultd(answer=words, script=[said]) as server:
        assert sorted(texts(ask(server, client, faults))) == [0, 1, 2]
    assert faults == ["broken-body"]


def test_an_endpoint_that_streams_nothing_but_errors_blocks_the_run(client: Through) -> None:
    said = faultd.raw(b"data: {]\n\n", "text/event-stream")
    with (
        Faultd(script=lambda call: said) as server,
        pytest.raises(BlockedError, match="gave no answer"),
    ):
        ask(server, client, give_up_after=0.5)


def test_a_run_is_the_same_streamed_or_whole(client: Through, tmp_path: Path) -> None:
    model = f"openai:tiny,temperature=0.1,client={client}"
    with Faultd(answer=right) as server:
        streamed = run(server, tmp_path / "s", model, requests="streamed", window=4)
        assert all(call.body["stream"] for call in server.calls)
    with Faultd(answer=right) as server:
        whole = run(server, tmp_path / "w", model, requests="grouped")
    assert streamed.verified and whole.verified
    same = ("result", "steps", "votes", "tokens_in", "tokens_out")
    assert [getattr(streamed, name) for name in same] == [getattr(whole, name) for name in same]


# -- whatever comes ---------------------------------------------------------------------------------


async def _pieces(body: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    at = 0
    while at < len(body):
        size = sizes[at % len(sizes)]
        yield body[at : at + size]
        at += size


def _read(body: bytes, sizes: list[int]) -> list[bytes]:
    async def read() -> list[bytes]:
        return [data async for data in events(_pieces(body, sizes))]

    return asyncio.run(read())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_events_are_the_same_however_the_bytes_are_cut(client: Through, sizes: list[int]) -> None:
    body = b": hello\r\nevent: x\r\ndata: one\r\ndata:two\r\n\r\n\n\nid: 3\ndata: three\n\ndata: torn"
    assert _read(body, sizes) == [b"one\ntwo", b"three"]


PIECES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "index", "delta", "content", "finish_reason", "logprobs", "usage", "id", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=8) | PIECES.map(lambda piece: json.dumps(piece).encode()), max_size=6))
def test_whatever_is_streamed_is_a_reply_or_a_reason(client: Through, said: list[bytes]) -> None:
    parts = Assembly(3)
    try:
        for data in said:
            parts.feed(data)
    except ValueError:
        return
    assert isinstance(of(parts.body(), None, 0.1), Reply | str)
