"""Runs in an object store: a real S3 server on loopback, which fails now and then, before or after it has
done what it was asked for. The same over what Google Cloud Storage speaks."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from maker import chunks, history, object_lane, objects, place, records
from maker.errors import FencedError, JournalDamagedError, StorageError, UsageError
from maker.journal import OutrunError, Seal
from maker.ledger import Ledger
from maker.object_lane import ObjectLane
from maker.objects import ObjectPath
from maker.run_directory import RunDirectory
from tests.conftest import Ended, Maker
from tests.s3d import BUCKET, S3, Google, served
from tests.support import ROOT

SIM = ("--model", "sim:error=0.03,flags=0.03,latency=3ms")
TASK = ("hanoi", "-T", "disks=6", "-T", "waypoints=4")
SAME = ("status", "verified", "steps", "votes", "samples", "flagged", "contested", "result")
NUMBERS = count()


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with served(seed=5) as s3:
        if request.param == "gs":
            s3 = Google(s3.url, tmp_path_factory.mktemp("google") / "key.json")
        kept = {name: os.environ.get(name) for name in s3.environment}
        os.environ.update(s3.environment)
        yield s3
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def s3(server: S3) -> Iterator[S3]:
    """It fails as often as a test says."""
    yield server
    server.fail(0.0)


@pytest.fixture
def prefix(s3: S3) -> ObjectPath:
    return ObjectPath(s3.bucket, f"t{next(NUMBERS)}")


@pytest.fixture
def cloud(maker: Maker, s3: S3) -> Maker:
    """The command line with the server's credentials in its environment."""
    return Maker(maker.folder, MAKER_ENGINE="inline", COLUMNS="200", **s3.environment)


# -- objects ---------------------------------------------------------------------------------------


def test_of_many_that_write_an_object_exclusively_one_succeeds_and_knows_it(
    s3: S3, prefix: ObjectPath
) -> None:
    s3.fail(0.15)
    won: list[tuple[str, bytes]] = []

    def write(name: str, data: bytes) -> None:
        with suppress(FileExistsError):
            (prefix / name).put(data, exclusively=True)
            won.append((name, data))

    threads = [
        threading.Thread(target=write, args=(str(number), os.urandom(20)))
        for number in range(12)
        for _ in range(6)
    ]
    together(threads)
    s3.fail(0.0)
    assert len(won) == 12
    assert all((prefix / name).read_bytes() == data for name, data in won)
    faults = Counter(each["fault"] for each in s3.log if each["method"] == "PUT")
    assert min(faults["lost"], faults["slow"], faults["conflict"] + faults["failed"]) > 0


def together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_the_store_says_is_told_without_keys_and_in_one_line(s3: S3) -> None:
    nowhere = ObjectPath(s3.bucket.replace(BUCKET, "nowhere"), "run")
    for ask in (lambda: nowhere.put(b"", exclusively=True), lambda: nowhere.put(b"")):
        with pytest.raises(StorageError) as caught:
            ask()
        said = str(caught.value)
        assert nowhere.bucket in said
        assert "\n" not in said
        assert not any(secret in said for secret in s3.secrets)


@pytest.mark.parametrize(
    "said",
    [
        "Generic S3 error: Error performing GET http://169.254.169.254/latest/api/token in 2s - timed out",
        "Generic GCS error: Error performing token request: Error performing GET http://metadata.google.internal/"
        "computeMetadata in 1 ms - Server returned non-2xx status code: 403 Forbidden: denied",
    ],
)
def test_where_there_are_no_credentials_it_is_said_so(said: str) -> None:
    assert "the environment has no credentials" in objects._reason(Exception(said))


@pytest.mark.parametrize(
    "where", ["s3://", "s3:/bucket/r", "file:/r", "ftp://host/run", "s3://key:word@bucket/run"]
)
def test_a_place_that_is_none_is_refused_and_what_may_be_a_key_is_not_shown(where: str) -> None:
    with pytest.raises(UsageError) as caught:
        place.at(where)
    assert "word" not in str(caught.value)


def test_a_place_reads_as_a_path_does(s3: S3, prefix: ObjectPath, tmp_path: Path) -> None:
    for root in (prefix, tmp_path):
        for name in ("a/1", "a/b/2", "3"):
            target = root / name
            if isinstance(target, Path):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"content")
            else:
                target.put(b"content")
        assert sorted(each.name for each in place.entries(root)) == ["3", "a"]
        assert place.entries(root / "none") == []
        assert [(root / "a").is_dir(), (root / "a").is_file(), (root / "a" / "none").exists()] == [1, 0, 0]
        assert (root / "a/1").stat().st_size == 7
        assert ((root / "x.y.zst").suffix, (root / "a/1").parent.name) == (".zst", "a")
        with pytest.raises(FileNotFoundError):
            (root / "none").read_text("utf-8")
    assert place.at(str(prefix)) == prefix
    assert place.at(f"file://{tmp_path}") == tmp_path
    assert place.at("runs/r") == Path("runs/r")


# -- a lane ----------------------------------------------------------------------------------------


def owned(folder: ObjectPath, command: int = 1, **options: Any) -> ObjectLane:
    """A lane taken over, as a worker does."""
    while True:
        lane = ObjectLane(folder, "r", command, **options)
        lane.turn(Ledger().page([]))
        try:
            lane.sync()
        except OutrunError:
            continue
        lane.turn(Ledger().page([]))
        return lane


def note(**content: Any) -> dict[str, Any]:
    return records.event("note", **content)


def test_what_owners_racing_for_a_lane_were_told_is_written_is_the_history(
    s3: S3, prefix: ObjectPath
) -> None:
    s3.fail(0.05)
    kept: list[list[dict[str, Any]]] = [[] for _ in range(4)]

    def own(who: int) -> None:
        lot = random.Random(who)
        for turn in range(5):
            with suppress(FencedError):
                lane = owned(prefix)
                for number in range(lot.randrange(1, 5)):
                    record = note(who=who, turn=turn, number=number)
                    lane.append(record)
                    lane.sync()
                    kept[who].append(record)
                    lane.turn(Ledger().page([]))

    together([threading.Thread(target=own, args=(who,)) for who in range(4)])
    s3.fail(0.0)
    found = list(history.read(prefix))
    assert [[each for each in found if each["who"] == who] for who in range(4)] == kept
    assert sum(map(len, kept)) == len(found) > 20
    history.verify(prefix)
    headers = [header for _, _, header in history.parts(prefix)]
    assert [header["chunk"] for header in headers] == list(range(1, len(headers) + 1))
    assert [header["epoch"] for header in headers] == sorted(header["epoch"] for header in headers)


def test_an_older_owner_can_write_nothing_more_and_nothing_is_cut(s3: S3, prefix: ObjectPath) -> None:
    old = owned(prefix)
    old.append(note(by="old"))
    old.sync()
    old.turn(Ledger().page([]))
    old.append(note(by="old, unsealed"))
    new = owned(prefix, command=2)
    with pytest.raises(FencedError):
        old.sync()
    with pytest.raises(FencedError):
        old.append(note(by="old, fenced"))
    with pytest.raises(FencedError):
        ObjectLane(prefix, "r", command=1)
    new.append(note(by="new"))
    new.sync()
    assert [each["by"] for each in history.read(prefix)] == ["old", "new"]


def test_a_taker_that_an_older_owner_outran_reads_the_lane_again(s3: S3, prefix: ObjectPath) -> None:
    old, taker = owned(prefix), ObjectLane(prefix, "r", command=2)
    taker.turn(Ledger().page([]))
    old.append(note(by="old"))
    old.sync()
    with pytest.raises(OutrunError):
        taker.sync()
    assert [each["by"] for each in owned(prefix, command=2).last()[1]] == ["old"]


def test_a_store_that_lets_a_name_be_written_twice_is_found(s3: S3, prefix: ObjectPath) -> None:
    lane = owned(prefix)
    chunk = prefix / history.object_name(2)
    chunk.put((prefix / history.object_name(1)).read_bytes())
    lane.append(note())
    with pytest.raises(JournalDamagedError, match="conditional writes"):
        lane.sync()


def test_a_chunk_is_sealed_when_one_of_its_bounds_is_reached(s3: S3, prefix: ObjectPath) -> None:
    now = 0.0
    lane = owned(prefix, seal=Seal(seconds=10, records=3), clock=lambda: now)
    lane.append(note())
    lane.append(note())
    assert not lane.full
    now = 10.0
    assert lane.full
    now = 5.0
    lane.append(note())
    assert lane.full
    lane.turn(Ledger().page([]))
    assert not lane.full
    stepwise = owned(prefix, command=2, durability="step", clock=lambda: now)
    stepwise.append(note())
    assert not stepwise.full
    stepwise.append({"kind": "decision", "segment": "0", "step": 0})
    assert stepwise.full


def test_a_lane_of_many_chunks_is_gone_on_with_by_few_requests(
    s3: S3, prefix: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE", 10)
    monkeypatch.setattr(object_lane, "LINKS", 4)
    ledger, lane = Ledger(), owned(prefix)
    for number in range(75):
        record = note() if number % 3 else records.event("finish", segment=str(number), steps=1, state=number)
        lane.append(record)
        ledger.fold(record)
        lane.sync()
        lane.turn(ledger.page([]))
    lane.close()
    before = len(s3.log)
    again = ObjectLane(prefix, "r", 2)
    asked = len(s3.log) - before
    header, _ = again.last()
    assert header is not None
    assert header["chunk"] == 76
    assert asked <= 10
    assert header["before"]["ended"] == 25
    assert sorted(end[2] for end in again.finished()) == list(range(0, 75, 3))
    newest = history.newest(prefix)
    assert newest is not None
    assert newest.finished == 25
    assert sum(history.bytes_of(prefix)) == sum(chunk.stat().st_size for chunk in chunks.of(prefix))


# -- runs ------------------------------------------------------------------------------------------


def same(one: Ended, other: Ended) -> None:
    assert (one.code, other.code) == (0, 0), (one, other)
    assert {name: one.done[name] for name in SAME} == {name: other.done[name] for name in SAME}


def test_every_command_takes_a_run_in_a_store_that_fails_now_and_then(
    cloud: Maker, s3: S3, prefix: ObjectPath
) -> None:
    s3.fail(0.05)
    run, fork = str(prefix / "r"), str(prefix / "f")
    done = cloud("run", *TASK, *SIM, "--run-dir", run, "--seal-records", 50, "--json")
    same(done, cloud("run", *TASK, *SIM, "--run-dir", "local", "--json"))
    assert cloud("steps", run, "--json").events == cloud("steps", "local", "--json").events
    status = cloud("status", run, "--json").events[0]
    assert (status["run"], status["status"], status["segments_finished"]) == (run, "done", 4)
    assert status["journal_bytes"] > 0
    assert cloud("verify", run, "--task").code == cloud("replay", run).code == 0
    assert cloud("result", run, "--json").events == cloud("result", "local", "--json").events
    assert cloud("show", run, "0:3").code == 0
    assert cloud("export", run, "--csv", "sheets").code == 0
    assert cloud("fork", run, "--at", "1:5", "--run-dir", fork, "--k", 4).code == 0
    assert cloud("resume", fork, "--json").done["verified"] is True
    assert cloud("verify", fork).code == 0
    assert {each["run"] for each in cloud("ls", prefix, "--json").events} == {run, fork}
    other = cloud("run", *TASK, "--model", "sim:error=0.2", "--run-dir", run)
    assert other.code == 7
    s3.fail(0.0)
    small = [prefix / "r" / name for name in ("manifest.json", "claims/000001.json", "result.json")]
    assert not any(secret in each.read_text("utf-8") for each in small for secret in s3.secrets)
    assert not any(secret in done.out + done.err for secret in s3.secrets)


def test_a_person_decides_a_parked_step_of_a_run_in_a_store(cloud: Maker, prefix: ObjectPath) -> None:
    from tests.test_cli import TORN

    (cloud.folder / "torn.py").write_text(TORN)
    words = ("torn.py:Torn", "--model", "torn.py:Even", "--max-samples", 8)
    assert cloud("run", *words, "--run-dir", prefix).code == 3
    [parked] = cloud("steps", prefix, "--parked", "--json").events
    at = f"{parked['segment']}:{parked['index']}"
    answer = json.dumps(json.loads(next(iter(parked["votes"]))))
    decided = cloud("decide", prefix, at, "--answer", answer, "--json")
    assert (decided.code, decided.events[0]["by"]) == (0, "person"), decided.err
    assert cloud("status", prefix, "--json").events[0]["by_person"] == 1
    assert cloud("verify", prefix).code == 0


def sealed(run: ObjectPath) -> int:
    return sum(len(chunks.of(run / "lanes" / lane)) for lane in RunDirectory(run).lanes())


def until(condition: Any) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


SLOW = ("--model", "sim:error=0.03,flags=0.03,latency=30ms", "--workers", 3, "--seal-seconds", 0.3)


def test_a_run_killed_over_a_failing_store_ends_as_the_undisturbed_one(
    cloud: Maker, s3: S3, prefix: ObjectPath
) -> None:
    s3.fail(0.05)
    words = ("run", *TASK, *SLOW, "--run-dir", prefix, "--json")
    for _ in range(2):
        process, before = cloud.start(*words), sealed(prefix)
        until(lambda before=before: sealed(prefix) >= before + 6)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert cloud("verify", prefix).code == 0
    done = cloud(*words)
    same(done, cloud("run", *TASK, *SIM, "--run-dir", "straight", "--json"))
    assert cloud("steps", prefix, "--json").events == cloud("steps", "straight", "--json").events
    assert cloud("verify", prefix, "--task").code == cloud("replay", prefix).code == 0
    assert cloud("status", prefix, "--json").events[0]["epochs"]["0000"] == "3-1"


def test_a_command_that_was_paused_and_overtaken_writes_nothing_more(
    cloud: Maker, s3: S3, prefix: ObjectPath
) -> None:
    words = ("run", *TASK, *SLOW, "--run-dir", prefix, "--json")
    zombie = cloud.start(*words)
    until(lambda: sealed(prefix) >= 6)
    zombie.send_signal(signal.SIGSTOP)
    done = cloud(*words)
    content = sorted((each["path"], each["query"]) for each in s3.log if each["method"] == "PUT")
    zombie.send_signal(signal.SIGCONT)
    out, err = zombie.communicate(timeout=60)
    assert zombie.returncode == 5, err
    assert json.loads(out.splitlines()[-1])["status"] == "fenced"
    assert done.code == 0
    assert cloud("verify", prefix).code == 0
    assert cloud("run", *TASK, *SIM, "--run-dir", "straight", "--json").done["votes"] == done.done["votes"]
    after = [each["path"] for each in s3.log if each["method"] == "PUT"][len(content) :]
    assert all("/lanes/" in path for path in after), "a refused seal at most, never a result or a claim"


DYING = """
import os, sys
from maker import api
from maker.objects import ObjectPath
at, when, where = int(sys.argv[1]), sys.argv[2], sys.argv[3]
put, done = ObjectPath.put, 0
def dying(self, data, exclusively=False):
    global done
    done += 1
    if done == at and when == "before":
        os._exit(9)
    put(self, data, exclusively)
    if done == at:
        os._exit(9)
ObjectPath.put = dying
api.run("hanoi", params={"disks": 5, "waypoints": 3}, model="sim:error=0.05,flags=0.05", engine="inline",
        seal_records=30, run_dir=where)
print(done)
"""
"""A command that dies before or after its so manieth write."""


def dying(cloud: Maker, at: int, when: str, where: ObjectPath) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", DYING, str(at), when, str(where)]
    return subprocess.run(words, env=cloud.environment, cwd=ROOT, capture_output=True, text=True, timeout=120)


FEW = [(1, "after"), (4, "before"), (4, "after"), (6, "after")]
ALL = [(at, when) for at in range(1, 13) for when in ("before", "after")]


@pytest.mark.parametrize(
    "points", [FEW, pytest.param(ALL, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_a_command_that_dies_at_any_write_leaves_a_run_that_goes_on(
    cloud: Maker, s3: S3, prefix: ObjectPath, points: list[tuple[int, str]]
) -> None:
    straight = dying(cloud, 0, "", prefix / "straight")
    assert straight.returncode == 0, straight.stderr
    writes = int(straight.stdout)
    assert writes > 6
    expected = decisions(prefix / "straight")
    s3.fail(0.05)
    for at, when in points:
        run = prefix / f"{at}{when}"
        assert dying(cloud, at, when, run).returncode == (9 if at <= writes else 0)
        found = decisions(run) if (run / "manifest.json").is_file() else {}
        assert all(found[name] == expected[name][: len(found[name])] for name in found), "a prefix of each"
        assert dying(cloud, 0, "", run).returncode == 0
        assert decisions(run) == expected
        assert cloud("verify", run).code == 0


def decisions(run: ObjectPath) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for record in RunDirectory(run).records(("decision",)):
        found.setdefault(record["segment"], []).append((record["step"], record["answer"], record["votes"]))
    return found


def test_with_durability_step_every_decision_is_sealed_before_anything_is_built_on_it(
    cloud: Maker, prefix: ObjectPath
) -> None:
    words = ("hanoi", "-T", "disks=3", "--model", "sim:error=0.1")
    assert cloud("run", *words, "--durability", "step", "--run-dir", prefix).code == 0
    held = [
        [line["kind"] for line in map(json.loads, chunks.whole(chunk).splitlines())]
        for chunk in chunks.of(prefix / "lanes" / "0000")
    ]
    assert sum(kinds.count("decision") for kinds in held) == 7
    assert all("sample" not in kinds[kinds.index("decision") :] for kinds in held if "decision" in kinds)


def test_a_run_is_kept_in_google_cloud_storage(maker: Maker, tmp_path: Path) -> None:
    words = ("hanoi", "-T", "disks=4", "--model", "sim:error=0.05", "--json")
    with served(faults=0.05, seed=2) as s3:
        google = Google(s3.url, tmp_path / "key.json")
        cloud = Maker(maker.folder, MAKER_ENGINE="inline", MAKER_STORAGE=google.bucket, **google.environment)
        same(cloud("run", *words, "--run-dir", f"{google.bucket}/r"), cloud("run", *words))
        assert cloud("verify", "r", "--task").code == 0
        assert cloud("run", *words, "--seed", 1, "--run-dir", f"{google.bucket}/r").code == 7
