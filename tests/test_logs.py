"""Events of a run: JSON with run and node for programs, and few of them whatever happens."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
import structlog

from maker import logs
from maker.logs import FIRST
from tests.conftest import Maker

STORM = '''
from maker.nouns import Message, Prompt, Sample, Segment


class Rows:
    """So many rows, of which all but the last are parked."""

    def __init__(self, rows: int = 10):
        self.rows = rows

    def segments(self):
        return [Segment(f"s{number:05}", number) for number in range(self.rows)]

    def prompt(self, step):
        return None if step.index else Prompt((Message("user", "?"),))

    def parse(self, step, text):
        if step.state + 1 < self.rows:
            raise ValueError("\\x1b[31mthe parser is broken")
        return text

    def advance(self, step, answer):
        return answer

    def stitch(self, finals):
        return dict(finals)


class Stormy:
    name, temperatures = "stormy", (0.0, 0.0)

    async def draw(self, request):
        for seat in request.seats:
            for number in range(5):
                request.on_fault(f"kind-{number}")
            yield Sample(seat, "x", "stop", 1, 1, 0.01)

    async def aclose(self):
        raise RuntimeError("\\x1b[31mit does not close")
'''
LINES = 60
"""What docs/monitoring.md promises of a run's stderr, beside progress: events of one kind are a few dozen."""


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("as_json", [True, False])
def test_thousands_of_faults_and_parks_are_a_few_dozen_lines(maker: Maker, as_json: bool) -> None:
    (maker.folder / "storm.py").write_text(STORM)
    words = ("--model", "storm.py:Stormy", "-T", "rows=2000", "--run-dir", "r")
    ended = maker("run", "storm.py:Rows", *words, *(["--json"] if as_json else []))
    assert ended.code == 3, ended.err
    lines = ended.err.splitlines()
    assert sum("segment_parked" in line for line in lines) == FIRST + 5
    assert len(lines) <= LINES
    assert "\x1b[31m" not in ended.err
    if as_json:
        assert ended.done["parked"] == 1999
        assert ended.done["transport_faults"] == 5 * ended.done["samples"] > 9000
        events = [json.loads(line) for line in lines]
        parked = [event for event in events if event["event"] == "segment_parked"]
        assert [event["number"] for event in parked if "number" in event] == [64, 128, 256, 512, 1024]
        assert {"lane", "segment", "step", "reason", "timestamp", "level"} <= parked[0].keys()
        assert {(event["run"], event["node"]) for event in events} == {("r", socket.gethostname())}
        assert "progress" in {event["event"] for event in events}


def test_what_happens_often_is_told_with_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    logs.to_stderr(True, logs.place("march", lane="0003"))
    log = structlog.get_logger("maker")
    for number in range(10_000):
        log.warning("worker_lost", reason=f"{number}")
        log.error("another", reason="y" * 10_000)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    lost = [event for event in told if event["event"] == "worker_lost"]
    assert len(told) == 2 * len(lost) == 2 * (FIRST + 8)
    assert [(event["reason"], event["number"]) for event in lost[FIRST : FIRST + 2]] == [
        ("63", 64),
        ("127", 128),
    ]
    assert (lost[0]["run"], lost[0]["lane"], lost[0]["node"]) == ("march", "0003", socket.gethostname())
    assert all(len(json.dumps(event)) < 2500 for event in told)


def test_no_text_from_outside_reaches_a_terminal_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    logs.to_stderr(False)
    log = structlog.get_logger("maker")
    log.warning("drift", now={"model": "\x1b[31mred\n"}, reason="\x1b[2J\nx")
    try:
        raise ValueError("\x1b[31mred")
    except ValueError:
        log.exception("segment_broke", segment="s1")
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert told.count("\n") == 2
    assert "ValueError" in told
