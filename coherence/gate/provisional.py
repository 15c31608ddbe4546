"""Verdicts that are told before the run has ended."""

from collections.abc import Callable
from typing import TypeAlias

from coherence.gate.judging import Judgement
from coherence.gate.outcomes import verdict_of
from coherence.results import AssertionResult
from coherence.suite import Assertion
from coherence.vocabulary import Policy

Heard: TypeAlias = Callable[[AssertionResult, int, int], None]
"""Hears a verdict before the run has ended, as it stands by itself: the how manieth it is, of how many."""


class ProvisionalVerdicts:
    """Tells what assertions come to by themselves, in the order in which they come."""

    def __init__(self, heard: Heard | None, policy: Policy, total: int) -> None:
        self._heard, self._policy, self._total = heard, policy, total
        self._told = 0
        self._untold: list[tuple[Assertion, Judgement]] = []

    @property
    def are_heard(self) -> bool:
        """Whether there is somebody to tell them."""
        return self._heard is not None

    def keep(self, assertion: Assertion, judgement: Judgement) -> None:
        """Keep what is not told yet."""
        self._untold.append((assertion, judgement))

    def tell(self) -> None:
        """Tell everything that is kept."""
        while self._heard is not None and self._untold:
            assertion, judgement = self._untold.pop(0)
            self._told += 1
            verdict = verdict_of(assertion, judgement.evidence, judgement.problem, self._policy)
            result = AssertionResult(**verdict)
            self._heard(result, self._told, self._total)
