"""What travels to a cluster with a job: the package as it is installed here, and the user's folder.

Nothing is sent. Invariant: equal files give equal packages, to the byte, so that Ray sends them once; what
usually holds a secret (`.env`, keys) stays at home.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path

from maker.errors import UsageError

LIMIT = 500 * 2**20
"""Bytes of a zipped folder that Ray takes."""
EXCLUDED = (
    *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", "*.pyc", ".*_cache", ".cache"),
    *("runs", ".hypothesis", ".env", ".env.*", "*.pem", "*.key", ".netrc", ".ssh", ".aws", ".ray", ".kube"),
)
"""Names of files and folders that are left at home."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SHOWN = 3


def package(into: Path) -> list[Path]:
    """Copy the package, links followed, and its metadata, so that its plug-ins are found by name.

    Folders for Ray's `py_modules`: unlike a wheel they take no pip and no network on a node, and unlike an
    editable installation they are whole.
    """
    here = Path(__file__).parents[1]
    ours = distribution("maker")
    code, about = into / "maker", into / f"maker-{ours.version}.dist-info"
    shutil.copytree(here, code, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: maker\nVersion: {ours.version}\n")
    (about / "entry_points.txt").write_text(ours.read_text("entry_points.txt") or "")
    return [code, about]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the user's, such as the one that holds a decomposer."""

    root: Path
    exclude: Sequence[str] = ()
    """More names, or paths below the folder, to leave out; `*` and `?` stand for others."""

    def pack(self, into: Path) -> Path:
        """Zip it. Raises UsageError, with what is largest, when Ray would not take it."""
        files = sorted(self._files())
        packed = into / "working_dir.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in files:
                self._add(archive, name)
                if packed.stat().st_size > LIMIT:
                    raise self._too_large(files)
        return packed

    def _add(self, archive: zipfile.ZipFile, name: str) -> None:
        path = self.root / name
        about = zipfile.ZipInfo(name, _EPOCH)
        about.compress_type = zipfile.ZIP_DEFLATED
        about.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
        with path.open("rb") as file, archive.open(about, "w", force_zip64=True) as entry:
            shutil.copyfileobj(file, entry, 1 << 20)

    def _too_large(self, files: Sequence[str]) -> UsageError:
        sizes = sorted(((self.root / name).stat().st_size, name) for name in files)[-_SHOWN:]
        largest = ", ".join(f"{name} ({size / 2**20:.0f} MiB)" for size, name in reversed(sizes))
        return UsageError(
            f"{self.root} is more than the {LIMIT // 2**20} MiB that Ray takes, zipped; the largest files "
            f"are {largest}: leave some out with --exclude, or give another --working-dir"
        )

    def _files(self) -> Iterator[str]:
        """Paths below the folder, links followed, each folder once."""
        seen: set[str] = set()
        for place, folders, files in os.walk(self.root, followlinks=True):
            below = os.path.relpath(place, self.root)
            folders[:] = sorted(name for name in folders if not self.leaves_out(os.path.join(below, name)))
            if (real := os.path.realpath(place)) in seen:
                folders.clear()
                continue
            seen.add(real)
            paths = (os.path.normpath(os.path.join(below, name)) for name in files)
            yield from (path for path in paths if not self.leaves_out(path) and (self.root / path).is_file())

    def leaves_out(self, path: str) -> bool:
        """Of a path below the folder whose own folders are taken."""
        path = os.path.normpath(path)
        names = (*EXCLUDED, *self.exclude)
        return any(fnmatch(os.path.basename(path), name) or fnmatch(path, name.rstrip("/")) for name in names)

    def place_of(self, path: Path) -> str | None:
        """A file's path in the folder, if it travels."""
        try:
            below = path.resolve().relative_to(self.root)
        except ValueError:
            return None
        parents = [str(each) for each in below.parents if str(each) != "."]
        return None if any(map(self.leaves_out, (*parents, str(below)))) else str(below)
