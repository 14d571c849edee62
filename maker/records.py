"""What a journal line says: three kinds of record, and the header that a chunk begins with.

    sample    one raw response, written before anything reads it
    decision  the winner of a step with its tally, written before the next step may be asked; a fork says into
              how many children
    event     all else: open, finish and park of a segment; the final states of its children (join); the panel
              that a parked step was given (amend); what was asked at a contested, flagged or parked step
              (prompt); faults of the transport; draws that were sent twice (hedge); a model that answers as
              another one than before (drift), or gives one answer again and again (repeats)

Whether a sample voted, was flagged or came too late is not in its record, which is older than that
answer: the decision (or the park) lists the draws of every vote and flag, and what is in neither is surplus.
Lines are plain JSON objects with fields in a fixed order, so that a reader may sort them by how they
begin. Invariant: reading back what was written gives an equal value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from maker.errors import JournalDamagedError
from maker.nouns import (
    By,
    Decision,
    Flags,
    Json,
    Parked,
    Prompt,
    Ruling,
    Sample,
    Seat,
    Segment,
    Step,
    Tally,
    Votes,
)

FORMAT = 1
"""Version of the journal's format; a reader refuses a newer one."""

Record = dict[str, Any]
L = TypeVar("L", bound="_Line")


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """A sample and the step that it was drawn for."""

    segment: str
    index: int
    state: str
    sample: Sample


class _Line(BaseModel):
    """What is read back is of exactly this form, or damaged."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SampleLine(_Line):
    """The fields of a `sample` line."""

    kind: Literal["sample"]
    segment: str
    step: int
    state: str
    draw: int
    model: str
    variant: int
    temperature: float | None
    seed: int
    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    latency: float
    echo: str | None
    request: str | None
    logprob: float | None
    system: str | None
    tokens_cached: int = 0


class VotesLine(_Line):
    key: str
    draws: list[int]


class FlagsLine(_Line):
    reason: str
    draws: list[int]


class RulingLine(_Line):
    """What a judge's votes said of two answers; `state` is that of its samples."""

    first: str
    key: str
    same: bool
    state: str
    votes: list[VotesLine]
    flags: list[FlagsLine]


class DecisionLine(_Line):
    """The fields of a `decision` line; the winner's votes come first."""

    kind: Literal["decision"]
    segment: str
    step: int
    state: str
    answer: Any
    votes: list[VotesLine]
    flags: list[FlagsLine]
    by: By | None = None
    children: int = 0
    rulings: list[RulingLine] = []


def from_sample(segment: str, index: int, state: str, sample: Sample) -> Record:
    seat = sample.seat
    return {
        "kind": "sample",
        "segment": segment,
        "step": index,
        "state": state,
        "draw": seat.draw,
        "model": seat.model,
        "variant": seat.variant,
        "temperature": seat.temperature,
        "seed": seat.seed,
        "text": sample.text,
        "finish": sample.finish,
        "tokens_in": sample.tokens_in,
        "tokens_out": sample.tokens_out,
        "latency": round(sample.latency, 6),
        "echo": sample.model,
        "request": sample.request,
        "logprob": sample.logprob,
        "system": sample.system,
        **({"tokens_cached": sample.tokens_cached} if sample.tokens_cached else {}),
    }


def from_decision(decision: Decision) -> Record:
    return {
        "kind": "decision",
        "segment": decision.segment,
        "step": decision.index,
        "state": decision.state,
        "answer": decision.answer,
        **_from_tally(decision.tally),
        **({} if decision.by is None else {"by": decision.by}),
        **({"children": decision.children} if decision.children else {}),
        **({"rulings": [_from_ruling(each) for each in decision.rulings]} if decision.rulings else {}),
    }


def _from_ruling(ruling: Ruling) -> dict[str, Json]:
    said = {"first": ruling.first, "key": ruling.key, "same": ruling.same, "state": ruling.state}
    return {**said, **_from_tally(ruling.tally)}


def from_parked(parked: Parked) -> Record:
    return event(
        "park",
        segment=parked.segment,
        step=parked.index,
        state=parked.state,
        reason=parked.reason,
        **_from_tally(parked.tally),
    )


def from_prompt(
    segment: str, index: int, state: str, prompt: Prompt, variants: Mapping[int, Prompt]
) -> Record:
    """With the variants of it that were asked, by number."""
    more = {"variants": {f"{number}": rendered(each) for number, each in sorted(variants.items())}}
    asked = rendered(prompt) | (more if variants else {})
    return event("prompt", segment=segment, step=index, state=state, **asked)


def rendered(prompt: Prompt) -> dict[str, Json]:
    """A prompt as plain JSON."""
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    schema = {} if prompt.schema is None else {"schema": prompt.schema}
    kind = {"proposal": True} if prompt.proposal else {}
    return {
        "messages": messages,
        "max_tokens": prompt.max_tokens,
        "stop": list(prompt.stop),
        **schema,
        **kind,
    }


def event(name: str, **fields: Json) -> Record:
    return {"kind": "event", "event": name, **fields}


def from_segment(segment: Segment) -> Record:
    return event("open", segment=segment.id, state=segment.state)


def from_join(segment: str, index: int, finals: Sequence[Json]) -> Record:
    return event("join", segment=segment, step=index, finals=list(finals))


def head(
    step: Step,
    samples: Iterable[Record],
    park: Record | None,
    amend: Record | None,
    children: Iterable[Segment],
) -> dict[str, Json]:
    """An unfinished segment as a chunk's header holds it: its head, with the head's samples.

    `park` says that it waits, and why; `amend` is the panel that it was given, if not the run's; `children`
    are the segments that it waits for, of which the first states are kept.
    """
    where = {"segment": step.segment, "step": step.index, "state": step.state}
    states = [child.state for child in children]
    return {**where, "samples": list(samples), "park": park, "amend": amend, "children": states}


def to_sample(record: Record) -> SampleRecord:
    line = _checked(SampleLine, record)
    seat = Seat(line.draw, line.model, line.temperature, line.seed, line.variant)
    said = (line.text, line.finish, line.tokens_in, line.tokens_out)
    named = (line.echo, line.request, line.logprob, line.system)
    sample = Sample(seat, *said, line.latency, *named, line.tokens_cached)
    return SampleRecord(line.segment, line.step, line.state, sample)


def by_place(found: Iterable[Record]) -> dict[int, dict[str, list[Sample]]]:
    """Samples by their step's index and by the state that was asked about, in their order."""
    places: dict[int, dict[str, list[Sample]]] = {}
    for each in map(to_sample, found):
        places.setdefault(each.index, {}).setdefault(each.state, []).append(each.sample)
    return places


def to_decision(record: Record) -> Decision:
    line = _checked(DecisionLine, record)
    tally = to_tally(record)
    rulings = tuple(
        Ruling(each["first"], each["key"], each["same"], each["state"], to_tally(each))
        for each in record.get("rulings", ())
    )
    return Decision(line.segment, line.step, line.state, line.answer, tally, line.by, line.children, rulings)


def to_tally(record: Record) -> Tally:
    """Of a decision or a park."""
    votes = (Votes(each["key"], tuple(each["draws"])) for each in record["votes"])
    flags = (Flags(each["reason"], tuple(each["draws"])) for each in record["flags"])
    return Tally(tuple(votes), tuple(flags))


def _from_tally(tally: Tally) -> dict[str, Json]:
    return {
        "votes": [{"key": votes.key, "draws": list(votes.draws)} for votes in tally.votes],
        "flags": [{"reason": flags.reason, "draws": list(flags.draws)} for flags in tally.flags],
    }


def _checked(form: type[L], record: Mapping[str, Any]) -> L:
    try:
        return form.model_validate(record)
    except ValidationError as error:
        raise JournalDamagedError(
            f"a record is not of format {FORMAT}: {error.errors(include_input=False)[0]}"
        ) from None
