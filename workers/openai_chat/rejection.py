"""A rejection of the endpoint told to whoever can act: what was seen and what to do.

It decides nothing. Invariant: no key and no unescaped text of a stranger. Read next: `wire.py`.
"""

from __future__ import annotations

from maker.errors import BlockedError
from maker.workers.openai_chat.endpoint import KEY
from maker.workers.openai_chat.wire import Rejected


class PromptTooLongError(Exception):
    """One prompt does not fit: its step is parked, the others go on."""


def too_long(rejected: Rejected, host: str) -> PromptTooLongError:
    return PromptTooLongError(f'{host} answered {rejected.status} "{rejected.message}"')


def blocked(rejected: Rejected, host: str, model: str) -> BlockedError:
    """The error that a rejection ends in."""
    return BlockedError(f"{_seen_and_do(rejected, host, model)} Then run the same command again.")


def _seen_and_do(rejected: Rejected, host: str, model: str) -> str:
    status, said = rejected.status, f'"{rejected.message}"'
    if status in (401, 403):
        return f"key refused: {host} answered {status}. Set {KEY} to a key that may use {model}."
    if status == 404:
        return (
            f"model unknown or address wrong: {host} answered 404 {said} for {model}. "
            "Set the model's name, or base_url up to and with /v1."
        )
    if 300 <= status < 400:
        return (
            f"{host} answered {status} and points to {said}; redirects are not followed, so that "
            "prompts and key stay with the host you named. Set base_url to the right address."
        )
    if status == 429 or status == 402:
        return f"quota used up: {host} answered {status} {said}. Raise it, or use another key."
    if rejected.names("temperature"):
        return (
            f"{host} does not take this temperature for {model}: it answered {status} {said}. "
            "Set the model option temperature=1, or what the message names."
        )
    return f"{host} rejects the request: it answered {status} {said}. Change the request or the model."
