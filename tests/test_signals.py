"""The first Ctrl-C or SIGTERM stops a run in order; a second one ends it at once, whatever is stuck."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import SAME, WINDOW, Maker

STUBBORN = '''
import asyncio, os, time
from pathlib import Path
from maker.workers.simulated import Simulated

HERE = Path(__file__).parent

class Stubborn(Simulated):
    """Is paid (a line in paid.txt) for each sample before it gives it; told to stop, it takes a minute."""
    def __init__(self, task):
        super().__init__(task, error=0.02, flags=0.02, latency=0.01)
    async def draw(self, request):
        try:
            async for sample in super().draw(request):
                with (HERE / "paid.txt").open("a") as paid:
                    paid.write(f"{request.step.segment}:{request.step.index}:{sample.seat.seed}\\n")
                yield sample
        except asyncio.CancelledError:
            (HERE / "told.txt").touch()
            if os.environ.get("STUBBORN") == "waits":
                await asyncio.shield(asyncio.sleep(60))
            if os.environ.get("STUBBORN") == "blocks":
                time.sleep(60)
            raise
'''
TASK = ("run", "hanoi", "-T", "disks=7", "-T", "waypoints=4", "--seed", 5, "--json")
WORDS = (*TASK, "--run-dir", "r", "--model", "stubborn.py:Stubborn")


@pytest.fixture
def stubborn(maker: Maker) -> Callable[..., Maker]:
    """A shell in which the model is stubborn in this way."""
    (maker.folder / "stubborn.py").write_text(STUBBORN)
    return lambda how, **more: Maker(maker.folder, **{**maker.environment, **more, "STUBBORN": how})


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def paid(maker: Maker) -> list[str]:
    file = maker.folder / "paid.txt"
    return file.read_text().splitlines() if file.exists() else []


def interrupted(shell: Maker, sent: list[signal.Signals]) -> dict[psutil.Process, str]:
    """Run until something is drawn and send two signals; the processes that the run had, with their names."""
    process = shell.start(*WORDS)
    wait_for(lambda: len(paid(shell)) > 60, process)
    children = psutil.Process(process.pid).children(recursive=True)
    started = {child: " ".join(child.cmdline()) for child in children}
    process.send_signal(sent[0])
    wait_for((shell.folder / "told.txt").exists, process)
    time.sleep(0.3)
    assert process.poll() is None, "it is still letting go"
    began = time.monotonic()
    process.send_signal(sent[1])
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 2
    assert (process.returncode, "stopped at once" in err) == (130, True), err
    return started


def goes_on(shell: Maker) -> None:
    """The same command finishes; nothing was paid for twice but what was under way."""
    done = shell(*WORDS).done
    straight = shell(*TASK, "--run-dir", "straight", "--model", "sim:error=0.02,flags=0.02").done
    assert {name: done[name] for name in SAME} == {name: straight[name] for name in SAME}
    twice = [seat for seat, times in Counter(paid(shell)).items() if times > 1]
    assert len(paid(shell)) == done["samples"] + len(twice)
    assert len(twice) <= 4 * 3 * WINDOW, "four segments, three samples of each step under way"


@pytest.mark.parametrize("how", ["waits", "blocks"])
@pytest.mark.parametrize(
    "sent",
    [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]],
)
def test_a_second_signal_ends_a_run_that_is_slow_to_stop_and_it_goes_on(
    stubborn: Callable[..., Maker], how: str, sent: list[signal.Signals]
) -> None:
    interrupted(stubborn(how), sent)
    goes_on(stubborn(""))


def test_on_ray_too_and_ray_goes_with_it(stubborn: Callable[..., Maker], tmp_path: Path) -> None:
    on_ray = {"MAKER_ENGINE": "ray", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    started = interrupted(stubborn("waits", **on_ray), [signal.SIGINT, signal.SIGINT])
    assert any("raylet" in name for name in started.values())
    assert any("LaneWorker" in name for name in started.values())
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not [each for each in alive if "Agent" not in started[each]], "Ray's two agents take a minute"
    goes_on(stubborn(""))


def test_the_signals_of_a_program_that_calls_the_api_are_its_own_again_afterwards(tmp_path: Path) -> None:
    import maker as package

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    package.run("hanoi", params={"disks": 3}, model="sim", engine="inline", run_dir=tmp_path / "r")
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
