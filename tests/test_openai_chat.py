"""The openai worker against a real HTTP server of ours: what it asks, what it makes of it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Self, get_args, get_type_hints

import psutil  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maker.errors import BlockedError, UsageError
from maker.leases import Lease
from maker.model import Model, Request
from maker.nouns import Message, Prompt, Sample, Seat, Step
from maker.throttle import Throttle
from maker.workers.openai_chat import OpenAIChat
from maker.workers.openai_chat.clients import Through
from maker.workers.openai_chat.headers import seconds_asked, wait_asked
from maker.workers.openai_chat.rejection import PromptTooLongError
from maker.workers.openai_chat.reply import Reply, read, shares
from tests import faultd
from tests.faultd import Act, Call, Faultd, status

CANARY = "sk-canary-7f3a9b2c5d"
THROUGH: Through = "openai"
"""Whose way of sending a request is tested: every test is played with each."""
HELLO = Prompt((Message("user", "hello there"),), max_tokens=9)


@pytest.fixture(autouse=True, params=get_args(Through))
def through(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.THROUGH", request.param)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


def seats(*temperatures: float | None) -> tuple[Seat, ...]:
    return tuple(Seat(i, "openai:tiny", t, 100 + i) for i, t in enumerate(temperatures))


THREE = seats(0.1, 0.1, 0.1)


def wish(
    who: tuple[Seat, ...] = THREE,
    prompt: Prompt = HELLO,
    faults: Any = None,
    throttle: Throttle | None = None,
) -> Request:
    heard: Any = faults.append if faults is not None else (lambda slug: None)
    return Request(Step("s", 0, None), prompt, who, heard, throttle)


def chat(server: Faultd | str, **options: Any) -> OpenAIChat:
    url = server if isinstance(server, str) else server.url
    return OpenAIChat("tiny", base_url=url, client=THROUGH, **options)


async def all_of(model: Model, *requests: Request) -> list[Sample]:
    try:
        return [sample for request in requests async for sample in model.draw(request)]
    finally:
        await model.aclose()


def draw(model: Model, *requests: Request) -> list[Sample]:
    return asyncio.run(all_of(model, *(requests or (wish(),))))


def asked(server: Faultd) -> list[int]:
    """How many samples each request asked for."""
    return [call.body.get("n", 1) for call in server.calls]


# --- seats and requests


def test_seats_of_one_temperature_share_one_request() -> None:
    with Faultd() as server:
        samples = draw(chat(server))
        assert asked(server) == [3]
    assert [s.seat for s in samples] == list(THREE)
    assert [s.text for s in samples] == ["hello there:0", "hello there:1", "hello there:2"]
    assert {(s.finish, s.model) for s in samples} == {("stop", "tiny")}
    assert [s.request for s in samples] == ["chatcmpl-0#0", "chatcmpl-0#1", "chatcmpl-0#2"]
    assert sum(s.tokens_in for s in samples) == 2 and sum(s.tokens_out for s in samples) == 6
    assert all(0 < s.latency < 5 for s in samples)


def test_the_papers_temperatures_are_asked_for_at_the_same_time_in_two_requests() -> None:
    with Faultd(latency=0.2) as server:
        model = chat(server)
        first, later = model.temperatures
        samples = draw(model, wish(seats(first, later, later)))
        bodies = [call.body for call in server.calls]
        assert server.peak == 2
    assert {(b["temperature"], b.get("n", 1)) for b in bodies} == {(0.0, 1), (0.1, 2)}
    assert {s.seat.draw for s in samples} == {0, 1, 2}


def test_one_temperature_can_be_set_for_all_draws() -> None:
    model = OpenAIChat("tiny", base_url="http://localhost:1/v1", temperature=0.7)
    assert (model.name, model.temperatures) == ("openai:tiny", (0.7, 0.7))


def test_a_seat_without_temperature_and_a_prompt_without_cap_or_stop_send_neither() -> None:
    with Faultd() as server:
        draw(chat(server), wish(seats(None), Prompt((Message("user", "x"),))))
        draw(chat(server), wish(seats(None), Prompt((Message("user", "x"),), 5, ("\n",))))
        first, second = (call.body for call in server.calls)
    assert sorted(first) == ["messages", "model"]
    assert (second["max_tokens"], second["stop"]) == (5, ["\n"])


def test_extra_fields_reach_the_endpoint_and_cannot_replace_ours() -> None:
    with Faultd() as server:
        draw(chat(server, top_p=1, top_k=0, min_p=0.0, extra='{"cache_prompt": false}'))
        sent = server.calls[0].body
    assert (sent["top_k"], sent["top_p"], sent["min_p"], sent["cache_prompt"]) == (0, 1, 0, False)
    for extra in ('{"model": "other"}', '{"n": 2}', "[]", "{", "[" * 100_000):
        with pytest.raises(UsageError, match="extra"):
            OpenAIChat("tiny", base_url="http://localhost/v1", extra=extra)


SCHEMA = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/B"}},
    "additionalProperties": False,
    "$defs": {"B": {"type": "object", "properties": {"c": {"default": 1}}}},
}


def test_the_schema_of_a_prompt_is_forced_only_when_asked_for() -> None:
    typed = Prompt((Message("user", "x"),), schema=SCHEMA)
    with Faultd() as server:
        draw(chat(server), wish(prompt=typed))
        draw(chat(server, structured=True), wish())
        draw(chat(server, structured=True), wish(prompt=typed))
        free, untyped, forced = (call.body for call in server.calls)
    assert "response_format" not in free.keys() | untyped.keys()
    form = forced["response_format"]["json_schema"]
    assert (forced["response_format"]["type"], form["strict"]) == ("json_schema", True)
    assert form["schema"]["required"] == ["a"]
    assert form["schema"]["$defs"]["B"]["required"] == ["c"]
    assert "required" not in SCHEMA


@pytest.mark.parametrize(
    "act",
    [
        status(400, "too many tokens", code_name="context_length_exceeded"),
        status(400, "This model's maximum context length is 4096 tokens"),
        status(400, "the request exceeds the available context size"),
    ],
)
def test_a_prompt_that_does_not_fit_is_this_steps_fault_and_no_block(act: Act) -> None:
    with Faultd(script=lambda call: act) as server, pytest.raises(PromptTooLongError, match="400"):
        draw(chat(server))


@pytest.mark.parametrize("options", [{"requests": "single"}, {"send_seed": True}])
def test_single_requests_run_at_once_when_asked_for(options: dict[str, bool]) -> None:
    with Faultd(latency=0.2) as server:
        samples = draw(chat(server, **options))
        assert asked(server) == [1, 1, 1] and server.peak == 3
        seeds = {call.body.get("seed") for call in server.calls}
    assert {s.seat.draw for s in samples} == {0, 1, 2}
    assert seeds == ({100, 101, 102} if "send_seed" in options else {None})


def test_an_endpoint_that_ignores_n_is_noticed_once() -> None:
    with Faultd(n="ignored") as server:
        samples = draw(chat(server), wish(), wish())
        assert sorted(asked(server)) == [1, 1, 1, 1, 1, 3]
    assert [s.seat.draw for s in samples].count(2) == 2 and len(samples) == 6
    assert len({s.text for s in samples}) == 6


def test_an_endpoint_that_refuses_n_is_noticed_once() -> None:
    faults: list[str] = []
    with Faultd(n="refused") as server:
        samples = draw(chat(server), wish(faults=faults), wish(faults=faults))
        assert sorted(asked(server)) == [1, 1, 1, 1, 1, 1, 3]
    assert len(samples) == 6 and faults == []


def test_an_endpoint_that_takes_a_few_at_a_time_is_asked_for_as_many() -> None:
    def at_most_three(call: Call) -> Act | None:
        return faultd.status(422, "n is too large") if call.body.get("n", 1) > 3 else None

    six = seats(*[0.1] * 6)
    with Faultd(script=at_most_three) as server:
        samples = draw(chat(server), wish(six), wish(six))
        assert asked(server)[:2] == [6, 1] and sorted(asked(server)[2:]) == [2, 3, 3, 3]
    assert [s.seat.draw for s in samples].count(5) == 2 and len(samples) == 12


def test_a_request_refused_for_another_reason_is_refused_with_n_1_too() -> None:
    with Faultd(script=lambda call: faultd.status(400, "context too long")) as server:
        with pytest.raises(BlockedError, match="context too long"):
            draw(chat(server))
        assert asked(server) == [3, 1]


def test_surplus_choices_are_ignored() -> None:
    with Faultd(n="surplus") as server:
        samples = draw(chat(server), wish(), wish())
        assert asked(server) == [3, 3]
    assert len(samples) == 6


def test_a_choice_without_an_answer_is_drawn_again_alone() -> None:
    def spoil(answer: dict[str, Any]) -> None:
        answer["choices"][1]["message"]["content"] = None

    faults: list[str] = []
    with Faultd(script=[faultd.edited(spoil)]) as server:
        samples = draw(chat(server), wish(faults=faults), wish(faults=faults))
        assert asked(server) == [3, 1, 3]
    assert len(samples) == 6 and faults == ["broken-body"]


# --- transport faults


def change(**values: Any) -> Act:
    return faultd.edited(lambda answer: answer | values)


def message(**values: Any) -> Act:
    return change(choices=[{"index": 0, "message": values, "finish_reason": "stop"}])


FAULTS = {
    **{f"http-{code}": faultd.status(code) for code in (408, 409, 429, 500, 502, 503, 529)},
    "connection reset before a response": faultd.reset(-1),
    "connection reset in the body": faultd.reset(20),
    "connection garbage": Act(200, (("content-length", "x"),), b"{}"),
    "broken-body html": faultd.html(),
    "broken-body error in a 200": faultd.raw(b'{"error": {"message": "overloaded"}}'),
    "broken-body empty": faultd.raw(b""),
    "broken-body not json": faultd.raw(b'{"choices": ['),
    "broken-body a number": faultd.raw(b"1"),
    "broken-body bad utf-8": faultd.raw(b'{"id": "\xff"}'),
    "broken-body deep": faultd.raw(b"[" * 100_000 + b"]" * 100_000),
    "broken-body long integer": faultd.raw(b'{"id": ' + b"9" * 5000 + b"}"),
    "broken-body not gzip": faultd.raw(b"{}", content_encoding="gzip"),
    "broken-body encoded often": faultd.raw(b"{}", content_encoding=", ".join(["gzip"] * 6)),
    "broken-body no choices": change(choices=[]),
    "broken-body choices null": change(choices=None),
    "broken-body choices of numbers": change(choices=[1, None, {}]),
    "broken-body content null": message(content=None),
    "broken-body content a list": message(content=[1]),
    "broken-body finish error": change(
        choices=[{"message": {"content": "half an ans"}, "finish_reason": "error"}]
    ),
    "broken-body 204": Act(204, body=b""),
    "broken-body huge": faultd.huge(9),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_transport_fault_is_counted_and_tried_again_and_never_a_sample(case: str) -> None:
    faults: list[str] = []
    with Faultd(script=[FAULTS[case]]) as server:
        samples = draw(chat(server), wish(seats(0.0), faults=faults))
        assert len(server.calls) == 2
    assert faults == [case.split()[0]]
    assert [s.finish for s in samples] == ["stop"] and samples[0].text.startswith("hello there")


@pytest.mark.parametrize("code_set", ["zlib_codec", "rot13", "utf-7", "nonsense"])
def test_a_charset_of_the_server_has_no_say(code_set: str) -> None:
    with Faultd(script=[Act(503, (("content-type", f"text/html; charset={code_set}"),), b"x")]) as s:
        assert len(draw(chat(s), wish(seats(0.0)))) == 1


def test_429_for_two_seconds_and_then_service_gives_the_right_samples() -> None:
    faults: list[str] = []
    with Faultd(busy=2.0) as server:
        start = time.monotonic()
        samples = draw(chat(server), *(wish(faults=faults) for _ in range(10)))
        assert time.monotonic() - start >= 2.0
        assert len(server.calls) == 10 + len(faults)
    assert set(faults) == {"http-429"} and len(samples) == 30
    assert {s.text for s in samples} == {f"hello there:{i}" for i in range(30)}


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0.05, 0.4),
        ("1", 0.6, 1.0),
        ("0.4", 0.4, 0.7),
        ("300", 0.6, 1.0),
        ("1e9", 0.6, 1.0),
        ("inf", 0.6, 1.0),
        ("-1", 0.05, 0.4),
        ("nan", 0.05, 0.4),
        ("soon", 0.05, 0.4),
        ("9" * 400, 0.6, 1.0),
        ("PAST", 0.05, 0.4),
        ("FUTURE", 0.6, 1.0),
    ],
)
def test_retry_after_is_honoured_within_its_cap(header: str, least: float, most: float) -> None:
    dates = {"PAST": faultd.http_date(-9999), "FUTURE": faultd.http_date(9999)}
    with Faultd(script=[faultd.status(429, retry_after=dates.get(header, header))]) as server:
        samples = draw(chat(server, max_retry_after=0.6), wish(seats(0.0)))
        first, second = server.calls
        waited = second.started - (first.ended or 0.0)
    assert len(samples) == 1
    assert least <= waited < most + 0.3


def test_a_retry_after_in_milliseconds_counts_and_x_should_retry_does_not() -> None:
    acts = [faultd.status(429, retry_after_ms="500"), faultd.status(503, x_should_retry="false")]
    with Faultd(script=acts) as server:
        assert len(draw(chat(server), wish(seats(0.0)))) == 1
        assert server.calls[1].started - server.calls[0].started >= 0.5


def test_http_dates_are_read_with_and_without_a_zone() -> None:
    assert seconds_asked("Thu, 01 Jan 1970 00:00:30 GMT", 10.0) == 20.0
    assert seconds_asked("Thu, 01 Jan 1970 00:00:30 -0000", 10.0) == 20.0
    assert seconds_asked("Thu, 01 Jan 99999 00:00:30 GMT", 10.0) == 0.0


@settings(deadline=None)
@given(st.text())
def test_no_retry_after_header_is_negative_or_crashes(header: str) -> None:
    assert seconds_asked(header, 1e9) >= 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, 1.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12"}, 12.0),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "9s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-tokens": "9s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "-5s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "nan"}, 0.0),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s", "retry-after": "2"},
            2.0,
        ),
        ({}, 0.0),
    ],
)
def test_what_is_used_up_says_when_it_is_there_again(headers: dict[str, str], seconds: float) -> None:
    assert wait_asked(headers, 0.0) == pytest.approx(seconds)


@settings(deadline=None)
@given(st.text(), st.text())
def test_no_rate_limit_header_is_negative_or_crashes(remaining: str, reset: str) -> None:
    headers = {"x-ratelimit-remaining-tokens": remaining, "x-ratelimit-reset-tokens": reset}
    assert wait_asked(headers, 1e9) >= 0.0
    assert wait_asked({**headers, "x-ratelimit-remaining-tokens": "0"}, 1e9) >= 0.0


def test_an_answer_that_used_up_the_last_request_holds_back_the_next_ones() -> None:
    last = Act(headers=(("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "700ms")))
    throttle = Throttle(4)
    with Faultd(script=[last]) as server:
        draw(chat(server), *(wish(seats(0.0), throttle=throttle) for _ in range(2)))
        first, second = server.calls
        assert 0.65 <= second.started - (first.ended or 0.0) < 1.2


def test_one_refusal_with_a_retry_after_holds_back_every_request_of_the_worker() -> None:
    async def several(server: Faultd) -> None:
        model, throttle = chat(server), Throttle(1)
        await asyncio.gather(*(_all(model.draw(wish(seats(0.0), throttle=throttle))) for _ in range(4)))
        await model.aclose()

    with Faultd(script=[status(429, retry_after="1")]) as server:
        asyncio.run(several(server))
        first, *later = server.calls
        assert len(later) == 4
        assert min(call.started for call in later) - (first.ended or 0.0) >= 0.95


def test_waiting_for_a_permit_costs_no_patience() -> None:
    async def queued(server: Faultd) -> None:
        model, throttle = chat(server, give_up_after=0.5), Throttle(0)
        asking = asyncio.create_task(_all(model.draw(wish(seats(0.0), throttle=throttle))))
        await asyncio.sleep(1.0)
        throttle.take(Lease(1))
        assert len(await asking) == 1
        await model.aclose()

    with Faultd(script=[status(503)]) as server:
        asyncio.run(queued(server))
        assert len(server.calls) == 2


def test_an_endpoint_that_stays_down_blocks_the_run_after_its_patience() -> None:
    faults: list[str] = []
    with Faultd(script=lambda call: faultd.status(503, "down\x1b[31m")) as server:
        start = time.monotonic()
        with pytest.raises(BlockedError) as caught:
            draw(chat(server, give_up_after=1.0), wish(seats(0.0), faults=faults))
        assert 0.4 < time.monotonic() - start < 1.5
        assert len(faults) == len(server.calls) >= 2
        text = str(caught.value)
        assert server.url.split("/")[2] in text and "http-503" in text and "--give-up-after" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("act", [faultd.trickle(0.05), faultd.silent(), faultd.endless(b" ")])
def test_a_slow_response_does_not_outlive_its_total_deadline(act: Act) -> None:
    faults: list[str] = []
    with Faultd(script=[act]) as server:
        start = time.monotonic()
        samples = draw(chat(server, timeout=0.6), wish(seats(0.0), faults=faults))
        assert time.monotonic() - start < 2.0
        assert settled(server) == ["gone", "answered"]
    assert faults == ["timeout"] and len(samples) == 1


def test_patience_ends_a_try_that_hangs() -> None:
    with Faultd(script=lambda call: faultd.silent()) as server:
        start = time.monotonic()
        with pytest.raises(BlockedError, match="timeout"):
            draw(chat(server, give_up_after=0.5))
        assert time.monotonic() - start < 1.5


UNREACHABLE = ["http://127.0.0.1:1/v1", "https://nowhere.invalid/v1", "http://[::1]:1/v1"]


@pytest.mark.parametrize("url", UNREACHABLE)
def test_no_connection_is_a_fault_until_patience_is_over(url: str) -> None:
    with pytest.raises(BlockedError, match=r"connection|timeout"):
        draw(chat(url, give_up_after=0.5))


def test_a_tls_failure_is_a_connection_fault() -> None:
    with Faultd() as server, pytest.raises(BlockedError, match="connection"):
        url = server.url.replace("http:", "https:")
        draw(chat(url, give_up_after=0.5))


def test_an_endpoint_that_speaks_ipv6_only_serves() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with Faultd(host="::1") as server:
        assert len(draw(chat(server))) == 3


# --- what takes too much memory


class PeakMemory:
    """Bytes of resident memory above the start, watched from a thread."""

    def __enter__(self) -> Self:
        gc.collect()
        self.me, self.over = psutil.Process(), threading.Event()
        self.start = self.peak = self.me.memory_info().rss
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        while not self.over.wait(0.003):
            self.peak = max(self.peak, self.me.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.grown = self.peak - self.start


BOMBS: dict[str, Callable[[], Act]] = {
    "gzip": lambda: faultd.gzip_bomb(1024),
    "gzip in gzip": lambda: faultd.gzip_bomb(1024, layers=2),
    "a gigabyte": lambda: faultd.huge(1024),
    "endless": faultd.endless,
    "a flood of choices": lambda: faultd.raw(b'{"choices": [' + b"{}," * 2_500_000 + b"{}]}"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_is_cut_off_and_memory_stays_bounded(case: str) -> None:
    faults: list[str] = []
    with Faultd(script=[BOMBS[case]()]) as server, PeakMemory() as memory:
        samples = draw(chat(server), wish(seats(0.0), faults=faults))
    assert faults == ["broken-body"] and len(samples) == 1
    assert memory.grown < (400 if "choices" in case else 64) * 2**20


# --- what the endpoint says no to


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (faultd.status(401, f"Incorrect API key provided: {CANARY}"), "key refused"),
        (faultd.status(403), "key refused"),
        (faultd.status(404, "The model `tiny` does not exist"), "tiny. Set the model's name"),
        (faultd.status(413, "too\nlarge"), r"413 \"too\\nlarge\""),
        (faultd.status(422, "bad \x1b[2J field"), r"bad \\x1b\[2J field"),
        (faultd.status(400, "temperature is not supported"), "option temperature=1"),
        (faultd.status(402, "pay"), "quota used up"),
        (faultd.status(429, "pay", code_name="insufficient_quota"), "quota used up"),
        (faultd.status(418, "teapot"), "418"),
        (faultd.redirect("http://elsewhere.example/v1"), "elsewhere.example.* not followed"),
        (Act(302, body=b""), "redirects are not followed"),
        (Act(400, body=b"\xff" * 5000), "400"),
        (Act(400, body=b"[" * 100_000), "400"),
        (Act(422, body=b'{"detail": [{"loc": ["body", "messages"]}]}'), "messages"),
    ],
)
def test_a_rejection_blocks_the_run_at_once_and_says_what_to_do(act: Act, told: str) -> None:
    faults: list[str] = []
    with Faultd(script=lambda call: act) as server:
        with pytest.raises(BlockedError, match=told) as caught:
            draw(chat(server), wish(seats(0.1), faults=faults))
        assert len(server.calls) == 1
    assert faults == [] and len(str(caught.value)) < 700 and str(caught.value).isprintable()


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_a_filtered_prompt_is_the_models_failure_and_fills_the_seats(code: str) -> None:
    with Faultd(script=[faultd.status(400, "filtered", code_name=code)]) as server:
        samples = draw(chat(server))
        assert len(server.calls) == 1
    assert [(s.text, s.finish) for s in samples] == [("", "content_filter")] * 3


@pytest.mark.parametrize(
    ("choice", "text", "finish"),
    [
        ({"message": {"content": None, "refusal": "I won't"}}, "I won't", "refusal"),
        ({"message": {"content": None}, "finish_reason": "content_filter"}, "", "content_filter"),
        ({"message": {"content": None}, "finish_reason": "length"}, "", "length"),
        ({"message": {"content": "half"}, "finish_reason": "length"}, "half", "length"),
        ({"message": {"content": ""}, "finish_reason": "stop"}, "", "stop"),
        ({"message": {"content": "x", "refusal": ""}, "finish_reason": None}, "x", "unknown"),
        ({"message": {"content": "\ud800 a\u0000\u2028"}}, "\ud800 a\u0000\u2028", "unknown"),
    ],
)
def test_what_the_model_did_is_a_sample(choice: dict[str, Any], text: str, finish: str) -> None:
    faults: list[str] = []
    with Faultd(script=[change(choices=[choice])]) as server:
        (sample,) = draw(chat(server), wish(seats(0.0), faults=faults))
    assert (sample.text, sample.finish, faults) == (text, finish, [])


def test_a_lone_surrogate_reaches_the_endpoint_and_comes_back() -> None:
    with Faultd(answer=lambda prompt, ordinal: prompt + " \udfff") as server:
        (sample,) = draw(chat(server), wish(seats(0.0), Prompt((Message("user", "a\ud800"),))))
    assert sample.text == "a\ud800 \udfff"


def test_the_newer_word_for_the_token_cap_is_learned_once() -> None:
    def strict(call: Call) -> Act | None:
        text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return faultd.status(400, text) if "max_tokens" in call.body else None

    with Faultd(script=strict) as server:
        assert len(draw(chat(server), wish(), wish())) == 6
        sent = [("max_tokens" in c.body, c.body.get("max_completion_tokens")) for c in server.calls]
    assert sent == [(True, None), (False, 9), (False, 9)]


def test_a_cap_that_is_too_large_is_told_as_the_endpoint_said_it_first() -> None:
    def strict(call: Call) -> Act | None:
        first = "max_tokens" in call.body
        return faultd.status(400, "max_tokens is too large" if first else "unknown max_completion_tokens")

    with Faultd(script=strict) as server, pytest.raises(BlockedError, match="is too large"):
        draw(chat(server), wish(seats(0.0)))


# --- what is recorded


def test_missing_usage_is_zero_tokens_and_the_echoed_model_is_kept() -> None:
    with Faultd(usage=False, echo="another-model") as server:
        samples = draw(chat(server))
    assert {(s.tokens_in, s.tokens_out, s.model) for s in samples} == {(0, 0, "another-model")}


@pytest.mark.parametrize("usage", [None, 7, {"completion_tokens": -5}, {"completion_tokens": True}])
def test_senseless_usage_is_zero_tokens(usage: Any) -> None:
    with Faultd(script=[change(usage=usage)]) as server:
        assert {s.tokens_out for s in draw(chat(server))} == {0}


def test_cached_prompt_tokens_are_shared_out_and_never_more_than_there_were() -> None:
    def cached(count: Any) -> Act:
        return change(usage={"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": count}})

    with Faultd(script=[cached(8), cached(99), cached("x"), change(usage={"prompt_tokens_details": 3})]) as s:
        samples = draw(chat(s), *[wish()] * 4)
    assert [sum(x.tokens_cached for x in samples[i : i + 3]) for i in range(0, 12, 3)] == [8, 10, 0, 0]
    assert all(0 <= each.tokens_cached <= each.tokens_in for each in samples)


def test_tokens_out_follow_the_length_of_the_text() -> None:
    with Faultd(answer=lambda prompt, ordinal: "word " * (1 + 9 * ordinal)) as server:
        outs = [s.tokens_out for s in draw(chat(server))]
    assert sum(outs) == 30 and outs == sorted(outs) and outs[0] <= 2


def test_log_probabilities_are_summed_when_asked_for() -> None:
    with Faultd(answer=lambda prompt, ordinal: "one two three") as server:
        assert {s.logprob for s in draw(chat(server, logprobs=True))} == {-1.5}
        assert {s.logprob for s in draw(chat(server))} == {None}


def test_a_byte_order_mark_is_no_fault() -> None:
    body = b'\xef\xbb\xbf{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}'
    faults: list[str] = []
    with Faultd(script=[faultd.raw(body)]) as server:
        (sample,) = draw(chat(server), wish(seats(0.0), faults=faults))
    assert (sample.text, sample.model, sample.request, faults) == ("x", None, None, [])


@settings(deadline=None)
@given(st.integers(0, 2**53), st.lists(st.integers(1, 10**6), min_size=1, max_size=9))
def test_shares_sum_to_the_total_and_stay_within_one_of_their_weight(total: int, weights: list[int]) -> None:
    parts = shares(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "id", "logprobs", "error"]),
            inner,
        )
    ),
)


@settings(deadline=None)
@given(st.binary() | JSONS.map(lambda body: json.dumps(body).encode()))
def test_whatever_bytes_come_reading_ends_in_a_reply_or_a_reason(body: bytes) -> None:
    assert isinstance(read(body, None, 0.1), Reply | str)


# --- who may be asked, and with which key


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/v1",
        "file:///etc/passwd",
        "localhost:8000/v1",
        "http://",
        "http://[::1/v1",
        "http://user:secret@127.0.0.1/v1",
        "http://127.0.0.1/v1?key=secret",
        "http://169.254.169.254/latest",
        "https://169.254.169.254/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://metadata.google.internal/",
        "http://api.example.com/v1",
        "http://10.0.0.5:8000/v1",
    ],
)
def test_an_address_that_is_unsafe_or_nonsense_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        OpenAIChat("tiny", base_url=url)
    assert "secret" not in str(caught.value)


def test_plain_http_to_another_machine_needs_a_word_of_the_user() -> None:
    OpenAIChat("tiny", base_url="http://10.0.0.5:8000/v1", allow_http=True)
    with pytest.raises(UsageError, match="link-local"):
        OpenAIChat("tiny", base_url="http://169.254.169.254/", allow_http=True)


def test_the_address_comes_from_the_environment_when_not_given(monkeypatch: Any) -> None:
    with Faultd(key=CANARY) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert len(draw(OpenAIChat("tiny"))) == 3


def test_without_a_key_only_this_machine_can_be_asked(monkeypatch: Any) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with Faultd() as server:
        assert len(draw(chat(server))) == 3
    with pytest.raises(BlockedError, match="OPENAI_API_KEY is not set"):
        draw(OpenAIChat("tiny", base_url="https://nowhere.invalid/v1"))


@pytest.mark.parametrize("key", ["clé-secret", "two\nlines-secret"])
def test_a_key_that_no_header_can_carry_is_not_shown(key: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with Faultd() as server, pytest.raises(BlockedError, match="OPENAI_API_KEY") as caught:
        draw(chat(server))
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_of_the_environment_is_used_only_when_asked_for(monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Faultd() as server:
        assert len(draw(chat(server))) == 3
        with pytest.raises(BlockedError, match="connection"):
            draw(chat(server, trust_env=True, give_up_after=0.3))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert len(draw(chat(server, trust_env=True))) == 3


def leaky(call: Call) -> Act:
    said = f"your header was {call.headers['authorization']}"
    acts = [
        faultd.status(429, said),
        faultd.reset(-1),
        faultd.silent(),
        faultd.raw(said.encode()),
        Act(307, (("location", "http://elsewhere.example/"),), said.encode()),
        faultd.status(400, said),
        faultd.status(401, said),
        faultd.status(404, said, code_name="model_not_found"),
        faultd.status(503, said),
    ]
    return acts[call.ordinal % len(acts)]


def all_locals(error: BaseException) -> list[str]:
    """What a crash report would show of all frames but this file's, causes and contexts too."""
    shown = []
    for one in (error, error.__cause__, error.__context__):
        frames = traceback.walk_tb(one.__traceback__) if one else iter(())
        summary = traceback.StackSummary.extract(frames, capture_locals=True)
        shown += [str(frame.locals) for frame in summary if frame.filename != __file__]
    return shown


def test_the_key_is_in_no_error_log_name_or_sample(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    with Faultd(script=leaky, key=None) as server:
        model = chat(server, give_up_after=0.7, timeout=0.3)
        told += [repr(model), model.name]
        for _ in range(9):
            with pytest.raises(BlockedError) as caught:
                draw(model, wish(seats(0.0)))
            told += [str(caught.value), repr(caught.value), *all_locals(caught.value)]
        assert {call.headers["authorization"] for call in server.calls} == {f"Bearer {CANARY}"}
        told += [repr(getattr(model, one.name)) for one in fields(model)]
    with Faultd() as server:
        told += map(repr, draw(chat(server)))
    assert len(caplog.records) > (50 if THROUGH == "openai" else 5)
    assert CANARY not in "\n".join([*told, caplog.text])


# --- one client, one loop, many requests


def settled(server: Faultd) -> list[str]:
    """Verdicts once no request runs; the server sees within 10 ms that a client has left."""
    end = time.monotonic() + 2.0
    while server.running and time.monotonic() < end:
        time.sleep(0.01)
    return [call.verdict for call in server.calls]


@pytest.mark.parametrize("act", [faultd.silent(), faultd.trickle(0.1), faultd.endless(b" ")])
def test_cancelling_a_draw_leaves_no_request_running(act: Act) -> None:
    async def cancelled(server: Faultd) -> None:
        model = chat(server, requests="single")
        drawing = asyncio.create_task(_first(model.draw(wish())))
        while server.running < 3:
            await asyncio.sleep(0.01)
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await asyncio.to_thread(settled, server) == ["gone"] * 3
        await model.aclose()

    with Faultd(script=lambda call: act) as server:
        asyncio.run(cancelled(server))


def test_cancelling_during_a_pause_or_in_the_queue_asks_no_more() -> None:
    async def cancelled(server: Faultd) -> None:
        model = chat(server, requests="single")
        drawing = asyncio.create_task(_first(model.draw(wish(throttle=Throttle(1)))))
        while not server.calls or server.running:
            await asyncio.sleep(0.01)
        drawing.cancel()
        await asyncio.gather(drawing, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await model.aclose()

    with Faultd(script=lambda call: faultd.status(503, retry_after="30")) as server:
        asyncio.run(cancelled(server))
        assert len(server.calls) == 1


async def _first(drawing: Any) -> Sample:
    return await anext(drawing)


def test_closing_the_iteration_cancels_what_is_under_way_and_the_model_serves_on() -> None:
    def slow_but_first(call: Call) -> Act | None:
        return None if call.ordinal == 0 or call.ordinal > 2 else faultd.silent()

    async def closed(server: Faultd) -> None:
        model = chat(server, requests="single")
        drawing = model.draw(wish())
        assert (await anext(drawing)).finish == "stop"
        await drawing.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert len([sample async for sample in model.draw(wish())]) == 3
        await model.aclose()

    with Faultd(script=slow_but_first) as server:
        asyncio.run(closed(server))


def test_a_blocked_request_yields_the_samples_that_came_with_it_first() -> None:
    def second_refused(call: Call) -> Act | None:
        return faultd.status(401) if call.body["temperature"] else None

    async def partly(server: Faultd) -> list[Sample]:
        got = []
        model = chat(server)
        with pytest.raises(BlockedError):
            async for sample in model.draw(wish(seats(0.0, 0.1))):
                got.append(sample)
                await asyncio.sleep(0.2)
        await model.aclose()
        return got

    with Faultd(script=second_refused) as server:
        assert len(asyncio.run(partly(server))) <= 1


def test_requests_at_one_time_are_bounded_and_connections_used_again() -> None:
    async def many(server: Faultd) -> None:
        model, throttle = chat(server, requests="single"), Throttle(4)
        for _ in range(5):
            await asyncio.gather(*(_all(model.draw(wish(throttle=throttle))) for _ in range(8)))
        await model.aclose()

    with Faultd(latency=0.02) as server:
        asyncio.run(many(server))
        assert len(server.calls) == 120 and server.peak == 4 and server.connections <= 8


async def _all(drawing: Any) -> list[Sample]:
    return [sample async for sample in drawing]


def test_one_instance_serves_one_event_loop_after_another() -> None:
    with Faultd() as server:
        model = chat(server)
        for _ in range(2):
            assert len(asyncio.run(_all(model.draw(wish())))) == 3


# --- the doctor's question, and the options


def test_a_probe_says_in_a_sentence_who_answers() -> None:
    with Faultd(echo="tiny-2026") as server:
        said = asyncio.run(chat(server).probe())
        assert said.startswith(f"{server.url.split('/')[2]} answers as tiny-2026 in 0.")
        assert [call.body["max_tokens"] for call in server.calls] == [16]


@pytest.mark.parametrize(
    ("act", "why"),
    [(faultd.status(401), "key refused"), (faultd.status(404), "model unknown")],
)
def test_a_probe_says_why_nobody_answers(act: Act, why: str) -> None:
    with Faultd(script=[act]) as server, pytest.raises(BlockedError, match=why):
        asyncio.run(chat(server).probe())


def test_options_have_plain_types_and_senseless_values_are_refused() -> None:
    hints = get_type_hints(OpenAIChat.__init__)
    assert hints["temperature"] == float | None and hints["logprobs"] is bool and hints["extra"] is str
    for option in ("timeout", "give_up_after"):
        for value in (0, -1, float("nan"), float("inf")):
            senseless: dict[str, Any] = {option: value}
            with pytest.raises(UsageError, match=option):
                OpenAIChat("tiny", base_url="http://localhost/v1", **senseless)
    for name in ("", "a\nb"):
        with pytest.raises(UsageError, match="model's name"):
            OpenAIChat(name)
