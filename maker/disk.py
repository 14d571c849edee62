"""The file system as a run is written to it: every change of a run's files goes through here.

Files are created exclusively and appended to, or written whole under another name and put in place in one
step. A subclass can make any of these calls fail, tear or be the last one: so storage is tested and
simulated. Reading needs no seam. Invariant: after `put` the file is there, whole and durable, or not at all.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


class Disk:
    """The operating system's."""

    def make_folder(self, folder: Path) -> None:
        """With its parents, unless it is there; all of them durable."""
        for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
            missing.mkdir(exist_ok=True)
            self.sync_folder(missing.parent)

    def create(self, path: Path) -> int:
        """A new file for appending; raises FileExistsError when there is one."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)

    def write(self, file: int, data: bytes) -> None:
        """Append all of it: it outlives this process, not yet this machine."""
        while data:
            data = data[os.write(file, data) :]

    def sync(self, file: int) -> None:
        """Make what was written durable. After an error it must not be tried again: the system may have
        dropped what it could not write, and say next time that all is well."""
        os.fsync(file)

    def sync_folder(self, folder: Path) -> None:
        """Make names in a folder durable."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self, file: int) -> None:
        os.close(file)

    def rename(self, old: Path, new: Path) -> None:
        """Take the place of whatever is there."""
        old.replace(new)

    def link(self, old: Path, new: Path) -> None:
        """A second name for a file; raises FileExistsError when the name is taken."""
        os.link(old, new)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def put(self, path: Path, data: bytes, exclusively: bool = False) -> None:
        """Write a file whole and durably, in the place of one that is there.

        `exclusively` raises FileExistsError instead when there is one.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        file = self.create(temporary)
        try:
            self.write(file, data)
            self.sync(file)
        finally:
            self.close(file)
        if exclusively:
            try:
                self.link(temporary, path)
            finally:
                self.remove(temporary)
        else:
            self.rename(temporary, path)
        self.sync_folder(path.parent)


DISK = Disk()
