"""Runs of the kill benchmark in an object store: an S3 server on loopback that fails 5 % of its requests.

The audit reads files, so a run that has ended is copied to where it would be on disk, chunk by chunk under
the names that they have there. Invariant: nothing is written to the store from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maker import chunks
from maker.objects import ObjectPath
from maker.run_directory import RunDirectory
from tests.s3d import BUCKET, served

FAULTS = 0.05
SEAL_SECONDS = 1.0


class OnDisk:
    """Where runs are unless told otherwise."""

    words: tuple[str, ...] = ()
    whole = True
    """Whether a record outlives its process, so that a kill costs only what was in flight."""

    def where(self, path: Path) -> str:
        return str(path)

    def owners(self, path: Path) -> int:
        """How often a lane was read back and gone on with: each owner begins a chunk."""
        return len({(chunk.parent, chunk.name[:6]) for chunk in path.glob("lanes/*/[0-9]*")})

    def fetch(self, path: Path) -> None:
        """Have the run at its path."""


class InS3(OnDisk):
    words = ("--seal-seconds", str(SEAL_SECONDS))
    whole = False

    def where(self, path: Path) -> str:
        return str(self._run(path))

    def owners(self, path: Path) -> int:
        lanes = self._run(path) / "lanes"
        return sum(len(chunks.of(lane)) for lane in lanes.iterdir())

    def fetch(self, path: Path) -> None:
        run = RunDirectory(self._run(path))
        for lane in run.lanes():
            folder = path / "lanes" / lane
            folder.mkdir(parents=True)
            for chunk in chunks.of(run.lane(lane)):
                (folder / f"{chunks.number(chunk):06d}.0.jsonl.zst").write_bytes(chunk.read_bytes())

    def _run(self, path: Path) -> ObjectPath:
        return ObjectPath(f"s3://{BUCKET}", f"{path.parent.name}/{path.name}")


@contextmanager
def storage(name: str) -> Iterator[OnDisk]:
    """`disk` or `s3`, whose server lives as long as the block."""
    if name == "disk":
        yield OnDisk()
        return
    with served(FAULTS) as server:
        os.environ.update(server.environment)
        yield InS3()
        failed = sum(bool(each["fault"]) for each in server.log)
        print(f"{len(server.log):,} requests, {failed:,} of them failed")
