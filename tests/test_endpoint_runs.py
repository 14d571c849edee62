"""Whole runs against endpoints over real HTTP: a third-party server, and one of ours that fails as told."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from maker.nouns import Message
from maker.workers.embedded import fill
from maker.workers.embedded.dialects import find
from maker.workers.embedded.drawing import Asked, Draw
from maker.workers.embedded.transformer import CONTEXT
from tests.conftest import Ended, Maker
from tests.faultd import Act, Call, Faultd, status
from tests.hanoi_endpoint import right

CANARY = "sk-canary-4711-do-not-print"
EXACT = "top_k=0,top_p=1,min_p=0"
"""Without these llama.cpp cuts the tail of the distribution."""


def run(maker: Maker, server: str, *words: object, model: str = "openai:tiny", **environment: str) -> Ended:
    asked = ("run", "hanoi", "--model", model, "--base-url", server, "--json", *words)
    return maker(*asked, **environment)


def test_a_storm_of_429_gives_neither_votes_nor_flags_and_the_run_finishes(maker: Maker) -> None:
    began: list[float] = []

    def storm(call: Call) -> Act | None:
        began.append(time.monotonic())
        return status(429, retry_after="0") if began[-1] - began[0] < 3.0 else None

    with Faultd(answer=right, script=storm) as server:
        ended = run(maker, server.url, "-T", "disks=5")
        refused = sum(call.verdict == "fault" for call in server.calls)
    assert ended.code == 0, ended.err
    done = ended.done
    assert (done["verified"], done["flagged"], done["samples"], done["votes"]) == (True, 0, 93, 93)
    assert done["transport_faults"] == refused > 3


def test_an_endpoint_gone_past_patience_blocks_the_run_and_the_same_command_goes_on(maker: Maker) -> None:
    words = ("-T", "disks=5", "--run-dir", "r", "--give-up-after", "1s", "-T", "waypoints=3")

    def gone(call: Call) -> Act | None:
        return status(503) if sum(c.verdict == "answered" for c in server.calls) >= 20 else None

    with Faultd(answer=right, script=gone) as server:
        ended = run(maker, server.url, *words)
        paid = served(server)
    assert ended.code == 1
    done = ended.done
    assert (done["status"], done["samples"], done["flagged"]) == ("blocked", paid, 0)
    assert "http-503" in done["reason"]
    with Faultd(answer=right) as server:
        ended = run(maker, server.url, *words)
        paid += served(server)
    assert ended.code == 0, ended.err
    assert (ended.done["samples"], ended.done["votes"], ended.done["verified"]) == (paid, 93, True)
    assert paid == 93, "a sample was paid for twice"


def served(server: Faultd) -> int:
    """Choices that the server says it gave."""
    return sum(call.body.get("n", 1) for call in server.calls if call.verdict == "answered")


@pytest.mark.parametrize(
    ("code", "reason"), [(401, "key refused"), (403, "key refused"), (404, "openai:tiny|tiny")]
)
def test_a_refused_key_or_an_unknown_model_blocks_the_run_at_once(
    maker: Maker, code: int, reason: str
) -> None:
    words = ("-T", "disks=4", "--run-dir", "r")
    with Faultd(answer=right, script=lambda call: status(code, "go away")) as server:
        ended = run(maker, server.url, *words, OPENAI_API_KEY=CANARY)
        assert len(server.calls) <= 3
    assert ended.code == 1
    assert ended.done["status"] == "blocked"
    assert re.search(reason, ended.done["reason"])
    assert ended.done["samples"] == ended.done["transport_faults"] == 0
    with Faultd(answer=right, key=CANARY) as server:
        again = run(maker, server.url, *words, OPENAI_API_KEY=CANARY)
    assert (again.code, again.done["verified"]) == (0, True)
    assert_no_canary(maker.folder, ended, again)


def assert_no_canary(folder: Path, *ended: Ended) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
    assert not [each for each in ended if CANARY in each.out + each.err]


def test_a_key_is_in_no_record_nor_in_rays_own_files(maker: Maker) -> None:
    with Faultd(answer=right, key=CANARY) as server:
        ended = run(
            maker, server.url, "-T", "disks=4", "--run-dir", "r", OPENAI_API_KEY=CANARY, MAKER_ENGINE="ray"
        )
    assert ended.code == 0, ended.err
    assert_no_canary(maker.folder, ended)
    logs = Path("/tmp/ray/session_latest/logs")
    assert not [log for log in logs.rglob("*") if log.is_file() and CANARY.encode() in log.read_bytes()]


@pytest.mark.parametrize("n", ["honoured", "ignored", "refused"])
def test_servers_that_take_n_ignore_it_or_refuse_it_serve_the_same_run(maker: Maker, n: str) -> None:
    with Faultd(answer=right, n=n) as server:
        ended = run(maker, server.url, "-T", "disks=5")
        answered = sum(call.verdict == "answered" for call in server.calls)
    assert ended.code == 0, ended.err
    assert (ended.done["samples"], ended.done["verified"]) == (93, True)
    assert (answered < 93) == (n == "honoured")


@pytest.mark.parametrize("requests", ["grouped", "streamed"])
def test_the_embedded_weights_behind_llama_server_solve_hanoi(
    maker: Maker, llama_server: str, requests: str
) -> None:
    model = f"openai:hanoi,temperature=1.0,{EXACT}"
    task = ("-T", "disks=7", "-T", "waypoints=3", "--requests", requests, "--window", 4)
    ended = run(maker, f"{llama_server}/v1", *task, model=model)
    assert ended.code == 0, ended.err
    done = ended.done
    assert (done["verified"], done["steps"]) == (True, 127)
    assert done["transport_faults"] <= (9 if requests == "streamed" else 0), "it hangs up behind each stream"
    assert done["tokens_out"] >= 127 * 16, "llama-server counts the tokens of one choice of a request"


def test_the_doctor_probes_an_endpoint(maker: Maker, llama_server: str) -> None:
    words = ("doctor", "--model", "openai:hanoi", "--json")
    checks = {line["check"]: line for line in maker(*words, "--base-url", f"{llama_server}/v1").events}
    fine = {"ok", "warn"}  # to such a question a model of one task may say the same each time
    assert checks["endpoint"]["verdict"] in fine, checks["endpoint"]
    assert {"links", "weights", "ray", "key"} <= checks.keys()
    gone = maker(*words, "--base-url", "http://127.0.0.1:1/v1")
    assert gone.code == 1
    assert [line["verdict"] for line in gone.events if line["check"] == "endpoint"] == ["fail"]


PART = ("-T", "disks=15", "-T", "last=20000", "-T", "waypoints=20", "--k", 4, "--run-dir", "r")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_20000_steps_by_llama_server(maker: Maker, llama_server: str) -> None:
    model = f"openai:hanoi,temperature=1.0,{EXACT}"
    process = maker.start(
        "run", "hanoi", "--model", model, "--base-url", f"{llama_server}/v1", "--json", *PART
    )
    out, err = process.communicate()
    print(out.splitlines()[-1])
    assert process.returncode == 0, err
    assert Ended(0, out, err).done["steps"] == 20000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_20000_steps_by_a_server_that_ignores_n(maker: Maker) -> None:
    with Faultd(answer=by_embedded, n="ignored") as server:
        process = maker.start(
            "run", "hanoi", "--model", "openai:tiny", "--base-url", server.url, "--json", *PART
        )
        out, err = process.communicate()
        answered = sum(call.verdict == "answered" for call in server.calls)
    print(out.splitlines()[-1])
    assert process.returncode == 0, err
    done = Ended(0, out, err).done
    assert (done["steps"], done["samples"]) == (20000, answered)


def by_embedded(prompt: str, ordinal: int) -> str:
    """The embedded model's own answer at temperature 1."""
    dialect, tokens = find((Message("user", prompt),))
    asked = Asked(tokens, [Draw(1.0, ordinal)], CONTEXT)
    fill(dialect, [asked])
    return dialect.words.decode(asked.draws[0].tokens[:-1])
