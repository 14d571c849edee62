"""Suites for the author of a plug-in: subclass one in a test file, and pytest runs every check on your class.

    class TestInvoices(DecomposerSuite):
        task = Invoices

The checks are those of `maker check` (`maker/conformance/`). Invariant: pytest is imported here only.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from maker import plugins
from maker.conformance import decomposers, journals, models, voters
from maker.conformance.finding import Finding, run
from maker.conformance.models import Asked
from maker.conformance.stores import Store
from maker.conformance.subject import Subject
from maker.conformance.telling import by_model
from maker.errors import UsageError
from maker.model import Model
from maker.nouns import Prompt, Step
from maker.voter import Voter

try:
    import pytest
except ModuleNotFoundError as error:
    raise UsageError(
        "maker.testing needs pytest: install it, or Maker with its extra, maker[test]"
    ) from error


class DecomposerSuite:
    """`task` is the class, or its name as `maker run` takes it."""

    task: ClassVar[str | type]
    parameters: ClassVar[Mapping[str, Any]] = {}
    model: ClassVar[str | None] = None
    """Who answers if the task has no `truth`."""
    steps: ClassVar[int] = 20
    """How many are walked of a segment."""

    @pytest.fixture(scope="class")
    @classmethod
    def _subject(cls) -> Subject:
        if not hasattr(cls, "task"):
            _lacks(cls(), "a class or a name in `task`")
        teller = by_model(cls.model, {})
        return Subject(plugins.spec_of(cls.task), cls.parameters, teller, cls.steps)

    @pytest.mark.parametrize("check", decomposers.CHECKS)
    def test_a_decomposer_keeps_its_contract(self, _subject: Subject, check: str) -> None:
        _assert(run(check, lambda: decomposers.CHECKS[check](_subject)))


class VoterSuite:
    """`make` gives a new voter each time, with the options that it is to be tested with."""

    def make(self) -> Voter:
        _lacks(self, "a method `make` that gives a new voter")

    @pytest.mark.parametrize("check", voters.CHECKS)
    def test_a_voter_keeps_its_contract(self, check: str) -> None:
        _assert(run(check, lambda: voters.CHECKS[check](self.make)))


class ModelSuite:
    """`make` gives a new model each time; `prompt` is a question that it can be asked, at `step`."""

    step: Step = models.STEP
    prompt: Prompt = models.PROMPT
    patience: float = models.PATIENCE
    """Seconds that a check may take."""

    def make(self) -> Model:
        _lacks(self, "a method `make` that gives a new model")

    @pytest.mark.parametrize("check", models.CHECKS)
    def test_a_model_keeps_its_contract(self, check: str) -> None:
        asked = Asked(self.make, self.step, self.prompt, self.patience)
        _assert(run(check, lambda: models.CHECKS[check](asked)))


class JournalSuite:
    """`make` gives a new, empty store each time: how lanes are claimed and read where you keep them
    (`maker/conformance/stores.py`)."""

    histories: int = journals.HISTORIES
    """Random ones that are played; a seed repeats one."""

    def make(self) -> Store:
        _lacks(self, "a method `make` that gives a new, empty store")

    @pytest.mark.parametrize("check", journals.CHECKS)
    def test_a_journal_store_keeps_its_contract(self, check: str) -> None:
        if self.histories < 1:
            _lacks(self, f"1 or more in `histories` ({self.histories} are given)")
        _assert(run(check, lambda: journals.play(check, self.make, self.histories)))


def _lacks(suite: object, what: str) -> NoReturn:
    pytest.fail(f"{type(suite).__name__} needs {what}", pytrace=False)


def _assert(finding: Finding) -> None:
    """Fail or skip as the finding says; a warning is shown among pytest's own."""
    if finding.verdict == "fail":
        pytest.fail(f"{finding.check}: {finding}", pytrace=False)
    if finding.verdict == "skip":
        pytest.skip(str(finding))
    if finding.verdict == "warn":
        warnings.warn(f"{finding.check}: {finding}", stacklevel=2)
