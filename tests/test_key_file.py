"""The endpoint's key from a file, such as a mounted secret, in place of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Maker
from tests.faultd import Faultd


def asks(server: Faultd, *more: object) -> tuple[object, ...]:
    words = ("run", "hanoi", "-T", "disks=2", "--k", 1, "--model", "openai:m", "--base-url", server.url)
    return (*words, "--max-calls", 2, "--json", *more)


@pytest.fixture
def server() -> Faultd:
    return Faultd(answer=lambda prompt, ordinal: "?")


def test_a_key_comes_from_its_file_and_not_from_the_environment(
    maker: Maker, tmp_path: Path, server: Faultd
) -> None:
    key = tmp_path / "key"
    key.write_text("sk-from-the-file\n")
    with server:
        for environment in ({"MAKER_KEY_FILE": str(key)}, {}):
            more = () if environment else ("--key-file", key)
            ended = maker(*asks(server, *more), OPENAI_API_KEY="sk-of-the-environment", **environment)
            assert ended.code == 4, ended.err
            assert "sk-" not in ended.out + ended.err
    sent = {call.headers["authorization"] for call in server.calls}
    assert sent == {"Bearer sk-from-the-file"}
    for path in (tmp_path / "runs").rglob("*"):
        assert not path.is_file() or b"sk-from" not in path.read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read"), (" \n", "is empty"), ("a\nb", "no header can carry")]
)
def test_a_file_without_a_key_blocks_the_run_and_says_which(
    maker: Maker, tmp_path: Path, server: Faultd, content: str | None, reason: str
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
    with server:
        ended = maker(*asks(server, "--key-file", key))
    assert (ended.code, ended.done["status"]) == (1, "blocked")
    assert f"the key file {key}" in ended.done["reason"]
    assert reason in ended.done["reason"]
