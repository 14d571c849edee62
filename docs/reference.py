"""Writes the reference from docstrings, to stdout: `make docs` keeps it as docs/reference.md.

It says nothing of its own but headings. Invariant: the same code gives the same text.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import typer

import maker
from maker import flags, journal, model, operation, options, plugins, task, testing, voter
from maker.cli import app
from maker.conformance import decomposers, journals, models, stores, voters

GROUPS = {
    "Tasks": plugins.DECOMPOSERS,
    "Models": plugins.MODELS,
    "Voters": plugins.VOTERS,
    "Red flags": plugins.RED_FLAGS,
}


def reference() -> Iterator[str]:
    yield "# Reference"
    yield "Made from the docstrings by `make docs`. For a first task see the [tutorial](tutorial.md)."
    yield "## Commands"
    yield "With `--json` every command prints JSON lines on stdout, and all else on stderr."
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        yield from described(name, command)
    yield "## Built-in plug-ins"
    for title, group_name in GROUPS.items():
        yield f"### {title}"
        yield from (built_in(entry) for entry in plugins.listed(group_name))
    yield "## What a plug-in is"
    for seam in (task.Decomposer, voter.Voter, flags.Rule, model.Model, model.Request):
        yield from told(seam, seam.__name__)
    yield "## What a plug-in uses: `from maker import ...`"
    for name in (name for name in maker.__all__ if not name.startswith("__")):
        yield from told(getattr(maker, name), name)
    for noun in (voter.Decided, voter.Want, operation.Operation):
        yield from told(noun, f"{noun.__module__}.{noun.__name__}")
    yield "## Suites: `from maker.testing import ...`"
    for suite, checks in (
        (testing.DecomposerSuite, decomposers.CHECKS),
        (testing.VoterSuite, voters.CHECKS),
        (testing.ModelSuite, models.CHECKS),
        (testing.JournalSuite, journals.CHECKS),
    ):
        yield from told(suite, suite.__name__)
        yield "\n".join(f"- `{name}`: {summary(check)}" for name, check in checks.items())
    for seam in (stores.Store, journal.OwnedLane):
        yield from told(seam, f"{seam.__module__}.{seam.__name__}")


def described(name: str, command: Any) -> Iterator[str]:
    """A command: its use, what it does, its options."""
    words = [p.name.upper() for p in command.params if p.param_type_name == "argument"]
    yield f"### `maker {' '.join([name, *words])}`"
    yield inspect.cleandoc(command.help or "")
    rows = [option(p) for p in command.params if p.param_type_name == "option"]
    yield "\n".join(["| option | |", "|---|---|", *rows])


def option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    given = parameter.default
    shown = "" if given in (None, False, "") else f" ({given})"
    return f"| {names}{shown} | {flat(parameter.help or '').replace('|', chr(92) + '|')} |"


def built_in(entry: Any) -> str:
    target = entry.load()
    return f"**`{entry.name}`** `({', '.join(map(parameter, options.parameters(target)))})`\n\n{doc(target)}"


def parameter(known: inspect.Parameter) -> str:
    kind = "" if known.annotation is inspect.Parameter.empty else f": {known.annotation}"
    default = "..." if callable(known.default) else repr(known.default)
    return known.name + kind + ("" if known.default is inspect.Parameter.empty else f" = {default}")


def told(thing: Any, name: str) -> Iterator[str]:
    """A class or function: its docstring, its fields and methods with theirs."""
    yield f"### `{name}`"
    if inspect.isfunction(thing):
        yield f"`{name}({', '.join(map(parameter, inspect.signature(thing).parameters.values()))})`"
    yield doc(thing)
    if inspect.isclass(thing):
        yield "\n".join(members(thing))


def members(thing: type) -> Iterator[str]:
    """Fields with the texts below them, and public methods; read from the source, in its order."""
    [tree] = ast.parse(inspect.cleandoc("\n" + inspect.getsource(thing))).body
    assert isinstance(tree, ast.ClassDef)
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        match node, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield f"- `{ast.unparse(node)}`: {flat(text)}"
            case ast.AnnAssign(), _:
                yield f"- `{ast.unparse(node)}`"
            case ((ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name)), _) if public(name):
                text = ast.get_docstring(node)
                kind = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
                made = f"{kind}{name}({ast.unparse(node.args)})"
                yield f"- `{made}`" + (f": {flat(text)}" if text else "")


def public(name: str) -> bool:
    return name == "__call__" or not name.startswith(("_", "test_"))


def summary(thing: Any) -> str:
    return doc(thing).partition("\n")[0]


def doc(thing: Any) -> str:
    """Without the one that a dataclass makes up."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return "" if text.startswith(f"{getattr(thing, '__name__', '')}(") else text


def flat(text: str) -> str:
    return " ".join(text.split())


def whole(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    print(whole(reference()))
