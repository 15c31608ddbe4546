"""The exact laws of composition, searched by Hypothesis for the smallest example that breaks one."""

import json
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite

from hypothesis import HealthCheck, Phase, assume, given, seed, settings

from coherence.engine.laws.exact import Law, LawExamples
from coherence.engine.laws.examples import Counterexamples, Example, written
from coherence.engine.laws.next_token import NextTokenClaim, NextTokenExamples
from coherence.engine.laws.same_position import PositionClaim, PositionExamples
from coherence.engine.running.runner import Runner
from coherence.errors import MeasurementError
from coherence.plan import ClaimName, LawOutcome, LawSearch, Measurement, Outcome, Seen

# Shrinking runs the model as well: a search evaluates its law at most this many times per example asked for.
CALLS_PER_EXAMPLE = 6


class BrokenLawError(Exception):
    """An example deviates by more than the tolerance. Hypothesis looks for the smallest that raises it."""


def search(
    runner: Runner, law_search: LawSearch, known: Mapping[Measurement, Outcome] | None = None
) -> LawOutcome:
    """Try examples of a law; report the largest deviation, and the smallest counterexample if there is one.

    Counterexamples of earlier searches are tried first; one that still breaks the law is the outcome, and no
    others are drawn. In any case every artefact or probe has its turn once at the end, so that the largest
    deviation is not that of an example that was made small.

    A deviation is max |a - b| / max |b| over the logits of all tokens of a row, a and b being the two sides.
    That of a claim is a KL, or a distance of positions; what is `known` of what it rests on is not measured
    again. Logits that are not finite are a MeasurementError.
    """
    law = _posed(runner, law_search, known or {})
    tried = _Tried(law, law_search)
    kept = Counterexamples(runner.examples, law.identity, law.form)

    @seed(law_search.seed)
    @settings(
        max_examples=law_search.examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(law.examples())
    def holds(example: Example) -> None:
        assume(tried.within_budget(example))
        tried(example)

    with suppress(BrokenLawError):
        for example in kept:
            tried(example)
        holds()
    for example in law.one_of_each():
        tried.also(example)
    if tried.broken:
        kept.keep(tried.broken.example)
    return tried.outcome()


def read_example(law_search: LawSearch, text: str) -> Example:
    """Read an example of a search from JSON; a CoherenceError says how it is not one."""
    return _EXAMPLES.get(law_search.law, LawExamples)(law_search).form.read(text)


def deviation(runner: Runner, law_search: LawSearch, example: Example) -> float:
    """Measure one example of a search: the deviation of `search`, which may be NaN or infinite here."""
    return _posed(runner, law_search, {}).deviation(example)


def _posed(
    runner: Runner, law_search: LawSearch, known: Mapping[Measurement, Outcome]
) -> "Law | NextTokenClaim | PositionClaim":
    claim = _CLAIMS.get(law_search.law)
    return claim(runner, law_search, known) if claim else Law(runner, law_search)


class _Tried:
    """What has been tried: replays cost nothing, and the budget bounds the shrinking."""

    def __init__(self, law: "Law | NextTokenClaim | PositionClaim", law_search: LawSearch) -> None:
        self._law = law
        self._search = law_search
        self._seen: dict[str, Seen] = {}
        self.broken: Seen | None = None

    def within_budget(self, example: Example) -> bool:
        budget = self._search.examples * CALLS_PER_EXAMPLE
        return written(example) in self._seen or len(self._seen) < budget

    def __call__(self, example: Example) -> None:
        """Try one; what Hypothesis comes back to last, the smallest, is the counterexample."""
        seen = self._measured(example)
        if self._breaks(seen):
            self.broken = seen
            raise BrokenLawError

    def also(self, example: Example) -> None:
        """Try one that is a counterexample only where there is no other."""
        seen = self._measured(example)
        if self._breaks(seen):
            self.broken = self.broken or seen

    def outcome(self) -> LawOutcome:
        for seen in self._seen.values():
            if not isfinite(seen.deviation):
                raise MeasurementError(
                    f"NaN or infinite logits while testing the law {self._search.law} on {seen.example}"
                )
        largest = max(self._seen.values(), key=lambda seen: seen.deviation)
        return LawOutcome(largest, len(self._seen), self.broken)

    def _measured(self, example: Example) -> Seen:
        spelled = written(example)
        if spelled not in self._seen:
            # As it is spelled, so that what is measured equals what the store gives back.
            self._seen[spelled] = Seen(json.loads(spelled), self._law.deviation(example))
        return self._seen[spelled]

    def _breaks(self, seen: Seen) -> bool:
        return not seen.deviation <= self._search.tolerance


_EXAMPLES: Mapping[str, type[LawExamples | NextTokenExamples | PositionExamples]] = {
    ClaimName.NEXT_TOKEN: NextTokenExamples,
    ClaimName.SAME_POSITION: PositionExamples,
}
_CLAIMS: Mapping[str, type[NextTokenClaim | PositionClaim]] = {
    ClaimName.NEXT_TOKEN: NextTokenClaim,
    ClaimName.SAME_POSITION: PositionClaim,
}
