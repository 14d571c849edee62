"""The paper's Algorithms 1-3 written plainly with the openai package: one request per vote, no journal.

It is what `benchmarks.http` compares with: a script as anybody would write it. Names are the paper's.
"""

from __future__ import annotations

from collections import Counter

from openai import OpenAI

from maker.decomposers.hanoi import Hanoi
from maker.nouns import Json, RedFlag, Step


def generate_solution(client: OpenAI, task: Hanoi, k: int, steps: int) -> Step:
    """Algorithm 1."""
    step = Step("0", 0, next(iter(task.segments())).state)
    while step.index < steps and task.prompt(step):
        step = Step("0", step.index + 1, task.advance(step, do_voting(client, task, step, k)))
    return step


def do_voting(client: OpenAI, task: Hanoi, step: Step, k: int) -> Json:
    """Algorithm 2."""
    votes: Counter[str] = Counter()
    answers: dict[str, Json] = {}
    while True:
        answer = get_vote(client, task, step, temperature=0.1 if votes else 0.0)
        key = str(answer)
        answers[key] = answer
        votes[key] += 1
        if votes[key] >= k + max((votes[other] for other in votes if other != key), default=0):
            return answers[key]


def get_vote(client: OpenAI, task: Hanoi, step: Step, temperature: float) -> Json:
    """Algorithm 3."""
    prompt = task.prompt(step)
    assert prompt is not None
    while True:
        response = client.chat.completions.create(
            model="hanoi",
            messages=[{"role": each.role, "content": each.content} for each in prompt.messages],  # type: ignore
            temperature=temperature,
            max_tokens=prompt.max_tokens,
        )
        try:
            return task.parse(step, response.choices[0].message.content or "")
        except RedFlag:
            continue
