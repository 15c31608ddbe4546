"""Claims about every probe, whose examples are searched, shrunk, kept and replayed as those of laws are."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from coherence.engine.laws.examples import Example, Form, name_of
from coherence.engine.laws.premises import Premises
from coherence.engine.running.runner import Runner
from coherence.plan import Condition, LawSearch, Measurement, NextToken, Outcome
from coherence.statistics.divergence import divergence


class NextTokenExamples:
    """Examples of a claim about two conditions: a probe, their common strength, the order of the prompts.

    There is a strength where no side has prompts, which are there or not, and an order where the second has
    several.
    """

    def __init__(self, law_search: LawSearch) -> None:
        self._name = law_search.law
        self._reference, self._condition = law_search.conditions
        self._probes = {probe.id: probe for probe in law_search.probes}

    @property
    def identity(self) -> list[str]:
        """What stays the same from release to release."""
        return [self._name, name_of(self._reference), name_of(self._condition)]

    @property
    def form(self) -> Form:
        """The keys, probes and conditions that an example may name, to read one that was written down."""
        return Form(self.one_of_each()[0], self._probes, ())

    def examples(self) -> st.SearchStrategy[Example]:
        """Hypothesis strategy: smaller means earlier probes, a strength of 0 or 1, the order of the suite."""
        strengths = st.floats(0, 1, width=16).map(lambda strength: round(strength, 3))
        strategies: dict[str, st.SearchStrategy[Any]] = {
            "probe": st.sampled_from(list(self._probes)),
            "weight": strengths,
            "order": st.permutations(range(len(self._condition.prompts))),
        }
        return st.fixed_dictionaries({key: strategies[key] for key in self.one_of_each()[0]})

    def one_of_each(self) -> list[Example]:
        """Every probe at full strength."""
        fixed: dict[str, Any] = {}
        if not self._reference.prompts and not self._condition.prompts:
            fixed["weight"] = 1.0
        if len(self._condition.prompts) > 1:
            fixed["order"] = list(range(len(self._condition.prompts)))
        return [{"probe": probe, **fixed} for probe in self._probes]


class NextTokenClaim(NextTokenExamples):
    """The claim that the second condition says what the first does, as far as the next token goes."""

    def __init__(
        self, runner: Runner, law_search: LawSearch, known: Mapping[Measurement, Outcome] | None = None
    ) -> None:
        super().__init__(law_search)
        self._premises = Premises(runner, known or {})

    def deviation(self, example: Example) -> float:
        """KL(first || second) of the next token, in nats. A MeasurementError where it is not finite."""
        second = self._condition
        if "order" in example:
            second = replace(second, prompts=tuple(second.prompts[index] for index in example["order"]))
        sides = [_at(example.get("weight", 1.0), side) for side in (self._reference, second)]
        next_tokens = tuple(NextToken(side, self._probes[example["probe"]]) for side in sides)
        record = self._premises.record(next_tokens)
        return float(divergence(*map(record.log_probs, next_tokens)))


def _at(strength: float, condition: Condition) -> Condition:
    return replace(
        condition,
        adapters=tuple((name, strength * weight) for name, weight in condition.adapters),
        steers=tuple(replace(steer, dose=strength * steer.dose) for steer in condition.steers),
    )
