"""What each finished segment came to, from headers and newest chunks; no plug-in is imported."""

from __future__ import annotations

from maker import chapters
from maker.nouns import Json
from maker.run_directory import RunDirectory


def of(run: RunDirectory) -> dict[str, Json]:
    """Final state by segment, in the order in which they finished in each lane."""
    finals: dict[str, Json] = {}
    for lane in run.lanes():
        for chapter in chapters.of(run.lane(lane)):
            if chapter.after is not None:
                finals |= {name: state for name, _, state in chapter.after["before"]["finished"]}
                continue
            for record in chapter.records("event"):
                if record["event"] == "finish":
                    finals[record["segment"]] = record["state"]
    return finals
