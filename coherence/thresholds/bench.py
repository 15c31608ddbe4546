"""The bench: every claim of a suite judged many times over, from what was measured once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, stream
from coherence.properties import Case
from coherence.suite import Assertion, Suite
from coherence.thresholds.halves import Sample
from coherence.thresholds.proposal import CalibrationTerms, Criteria, Halved, Trial
from coherence.thresholds.written_claim import Entry, entries
from coherence.vocabulary import Criterion, Verdict
from coherence.vocabulary.evidence import Sampled

SEEDS = 3  # of what is drawn at random, on the whole sample; every half has one of its own


@dataclass(frozen=True)
class _Halves:
    """The cases of a property on halves of one kind of unit, of which there are so many clusters."""

    cases: Sequence[Sequence[Case]]
    clusters: int


@dataclass(frozen=True)
class _Cases:
    """One assertion: itself, on halves of what it rests on, and with somebody else in the persona's place."""

    entry: Entry
    assertion: Assertion
    halves: Mapping[Sampled, _Halves]
    controls: Mapping[str, Sequence[Case]]


class Bench:
    """The claims of a suite that can be calibrated. A SuiteError says why none can be.

    `left_alone` says of the others why they cannot. The bench of one of several releases has its name.
    """

    def __init__(self, suite: Suite, terms: CalibrationTerms, release: str | None = None) -> None:
        self._release = release
        self._terms = terms
        self.left_alone: list[tuple[Entry, str]] = []
        self._cases: list[_Cases] = []
        for entry in filter(lambda entry: entry.claims, entries(suite)):
            try:
                self._cases += self._cases_of(entry, suite)
            except SuiteError as problem:
                self.left_alone.append((entry, problem.sentence))
        if not self._cases:
            reasons = [f"{entry.name} {reason}" for entry, reason in self.left_alone]
            raise SuiteError(
                f"{suite.path} has nothing to calibrate: {'; '.join(reasons) or 'it has no claim'}"
            )

    def needs(self) -> Iterator[Measurement]:
        """List what must be measured: beyond the suite's own needs, only what its controls take."""
        for each in self._cases:
            for case in (each.assertion.case, *chain.from_iterable(each.controls.values())):
                yield from case.needs()

    def trials(self, record: Record, progress: Callable[[str, int, int], None]) -> Iterator[Trial]:
        """Judge every assertion, in the order of the suite."""
        for done, cases in enumerate(self._cases, 1):
            yield self._tried(cases, record)
            progress("assertions judged", done, len(self._cases))

    def _cases_of(self, entry: Entry, suite: Suite) -> list[_Cases]:
        """Refuse with a SuiteError, about the entry, what cannot be calibrated."""
        if entry.asserted.expect != "pass":
            raise SuiteError("is expected to fail")
        units = dict.fromkeys(unit for claim in entry.claims for unit in claim.case.units)
        halves = {unit: self._halves_of(Sample(entry.asserted, suite.scene, unit)) for unit in units}
        return [
            _Cases(entry, claim, {unit: halves[unit] for unit in claim.case.units}, claim.case.controls())
            for claim in entry.claims
        ]

    def _halves_of(self, sample: Sample) -> _Halves:
        return _Halves(sample.halves(self._terms.halves, self._terms.seed), len(sample.clusters))

    def _tried(self, cases: _Cases, record: Record) -> Trial:
        entry, name, whole = cases.entry, cases.assertion.id, cases.assertion.case

        def criteria(case: Case, purpose: str) -> list[Criterion]:
            return [*case.criteria(case.sample(record, stream(self._terms.seed, f"{name} {purpose}")))]

        def judged(case: Case, purpose: str) -> Criteria:
            return _asked(criteria(case, purpose), entry)

        return Trial(
            entry=entry,
            id=name,
            release=self._release,
            whole=[judged(whole, f"seed {index}") for index in range(SEEDS)],
            halves={
                unit: Halved(
                    [judged(_same(whole, half), f"half {index}") for index, half in enumerate(halves.cases)],
                    halves.clusters,
                )
                for unit, halves in cases.halves.items()
            },
            controls={
                other: _typical([_as_control(criteria(case, other), entry) for case in drawn])
                for other, drawn in cases.controls.items()
            },
        )


def _same(case: Case, others: Sequence[Case]) -> Case:
    mine = (case.persona, case.slug)
    return next(other for other in others if (other.persona, other.slug) == mine)


def _asked(criteria: Sequence[Criterion], entry: Entry) -> Criteria:
    """Name those by key whose range is a threshold of the entry: no law, and nothing that is not asked."""
    return {one.key: one for one in criteria if one.key and not one.law and entry.numbers(one.key)}


def _as_control(criteria: Sequence[Criterion], entry: Entry) -> Criteria:
    """Name what is asked of a control; nothing where a claim without a threshold refuses it."""
    without = (one for one in criteria if not one.law and not (one.key and entry.numbers(one.key)))
    return {} if any(one.verdict is not Verdict.PASS for one in without) else _asked(criteria, entry)


def _typical(drawn: Sequence[Criteria]) -> Criteria:
    """Take the median of each criterion over what was drawn at random, if most have any."""
    if sum(map(bool, drawn)) <= len(drawn) / 2:
        return {}
    keys = dict.fromkeys(chain.from_iterable(drawn))
    return {key: _middle([criteria[key] for criteria in drawn if key in criteria]) for key in keys}


def _middle(criteria: Sequence[Criterion]) -> Criterion:
    """Return the criterion whose estimate is in the middle."""
    return sorted(criteria, key=lambda criterion: criterion.estimate.value)[len(criteria) // 2]
