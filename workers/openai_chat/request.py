"""The fields of a chat request.

It sends nothing. Invariant: what the user added never replaces a field of ours.
Read next: `wire.py`.
"""

from __future__ import annotations

import json

from maker.errors import UsageError
from maker.nouns import Json, Prompt

OURS = frozenset(
    ("model", "messages", "n", "stream", "seed", "temperature", "stop", "logprobs")
    + ("max_tokens", "max_completion_tokens")
)
"""Fields that `extra` must leave alone."""


def extra_fields(text: str, **tail: float | None) -> dict[str, Json]:
    """The user's own fields: a JSON object, and those of `tail` that are given."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError('extra is not a JSON object such as {"top_k": 0}')
    if taken := sorted(OURS & found.keys()):
        raise UsageError(f"extra sets {', '.join(taken)}, which Maker sets itself: leave it out")
    return found | {name: value for name, value in tail.items() if value is not None}


def fields(model: str, prompt: Prompt, temperature: float | None, cap: str) -> dict[str, Json]:
    """What a prompt asks for; `cap` is the endpoint's word for the token cap."""
    body: dict[str, Json] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in prompt.messages],
    }
    if temperature is not None:
        body["temperature"] = temperature
    if prompt.max_tokens is not None:
        body[cap] = prompt.max_tokens
    if prompt.stop:
        body["stop"] = list(prompt.stop)
    return body


def held_to(schema: Json) -> dict[str, Json]:
    """The field that has an endpoint force the response into a JSON schema.

    OpenAI's strict form wants every property required: an answer then holds its defaults too.
    """
    parts = {name: _all_required(each) for name, each in schema.get("$defs", {}).items()}
    whole = _all_required(schema) | ({"$defs": parts} if parts else {})
    form = {"name": "answer", "strict": True, "schema": whole}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def _all_required(schema: Json) -> Json:
    names = schema.get("properties")
    return {**schema, "required": list(names)} if names else schema
