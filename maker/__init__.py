"""Maker: LLM tasks of up to millions of dependent steps without a wrong one.

    import maker
    result = maker.run("hanoi", params={"disks": 10}, model="embedded:temperature=2.0", k=3)

The names below are what a plug-in's author needs; what takes long to load is loaded when it is first used.
Read next: `nouns.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maker.errors import JoinError, MakerError
from maker.nouns import Fork, Message, Prompt, RedFlag, Sample, Seat, Segment, Step

if TYPE_CHECKING:
    from maker.answers import Canonical, Unordered, schema
    from maker.api import run
    from maker.calibration import Calibration
    from maker.calibrator import calibrate
    from maker.input_file import InputFile
    from maker.result import RunResult

__version__ = "0.1.0"

__all__ = [
    "Calibration",
    "Canonical",
    "Fork",
    "InputFile",
    "JoinError",
    "MakerError",
    "Message",
    "Prompt",
    "RedFlag",
    "RunResult",
    "Sample",
    "Seat",
    "Segment",
    "Step",
    "Unordered",
    "__version__",
    "calibrate",
    "run",
    "schema",
]


def __getattr__(name: str) -> object:
    if name == "run":
        from maker.api import run

        return run
    if name == "calibrate":
        from maker.calibrator import calibrate

        return calibrate
    if name == "Calibration":
        from maker.calibration import Calibration

        return Calibration
    if name == "InputFile":
        from maker.input_file import InputFile

        return InputFile
    if name in ("Canonical", "Unordered", "schema"):
        from maker import answers

        return getattr(answers, name)
    if name == "RunResult":
        from maker.result import RunResult

        return RunResult
    raise AttributeError(f"module 'maker' has no attribute {name!r}")
