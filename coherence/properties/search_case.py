"""A search for the smallest example that breaks a law, or a claim that is held to every example."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from coherence.plan import LawOutcome, LawSearch, Measurement, Record, Seen
from coherence.properties.case import Case
from coherence.properties.criterion import exact
from coherence.vocabulary import Criterion, Figures, ProbeNote, Regime
from coherence.vocabulary.evidence import Sampled, number


@dataclass(frozen=True)
class SearchCase(Case[LawOutcome]):
    """What a search looked for: `says` is the law or claim, `statistic` what its deviation is called.

    `key` is the property's that has the tolerance.
    """

    persona: str
    slug: str
    search: LawSearch
    key: str
    says: str
    statistic: str
    regimes: tuple[Regime, ...] = ()

    @property
    def units(self) -> tuple[Sampled, ...]:
        """No sample: one example is enough to break it."""
        return ()

    def needs(self) -> Iterable[Measurement]:
        """One search for a counterexample."""
        return [self.search]

    def sample(self, record: Record, seed: int) -> LawOutcome:
        """Take what was found."""
        return record.law(self.search)

    def criteria(self, sample: LawOutcome) -> Iterator[Criterion]:
        """Hold the largest deviation against the tolerance; it is exact, so its interval has no width."""
        seen = sample.largest.deviation
        yield exact(self.statistic, seen, sample.examples, self.search.tolerance, key=self.key)

    def figures(self, sample: LawOutcome) -> Figures:
        """Say the law, the smallest example that breaks it, and that with the largest deviation."""
        largest = _shown("largest deviation seen", sample.largest)
        broken = sample.counterexample
        shown = (_shown("smallest counterexample", broken), largest) if broken else (largest,)
        return Figures(probes=shown if broken else (), notes=(self.says, *(each.note for each in shown)))


def _shown(what: str, seen: Seen) -> ProbeNote:
    return ProbeNote(
        probe=str(seen.example.get("probe", "any")),
        note=f"{what}, {number(seen.deviation)}: {in_words(seen.example)}",
        example=json.dumps(seen.example),
    )


def in_words(example: Mapping[str, object]) -> str:
    """Say an example of a law."""
    return ", ".join(f"{name} {_words(value)}" for name, value in example.items())


def _words(value: object) -> str:
    return " and ".join(map(_words, value)) if isinstance(value, list | tuple) else str(value)
