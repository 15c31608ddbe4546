"""A search for the smallest example that breaks a law, or a claim that is held to every example."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from coherence.plan import LawSearch, Measurement, Record
from coherence.properties.property import Case
from coherence.vocabulary import Criterion, Estimate, Evidence, ProbeNote
from coherence.vocabulary.evidence import Sampled


@dataclass(frozen=True)
class SearchCase(Case):
    """What a search looked for: `says` is the law or claim, `statistic` what its deviation is called."""

    persona: str
    slug: str
    search: LawSearch
    says: str
    statistic: str

    @property
    def units(self) -> tuple[Sampled, ...]:
        """No sample: one example is enough to break it."""
        return ()

    def needs(self) -> Iterable[Measurement]:
        """One search for a counterexample."""
        return [self.search]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Say the law, and the smallest example that breaks it."""
        found = record.law(self.search).counterexample
        broken = (_counterexample(found),) if found else ()
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            probes=broken,
            notes=(self.says, *(each.note for each in broken)),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Hold the largest deviation against the tolerance; it is exact, so its interval has no width."""
        outcome = record.law(self.search)
        seen = outcome.deviation
        estimate = Estimate(name=self.statistic, value=seen, low=seen, high=seen, n=outcome.examples)
        yield Criterion(estimate=estimate, at_most=self.search.tolerance, law=True)


def _counterexample(found: Mapping[str, object]) -> ProbeNote:
    return ProbeNote(
        probe=str(found.get("probe", "any")),
        note=f"smallest counterexample: {in_words(found)}",
        example=json.dumps(found),
    )


def in_words(example: Mapping[str, object]) -> str:
    """Say an example of a law."""
    return ", ".join(f"{name} {_words(value)}" for name, value in example.items())


def _words(value: object) -> str:
    return " and ".join(map(_words, value)) if isinstance(value, list | tuple) else str(value)
