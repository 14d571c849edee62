"""Every fenced block of the documentation runs, in its page's order, or says in itself why it does not.

A `python` block is run, and kept under the name in its first line (`# sums.py`). The `sh` blocks of a page
are run by one shell, in a folder of the page's own, and none of their commands may fail. A block that begins
with `# needs ...` (a key, an hour) is not run. Blocks without a language show output; toml and sql are none
of ours. The address http://127.0.0.1:8000/v1 is an endpoint that answers sums.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faultd import Faultd
from tests.support import ROOT

ELSEWHERE = {"docs/tasks.md": "test_task_docs.py", "docs/reading-a-run.md": "test_export.py"}
"""Pages whose blocks another test runs."""

PAGES = [
    page
    for page in (ROOT / "README.md", ROOT / "DESIGN.md", *sorted((ROOT / "docs").rglob("*.md")))
    if str(page.relative_to(ROOT)) not in ELSEWHERE
]
SHOWN = ("", "toml", "sql")
"""Languages of blocks that are to be read only."""

METHOD = "from __future__ import annotations\n"
"""Before a method that is shown alone, so that it is a function by itself."""

FENCE = re.compile(r"^( *)```(.*)$")


@dataclass(frozen=True)
class Block:
    language: str
    line: int
    """Of its fence, from 1."""
    text: str

    @property
    def needs(self) -> bool:
        return self.text.startswith("# needs ")


def blocks(page: str) -> list[Block]:
    """All of them; AssertionError for a fence that is not closed."""
    found: list[Block] = []
    language, began, body = None, 0, list[str]()
    for number, line in enumerate(page.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and language is None:
            language, began, body = fence[2].strip(), number, []
        elif fence and language is not None:
            found.append(Block(language, began, "\n".join(body) + "\n"))
            language = None
        else:
            body.append(line)
    assert language is None, f"the block that begins in line {began} is not closed"
    return found


def runs(page: Path) -> bool:
    return any(each.language not in SHOWN for each in blocks(page.read_text("utf-8")))


def sums(prompt: str, ordinal: int) -> str:
    left, right = map(int, re.findall(r"\d+", prompt))
    return str(left + right)


def script(page: Path, folder: Path, endpoint: str) -> str:
    """One shell script of a page: python blocks are written as files and run where they stand."""
    lines = ["set -eu"]
    for number, block in enumerate(blocks(page.read_text("utf-8"))):
        if block.needs or block.language in SHOWN:
            continue
        lines.append(f"echo '--- {page.name}:{block.line}' >&2")
        if block.language == "sh":
            lines.append(block.text.replace("http://127.0.0.1:8000/v1", endpoint))
        elif block.language == "python":
            named = re.match(r"# (\w+\.py)\n", block.text)
            source = folder / f"block_{number}"
            source.write_text(
                f"{METHOD}{textwrap.dedent(block.text)}" if block.text[0] == " " else block.text, "utf-8"
            )
            name = named[1] if named else f"block_{number}.py"
            lines.append(f"cp {source} {name}\n{sys.executable} {name}")
        else:
            pytest.fail(
                f"{page.name}:{block.line}: no one runs {block.language!r}; expected sh, python or none"
            )
    return "\n".join(lines)


@pytest.mark.parametrize("page", list(filter(runs, PAGES)), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    folder, kept = tmp_path / "page", tmp_path / "blocks"
    folder.mkdir()
    kept.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MAKER_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OPENAI_API_KEY": "none",
        "MAKER_ENGINE": "inline",
    }
    with Faultd(answer=sums) as server:
        done = subprocess.run(
            ["bash", "-c", script(page, kept, server.url)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=250,
        )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_a_page_is_read_whole() -> None:
    page = "```sh\nmaker\n```\ntext\n```python\n# needs a key\nx\n```\n    ```\n    shown\n    ```\n"
    assert [(each.language, each.line, each.needs) for each in blocks(page)] == [
        ("sh", 1, False),
        ("python", 5, True),
        ("", 9, False),
    ]
    for name, test in ELSEWHERE.items():
        assert Path(name).name in (ROOT / "tests" / test).read_text("utf-8")
    for each in PAGES:
        fences = sum(1 for line in each.read_text("utf-8").splitlines() if line.lstrip().startswith("```"))
        assert fences == 2 * len(blocks(each.read_text("utf-8")))


def test_a_block_that_fails_fails_its_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nfalse\n```\n```sh\ntrue\n```\n")
    assert subprocess.run(["bash", "-c", script(page, tmp_path, "")]).returncode != 0
    page.write_text("```ruby\nputs 1\n```\n")
    with pytest.raises(pytest.fail.Exception, match="no one runs 'ruby'"):
        script(page, tmp_path, "")


def test_the_reference_is_what_the_docstrings_say() -> None:
    made = subprocess.run(
        [sys.executable, "docs/reference.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (ROOT / "docs" / "reference.md").read_text("utf-8") == made.stdout, "run `make docs`"
