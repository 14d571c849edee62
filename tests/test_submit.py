"""`maker submit` and its kin on a real cluster with a dashboard, by a user's own folder."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from maker.run_directory import RunDirectory
from tests.conftest import CANARY, Dashboard, Ended, Maker
from tests.faultd import Faultd

COUNT = '''
from pathlib import Path
from typing import Any

from wording import ASK

from maker.input_file import InputFile
from maker.nouns import Message, Prompt, Segment


class Count:
    """Counts on from the numbers in a file, a segment each."""

    def __init__(self, input: InputFile, length: int = 5) -> None:
        self.length = length
        self.starts = [int(line) for line in input.read().split()]
        self.steps = length * len(self.starts)

    def segments(self) -> list[Segment]:
        return [Segment(f"s{number}", start) for number, start in enumerate(self.starts)]

    def prompt(self, step: Any) -> Prompt | None:
        asked = Prompt((Message("user", ASK.format(step.state)),))
        return None if step.index == self.length else asked

    def parse(self, step: Any, text: str) -> int:
        return int(text)

    def advance(self, step: Any, answer: int) -> int:
        return answer

    def stitch(self, finals: Any) -> Any:
        return dict(finals)

    def truth(self, step: Any) -> str:
        return str(step.state + 1)

    def mistake(self, step: Any, draw: Any = None) -> str:
        return str(step.state + 2)
'''
RAISES = """

class Raises(Count):
    def parse(self, step: Any, text: str) -> int:
        raise ValueError("the parser is broken")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder outside of the package: a decomposer, what it imports, its input and a secret."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "count.py").write_text(COUNT + RAISES)
    (folder / "wording.py").write_text('ASK = "What follows {}?"\n')
    (folder / "starts.txt").write_text("1\n100\n")
    (folder / ".env").write_text("OPENAI_API_KEY=sk-in-a-dotenv-file\n")
    return folder


@pytest.fixture
def client(project: Path, dashboard: Dashboard, tmp_path: Path) -> Maker:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "RAY_ADDRESS", "MAKER_MODEL"):
        os.environ.pop(name, None)
    storage = tmp_path / "runs"
    where = {"RAY_API_SERVER_ADDRESS": dashboard.url, "MAKER_STORAGE": str(storage), "COLUMNS": "200"}
    return Maker(project, **dashboard.environment, **where)


TAG = secrets.token_hex(3)


def named(name: str) -> str:
    """A job's id is used once in a cluster's life."""
    return f"{name}-{TAG}"


COUNTING = ("count.py:Count", "--input", "starts.txt", "--model", "sim:error=0.01")


def test_a_users_own_decomposer_is_submitted_from_its_folder(client: Maker, tmp_path: Path) -> None:
    asked = (*COUNTING, "-T", "length=7")
    assert client("calibrate", *asked, "--engine", "inline", "--out", "seen.json").code == 0
    aim = ("--target", "0.9", "--calibration", "seen.json")
    ended = client("submit", *asked, *aim, "--name", named("own"), "--json")
    assert ended.code == 0, f"{ended.out}\n{ended.err}"
    assert ended.events[0]["event"] == "submitted"
    assert ended.done["result"] == {"s0": 8, "s1": 107}
    there = client("status", tmp_path / "runs" / named("own"), "--json").events[0]
    assert (there["status"], there["steps"], there["owner"]["command"]) == ("done", 14, 1)
    log = client("logs", named("own"))
    assert "maker run count.py:Count" in log.out
    assert "runtime_env" not in ended.err
    replayed = client("replay", tmp_path / "runs" / named("own"))
    assert replayed.code == 0, replayed.err


SLOWLY = ("hanoi", "-T", "disks=8", "--model", "sim:error=0.01,latency=300ms", "--workers", "1")


def until(condition, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def left(run: Path) -> dict:
    """What a run last said of itself."""
    return RunDirectory(run).progress() or {}


def status(client: Maker, run: Path) -> dict:
    ended = client("status", run, "--json")
    return ended.events[0] if ended.code == 0 else {"steps": 0, "status": None, "progress": None}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_run_that_is_alive_is_said_to_be_and_one_that_was_stopped_goes_on(
    client: Maker, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / named("long")
    first = client("submit", *SLOWLY, "--name", named("long"), "--no-wait", "--json")
    assert (first.code, first.events[0]["job"]) == (0, named("long")), first.err
    until(lambda: left(run).get("steps", 0) > 20)
    again = client("submit", *SLOWLY, "--name", named("long"))
    assert again.code == 2
    assert f"is going already, as job {named('long')} (RUNNING" in again.err
    there = status(client, run)
    assert there["owner"]["command"] == there["progress"]["command"] == 1
    assert 0 < there["progress"]["steps_per_second"] < 60
    assert there["progress"]["eta_seconds"] > 0
    people = client("status", run).out
    assert "command 1 since" in people and "ETA" in people
    stopped = client("stop", named("long"), "--json")
    assert stopped.events[0]["stopped"] is True
    until(lambda: (RunDirectory(run).result() or {}).get("status") == "stopped")
    before = status(client, run)["steps"]
    assert 20 < before < 255
    assert client("stop", named("long")).out.startswith(f"job {named('long')} has ended already (STOPPED)")
    done = client("submit", *SLOWLY, "--name", named("long"), "--json")
    assert (done.code, done.events[0]["job"], done.done["steps"]) == (0, named("long") + "-2", 255), done.err
    assert done.done["verified"] is True
    straight = client("run", *SLOWLY[:3], "--model", "sim:error=0.01", "--engine", "inline", "--json").done
    same = ("steps", "votes", "samples", "contested")
    assert {name: done.done[name] for name in same} == {name: straight[name] for name in same}
    finished = client("submit", *SLOWLY, "--name", named("long"), "--json")
    assert (finished.code, finished.done["steps"]) == (0, 255)
    assert [each["run"] for each in client("ls", "--json").events] == [str(run)]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_exit_code_and_the_reason_of_a_job_are_those_of_its_run(client: Maker, tmp_path: Path) -> None:
    parked = client("submit", *COUNTING, "--max-samples", 2, "--name", named("wrong"), "--json")
    assert parked.code == 2
    assert "the voter needs 3 votes at least" in parked.err
    raises = ("count.py:Raises", *COUNTING[1:])
    parked = client("submit", *raises, "--name", named("raises"), "--json")
    assert (parked.code, parked.done["parked"]) == (3, 2), parked.err
    other = client("submit", *COUNTING, "-T", "length=6", "--name", named("raises"))
    assert other.code == 7
    assert "is another run than this command's" in other.err


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_run_begun_here_goes_on_in_the_cluster_and_is_looked_at_here(client: Maker, tmp_path: Path) -> None:
    run = tmp_path / "runs" / named("both")
    begun = client("run", *COUNTING, "--engine", "inline", "--run-dir", run, "--max-calls", 11, "--json")
    assert begun.code == 4, begun.err
    ended = client("submit", *COUNTING, "--name", named("both"), "--max-calls", "none", "--json")
    assert (ended.code, ended.done["result"]) == (0, {"s0": 6, "s1": 105}), ended.err
    (run / "result.json").unlink()
    again = client("resume", run, "--engine", "inline", "--json")
    assert (again.code, again.done["steps"]) == (0, 10), again.err
    assert client("verify", run, "--task").code == 0
    assert client("fork", run, "--at", "s0:3", "--run-dir", tmp_path / "fork", "--k", 2).code == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_interrupt_ends_the_waiting_and_not_the_run(client: Maker, tmp_path: Path) -> None:
    run = tmp_path / "runs" / named("left")
    waiting = client.start("submit", "hanoi", "-T", "disks=6", *SLOWLY[3:], "--name", named("left"))
    until(lambda: left(run).get("steps", 0) > 3)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert f"run {named('left')} goes on as job {named('left')}" in err
    until(lambda: (RunDirectory(run).result() or {}).get("status") == "done")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_rays_own_job_submit_runs_a_task_too(client: Maker, tmp_path: Path) -> None:
    run = tmp_path / "runs" / named("rays")
    (client.folder / ".env").unlink()  # Ray's command would send it along
    ray = Path(sys.executable).parent / "ray"
    words = ("--working-dir", ".", "--submission-id", named("rays"), "--", "maker", "run", *COUNTING)
    ended = subprocess.run(
        [ray, "job", "submit", *words, "--run-dir", run, "--json"],
        cwd=client.folder,
        env=client.environment,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert status(client, run)["status"] == "done"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_artefact_of_a_cluster_holds_the_key(client: Maker, dashboard: Dashboard, tmp_path: Path) -> None:
    """Through success, an endpoint that is down, one that refuses the key and repeats it, and a plug-in that
    raises; from the nodes' environment and from a file."""
    key_file = tmp_path / "secret" / "key"
    key_file.parent.mkdir()
    key_file.write_text(f"{CANARY}-file\n")
    said: list[Ended] = []

    def submit(name: str, *words: object) -> Ended:
        said.append(client("submit", "--name", name, "--json", *words))
        said.append(client("logs", name))
        return said[-2]

    asks = ("--input", "starts.txt", "--give-up-after", "2s", "--k", "1", "--model", "openai:m")
    with Faultd(answer=lambda prompt, ordinal: str(int(prompt.split()[-1][:-1]) + 1)) as server:
        good = submit(named("good"), "count.py:Count", *asks, "--base-url", server.url)
        assert (good.code, good.done["status"]) == (0, "done"), good.err
        filed = submit(
            named("filed"), "count.py:Count", *asks, "--base-url", server.url, "--key-file", key_file
        )
        assert filed.code == 0, filed.err
        raises = submit(named("raises"), "count.py:Raises", *asks, "--base-url", server.url)
        assert raises.code == 3
    down = submit(named("down"), "count.py:Count", *asks, "--base-url", server.url)
    assert (down.code, down.done["status"]) == (1, "blocked"), down.err
    with Faultd(key="another") as guarded:
        for name, more in (("refused", ()), ("refused-file", ("--key-file", key_file))):
            ended = submit(named(name), "count.py:Count", *asks, "--base-url", guarded.url, *more)
            assert (ended.code, ended.done["status"]) == (1, "blocked"), ended.err
            assert "401" in ended.done["reason"]
        sent = {call.headers["authorization"] for call in guarded.calls}
        assert sent == {f"Bearer {CANARY}", f"Bearer {CANARY}-file"}, "which the endpoint told in its answer"
    gone = submit(named("gone"), "count.py:Count", *asks, "--base-url", server.url, "--key-file", "/none/key")
    assert (gone.code, "the key file /none/key cannot be read" in gone.out) == (1, True), gone.err
    told = client("submit", "hanoi", "-T", f"disks={CANARY}", OPENAI_API_KEY=CANARY)
    assert (told.code, "OPENAI_API_KEY is among the arguments" in told.err) == (2, True)
    said.append(told)
    for text in [*(each.out + each.err for each in said), *answers(dashboard)]:
        assert CANARY not in text
    holders = [str(path) for folder in (tmp_path / "runs", dashboard.session) for path in holding(folder)]
    assert holders == []


def holding(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if CANARY.encode() in data or b"sk-in-a-dotenv-file" in data:
                yield path


def answers(dashboard: Dashboard) -> Iterator[str]:
    """What the dashboard's API says of jobs, nodes and actors."""
    paths = ("/api/jobs/", "/api/v0/actors?detail=1", "/api/v0/workers?detail=1", "/api/v0/tasks?detail=1")
    paths += (
        "/nodes?view=summary",
        "/logical/actors",
        "/api/cluster_status",
        "/api/v0/runtime_envs?detail=1",
    )
    for path in paths:
        found = dashboard.ask(path)
        assert found
        yield found


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("by_job", [True, False])
def test_the_doctor_looks_at_every_node(
    client: Maker, dashboard: Dashboard, tmp_path: Path, by_job: bool
) -> None:
    address = dashboard.url if by_job else dashboard.address
    ended = client("doctor", "--address", address, "--storage", tmp_path / "kept", "--json")
    said = {event["check"]: event for event in ended.events}
    assert ended.code == 0, ended.out + ended.err
    assert {event["verdict"] for event in ended.events} == {"ok"}
    assert {"nodes", "versions", "auth", "dashboard", "keys", "storage"} <= said.keys()
    assert "listens on loopback" in said["dashboard"]["detail"]
    assert "token authentication is on" in said["auth"]["detail"]
    assert list((tmp_path / "kept").iterdir()) == []
    nowhere = client("doctor", "--address", address, "--storage", "/proc/nowhere", "--json")
    assert nowhere.code == 1
    assert next(each for each in nowhere.events if each["check"] == "storage")["verdict"] == "fail"
    assert CANARY not in ended.out + ended.err
