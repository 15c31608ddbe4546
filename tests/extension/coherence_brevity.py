"""A property, replies that stay short, and a view, the verdicts as CSV."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from coherence.plan import Measurement, Record, Reply, Scene
from coherence.properties import Case, Property, held
from coherence.properties.ranges import SIZE
from coherence.results import Results
from coherence.statistics.jackknife import mean
from coherence.vocabulary import Criterion, Figures, ProbeNote, Regime

Words = NDArray[np.float64]


@dataclass(frozen=True)
class BrevityCase(Case[Words]):
    """One persona, under one regime."""

    persona: str
    slug: str
    regimes: tuple[Regime, ...]
    spec: "Brevity"
    scene: Scene

    def needs(self) -> Iterable[Measurement]:
        """Let the model answer every probe."""
        return self._replies

    def sample(self, record: Record, seed: int) -> Words:
        """Count the words of each reply."""
        return np.array([len(record.reply(reply).split()) for reply in self._replies], dtype=np.float64)

    def criteria(self, sample: Words) -> Iterator[Criterion]:
        """Hold the mean of what the probes have against the threshold, probes of one template together."""
        found = mean(sample, self.scene.clusters)
        yield held("words per reply", found, len(sample), at_most=self.spec.max_words, key="max_words")

    def figures(self, sample: Words) -> Figures:
        """Name the probe with the longest reply."""
        row = int(sample.argmax())
        return Figures(probes=(ProbeNote(probe=self.scene.probes[row].id, note=f"{sample[row]:g} words"),))

    @property
    def _replies(self) -> list[Reply]:
        (regime,) = self.regimes
        condition = self.scene.condition(self.persona, regime)
        return [Reply(condition, probe, self.scene.decoding) for probe in self.scene.probes]


class Brevity(Property):
    """The persona keeps its replies short."""

    family: ClassVar[str] = "brevity"

    property: Literal["brevity"] = Field(description="Names this property.")
    regime: Regime = Field(Regime.parse("prompt"), description="How the persona is put into the model.")
    max_words: Annotated[float, SIZE] = Field(gt=0, description="Largest mean number of words of a reply.")

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona that the regime can put into the model."""
        return [
            BrevityCase(persona, str(self.regime), (self.regime,), self, scene)
            for persona in self.personas or scene.personas
            if scene.supports(persona, self.regime)
        ]


def as_csv(results: Results) -> str:
    """Write a line per assertion: id, verdict, sentence."""
    lines = StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["assertion", "verdict", "sentence"])
    writer.writerows([result.id, result.verdict, result.sentence] for result in results.assertions)
    return lines.getvalue()
