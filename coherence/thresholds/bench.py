"""The bench: every claim of a suite judged many times over, from what was measured once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene, stream
from coherence.properties import Case
from coherence.properties.search import SearchCase
from coherence.suite import Assertion, Suite
from coherence.thresholds.entry import entries
from coherence.thresholds.halves import halves, names
from coherence.thresholds.proposal import Proposal, Terms, Trial
from coherence.thresholds.weighing import proposals
from coherence.vocabulary import Criterion

SEEDS = 3  # of what is drawn at random, on the whole sample; every half has one of its own


@dataclass(frozen=True)
class _Cases:
    """One assertion: itself, on halves of the probes, and with somebody else in the persona's place."""

    assertion: Assertion
    halves: tuple[Case, ...]
    controls: Mapping[str, Sequence[Case]]


class Bench:
    """The claims of a suite that can be calibrated. A SuiteError says why there are none, or none can be."""

    def __init__(self, suite: Suite, terms: Terms) -> None:
        claims = [entry for entry in entries(suite) if not entry.is_law]
        self.left_alone = [entry for entry in claims if entry.uncalibrated]
        self._clusters = len(names(suite.scene.probes))
        self._terms = terms
        calibrated = [entry for entry in claims if entry not in self.left_alone]
        if not calibrated:
            raise SuiteError(f"{suite.path} has no claim that is expected to pass, so nothing to calibrate")
        self._scene = suite.scene
        self._halves = halves(suite.scene, terms.halves, terms.seed)
        self._cases = [
            (entry, [self._cases_of(one) for one in entry.assertions if not isinstance(one.case, SearchCase)])
            for entry in calibrated
        ]

    def needs(self) -> Iterator[Measurement]:
        """List what must be measured: beyond the suite's own needs, only what its controls take."""
        for _, cases in self._cases:
            for each in cases:
                for case in (each.assertion.case, *chain.from_iterable(each.controls.values())):
                    yield from case.rests_on()

    def proposals(self, record: Record, progress: Callable[[str, int, int], None]) -> Iterator[Proposal]:
        """Yield a proposal per threshold, in the order of the suite."""
        total, done = sum(len(cases) for _, cases in self._cases), 0
        for entry, cases in self._cases:
            trials = []
            for each in cases:
                trials.append(self._tried(each, record))
                done += 1
                progress("assertions judged", done, total)
            yield from proposals(entry, trials, self._terms)

    def _cases_of(self, assertion: Assertion) -> _Cases:
        try:
            smaller = tuple(_case_in(half, assertion) for half in self._halves)
        except SuiteError as problem:
            raise SuiteError(
                f"halves of the suite's {len(self._scene.probes)} probes are too few to calibrate: "
                f"{problem.sentence}",
                assertion.place,
            ) from None
        return _Cases(assertion, smaller, assertion.case.controls())

    def _tried(self, cases: _Cases, record: Record) -> Trial:
        name = cases.assertion.id

        def judged(case: Case, purpose: str) -> dict[str, Criterion]:
            criteria = case.criteria(record, stream(self._terms.seed, f"{name} {purpose}"))
            return {criterion.key: criterion for criterion in criteria if criterion.key}

        return Trial(
            id=name,
            whole=[judged(cases.assertion.case, f"seed {index}") for index in range(SEEDS)],
            halves=[judged(half, f"half {index}") for index, half in enumerate(cases.halves)],
            controls={
                other: _typical([judged(case, other) for case in drawn])
                for other, drawn in cases.controls.items()
            },
            clusters=self._clusters,
        )


def _case_in(scene: Scene, assertion: Assertion) -> Case:
    mine = (assertion.case.persona, assertion.case.slug)
    return next(case for case in assertion.property.cases(scene) if (case.persona, case.slug) == mine)


def _typical(drawn: Sequence[dict[str, Criterion]]) -> dict[str, Criterion]:
    """Take the median of each criterion over what was drawn at random."""
    return {key: _middle([criteria[key] for criteria in drawn if key in criteria]) for key in drawn[0]}


def _middle(criteria: Sequence[Criterion]) -> Criterion:
    """Return the criterion whose estimate is in the middle."""
    return sorted(criteria, key=lambda criterion: criterion.estimate.value)[len(criteria) // 2]
