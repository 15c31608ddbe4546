"""Looks at an assertion before all of its probes are measured: what is clear by then stops there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from coherence.gate.beginnings import Beginnings
from coherence.gate.needs import Needs
from coherence.properties.case import Earlier
from coherence.statistics.interim import look_levels
from coherence.statistics.intervals import TAIL
from coherence.suite import Assertion
from coherence.vocabulary import Criterion, Evidence, Verdict, fails_as_expected
from coherence.vocabulary.evidence import enough
from coherence.vocabulary.policy import FEWEST_PROBES

_LEVEL = 2 * TAIL
"""Of an interval at a single look."""


@dataclass(frozen=True)
class Look:
    """An assertion about the first `probes` of the `of` that it has, in an order that is drawn."""

    assertion: Assertion
    needs: Needs
    probes: int
    of: int
    level: float
    """Of this look: what it may err by, on both sides together."""

    @property
    def is_last(self) -> bool:
        """Whether it is at all probes."""
        return self.probes == self.of

    def is_clear(self, criteria: Iterable[Criterion]) -> bool:
        """Tell whether every criterion makes the assertion green, at the level of this look.

        A fact about these probes, which has no interval, is clear only where it is over its bound: with more
        probes it stays there.
        """
        return all(
            one.is_decided(self._expected(one), self.level)
            and not (one.law and self._expected(one) is Verdict.PASS)
            for one in criteria
        )

    def is_as_expected(self, evidence: Evidence) -> bool:
        """Tell whether the claim needs no explanation."""
        return all(one.raw_verdict is self._expected(one) for one in evidence.criteria)

    def weighed(self, evidence: Evidence) -> Evidence:
        """Say that it stopped here; at the last of several looks, decide by what is left of the level."""
        if not self.is_last:
            return evidence.model_copy(update={"notes": (*evidence.notes, self._stopped)})
        if self.level == _LEVEL:
            return evidence
        return evidence.model_copy(update={"criteria": tuple(map(self._at_level, evidence.criteria))})

    @property
    def _stopped(self) -> str:
        return (
            f"clear after {self.probes} of {self.of} probes, so that no more were measured: every criterion "
            f"is decided at {1 - self.level:.2%}, the level of this look"
        )

    def _at_level(self, criterion: Criterion) -> Criterion:
        """Leave undecided what would make it green at 95 % and not at the level of this look."""
        expected = self._expected(criterion)
        if criterion.raw_verdict is not expected or criterion.is_decided(expected, self.level):
            return criterion
        estimate = criterion.estimate
        why = (
            f"clear at 95 %, and not at the {1 - self.level:.1%} that earlier looks leave: "
            f"{enough(estimate.n, estimate.n * _LEVEL / self.level, estimate.of)}"
        )
        return criterion.model_copy(update={"unreliable": why})

    def _expected(self, criterion: Criterion) -> Verdict:
        return Verdict.FAIL if fails_as_expected(self.assertion.expect, criterion) else Verdict.PASS


def looks_at(assertion: Assertion, beginnings: Beginnings, needs: Needs, after: Sequence[int]) -> list[Look]:
    """Plan looks at an assertion after so many probes, and at all of them; probes of a template count as one.

    An assertion whose sample are no probes is looked at once.
    """
    narrowed = list(_narrowed(assertion, beginnings, needs, after)) if needs.problem is None else []
    sizes = [*(size for size, _ in narrowed), beginnings.of]
    levels = look_levels(sizes, _LEVEL)
    several = [*(early for _, early in narrowed), assertion]
    return [
        Look(one, needs if one is assertion else Needs(one), size, beginnings.of, level)
        for one, size, level in zip(several, sizes, levels, strict=True)
    ]


def looks_at_controls(look: Look, beginnings: Beginnings) -> list[Earlier]:
    """Plan looks at the controls of a claim that passes at a look, before all of its probes.

    They are after a third and two thirds of the suite's probes, whenever claims are looked at: a control that
    clearly fails there need not be measured further. See docs/verdicts.md#controls.
    """
    thirds = (-(-beginnings.of * share // 3) for share in (1, 2))
    after = [size for size in thirds if FEWEST_PROBES <= size < look.probes]
    narrowed = list(_narrowed(look.assertion, beginnings, look.needs, after))
    levels = look_levels([*(size for size, _ in narrowed), look.probes], _LEVEL)
    return [Earlier(early.case, level) for (_, early), level in zip(narrowed, levels, strict=False)]


def _narrowed(
    assertion: Assertion, beginnings: Beginnings, needs: Needs, after: Sequence[int]
) -> Iterator[tuple[int, Assertion]]:
    for size in after:
        case = beginnings.narrowed(assertion, size)
        if case is None or len(set(case.needs())) == len(set(needs.decisive)):
            return  # it has questions of its own, or cannot do with fewer
        yield size, replace(assertion, case=case)
