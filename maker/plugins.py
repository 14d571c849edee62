"""Finding plug-ins: by entry-point name, `package.module:attr` or `file.py:attr`, with options behind.

    embedded:temperature=1.5      sim:error=0.002,latency=20ms      openai:gpt-4.1-mini
    mypackage.tasks:Invoices      ./mine.py:Model:speed=3

Listing reads metadata only; `locate` finds the file behind a spec and runs nothing, not even the packages
that it is in; `find` imports.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from maker import moved, options
from maker.errors import PluginError, UsageError

DECOMPOSERS, MODELS, VOTERS, RED_FLAGS = (
    "maker.decomposers",
    "maker.models",
    "maker.voters",
    "maker.red_flags",
)

_FILE = re.compile(r"(?P<where>.+\.py):(?P<attr>[A-Za-z_]\w*)(?::(?P<options>.*))?", re.DOTALL)
_MODULE = re.compile(r"(?P<where>[A-Za-z_][\w.]*):(?P<attr>[A-Za-z_]\w*)(?::(?P<options>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a spec leads."""

    spec: str
    """As it was typed, made independent of the working directory."""
    module: str
    """To be imported; empty for a file."""
    file: Path | None
    attr: str
    options: str

    @property
    def sha256(self) -> str:
        """Of the file, in hex; empty where there is none."""
        return _sha256(self.file)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plug-in that was named and found."""

    spec: str
    """As it was typed, made independent of the working directory."""
    target: Callable[..., Any]
    sha256: str
    """Of the file that the spec leads to, in hex; empty where there is none."""
    defined: str
    """SHA-256 of the file that defines it, where the one it was named in only imports it; else empty."""
    words: list[str]
    named: dict[str, str]

    def make(self, parameters: Mapping[str, object] | None = None, **given: object) -> Any:
        """Construct it; `parameters` beside its own options, `given` where it asks for them by name."""
        return options.build(
            self.target, self.spec, self.words, {**self.named, **(parameters or {})}, **given
        )

    def typed(self, parameters: Mapping[str, object]) -> dict[str, object]:
        """Parameters as its constructor is annotated; raises UsageError for one that does not fit."""
        return options.typed(self.target, self.spec, self.words, {**self.named, **parameters})

    def takes(self, parameter: str) -> bool:
        return any(p.name == parameter for p in options.parameters(self.target))


@cache
def listed(group: str) -> tuple[EntryPoint, ...]:
    """Installed plug-ins of a group by name; nothing is imported."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: entry.name))


def locate(group: str, spec: str, sha256: str = "") -> Place:
    """The file behind a spec, which need not be there; nothing is imported.

    `sha256` is that of the file that is meant: another machine has it elsewhere, so where the path leads to
    nothing one of that content is taken below the current folder. Raises UsageError for a spec that can name
    nothing.
    """
    name, _, rest = spec.partition(":")
    for entry in listed(group):
        if entry.name == name:
            module, _, attr = entry.value.partition(":")
            return Place(spec, module, _origin(module), attr, rest)
    if found := _FILE.fullmatch(spec):
        path = moved.found(Path(found["where"]).expanduser().resolve(), sha256)
        full = f"{path}{spec[len(found['where']) :]}"
        return Place(full, "", path, found["attr"], found["options"] or "")
    if found := _MODULE.fullmatch(spec):
        return Place(spec, found["where"], _origin(found["where"]), found["attr"], found["options"] or "")
    names = ", ".join(entry.name for entry in listed(group))
    kind = group.removeprefix("maker.").rstrip("s").replace("_", " ")
    raise UsageError(f"no {kind} {spec!r}; expected one of {names}, package.module:Name or file.py:Name")


def find(group: str, spec: str) -> Plugin:
    """Import what a spec names. Raises UsageError when there is no such thing, PluginError when it breaks."""
    return load(locate(group, spec))


def load(place: Place) -> Plugin:
    """The same, of a place."""
    spec = place.spec
    module = _file(place.file, spec) if place.file and not place.module else _module(place.module, spec)
    target = getattr(module, place.attr, None)
    if not callable(target):
        raise UsageError(f"{spec}: {place.file or module.__name__} has no class or function {place.attr}")
    source = inspect.getsourcefile(inspect.unwrap(target))
    sha256, defined = place.sha256, _sha256(Path(source)) if source else ""
    words, named = options.split(place.options)
    return Plugin(spec, target, sha256, "" if defined == sha256 else defined, words, named)


def spec_of(target: str | type, option: str = "task") -> str:
    """How a class is named so that another process finds it. Raises UsageError for what is none."""
    if isinstance(target, str):
        return target
    if not isinstance(target, type):
        kind = type(target).__qualname__
        raise UsageError(
            f"{option}: seen a value of type {kind}, expected a name, package.module:Name, file.py:Name or a "
            f"class, which other processes can make too; options go behind: file.py:{kind}:option=value"
        )
    if target.__module__ == "__main__":
        import __main__

        if not (file := getattr(__main__, "__file__", None)):
            raise UsageError(
                f"{option}: the class {target.__name__} is in no file, and other processes must find it: put "
                "it into a module, or name it as file.py:Name"
            )
        return f"{file}:{target.__name__}"
    return f"{target.__module__}:{target.__qualname__}"


def specs_of(named: str | type | Sequence[str | type], option: str) -> list[str]:
    """Of one or several."""
    listed: Sequence[Any] = named if isinstance(named, list | tuple) else [named]
    return [spec_of(each, option) for each in listed]


def _sha256(file: Path | None) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file and file.is_file() else ""


def _origin(name: str) -> Path | None:
    """A module's file, found without running its packages, as `importlib.util.find_spec` would."""
    path, origin = None, None
    words = name.split(".")
    for depth in range(1, len(words) + 1):
        full = ".".join(words[:depth])
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        found = next((spec for find in finders if find and (spec := find(full, path))), None)
        if found is None:
            return None
        path, origin = found.submodule_search_locations, found.origin
    return Path(origin) if origin else None


def _module(name: str, spec: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise UsageError(f"{spec}: there is no module {name}") from None
        raise PluginError(f"{spec}: importing {name} failed: {error}") from error
    except Exception as error:
        raise PluginError(f"{spec}: importing {name} raised {type(error).__name__}: {error}") from error


def _file(path: Path, spec: str) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{spec}: there is no file {path}")
    name = f"maker_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise UsageError(f"{spec}: {path} cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(found)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last: what lies beside it can be imported and hides nothing
    try:
        found.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PluginError(f"{spec}: running {path} raised {type(error).__name__}: {error}") from error
    return module
