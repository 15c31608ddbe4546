"""Relative: whether what is read of a text, and is none of the persona, moves with who reads it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.plan import Condition, Measurement, Record, Scene, stream
from coherence.properties.case import Case
from coherence.properties.columns import interval_series, over_depth
from coherence.properties.control import DRAWN, neutral_prompt, nothing, random_vectors
from coherence.properties.criterion import held
from coherence.properties.eligibility import cast, require_probes, with_persona
from coherence.properties.parts import require_in_reply
from coherence.properties.property import Property
from coherence.properties.ranges import ANY
from coherence.properties.reading import Readings, Residuals
from coherence.properties.space.recognised import shuffled
from coherence.statistics.agreement import mean_share
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.linear_classifier import Recognition
from coherence.statistics.retrained import Retrained
from coherence.vocabulary import Band, Criterion, Curve, Figures, Part, Position, ProbeNote, Regime
from coherence.vocabulary.evidence import number, ranged
from coherence.vocabulary.persona import WrittenPrompt

LEAST_PROBES = 8
MORE, LESS, BARE, OWN = range(4)
"""Places of the conditions."""


@dataclass(frozen=True, eq=False)
class RelativeSample:
    """The log-odds of `more` against `less` that classifiers of these two read of every text."""

    case: "RelativeCase"
    record: Record

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.case.scene.probes)

    @cached_property
    def at_band(self) -> Array:
        """Log-odds at the sites that are judged, of the conditions in their order: [sites, 4, probes]."""
        return np.stack([site.log_odds[0] for site in self._band])

    @cached_property
    def told(self) -> Interval:
        """Balanced accuracy between `more` and `less` on questions not seen, averaged over the band."""
        more, less, *_ = np.swapaxes(self.at_band, 0, 1)
        probabilities = (1 / (1 + np.exp(-side)) for side in (more, less[:, None]))
        return mean_share(Recognition(*probabilities).accuracy, self.case.scene.clusters)

    @cached_property
    def moved(self) -> Interval:
        """How far the persona moves the reading from bare, as a share of the way from less to more."""
        return self._share(self._band, OWN, BARE)

    @cached_property
    def bare(self) -> Interval:
        """Where the bare model stands on that way."""
        return self._share(self._band, BARE, LESS)

    @cached_property
    def by_site(self) -> list[Interval]:
        """How far the reading moves at every site."""
        return [self._share([site], OWN, BARE) for site in self._read(None)]

    @cached_property
    def by_probe(self) -> Array:
        """The same of each question by itself, in shares of the mean way: [probes]."""
        more, less, bare, own = np.swapaxes(self.at_band, 0, 1)
        return np.asarray(((own - bare) / (more - less).mean(-1, keepdims=True)).mean(0))

    @cached_property
    def _band(self) -> list[Retrained]:
        return self._read(self.case.readings.depths(self.record, self.case.spec.sites.sites))

    def _share(self, sites: Sequence[Retrained], to: int, start: int) -> Interval:
        """Fieller's interval, over the sample without each cluster and all that is learnt of it."""
        means = np.stack([site.means for site in sites], axis=-1)
        above, way = means[:, to] - means[:, start], means[:, MORE] - means[:, LESS]
        return sites[0].jackknife.ratio(above / len(sites), way).interval

    def _read(self, depths: Sequence[int] | None) -> list[Retrained]:
        residuals = self._residuals(depths)
        taught = shuffled(residuals[:, :BARE], self.case.shuffled)
        clusters = self.case.scene.clusters
        return [
            Retrained.of(site[MORE], site[LESS], every, clusters)
            for site, every in zip(taught, residuals, strict=True)
        ]

    def _residuals(self, depths: Sequence[int] | None) -> Residuals:
        """[depths, conditions, probes, width]."""
        readings = self.case.readings
        return np.stack(
            [readings.residuals(self.record, one, depths) for one in self.case.conditions], axis=1
        )


@dataclass(frozen=True)
class RelativeCase(Case[RelativeSample]):
    """One persona in one regime, and what is read that is none of it."""

    persona: str
    slug: str
    spec: "Relative"
    scene: Scene
    regimes: tuple[Regime]
    read_in_its_place: bool = False
    shuffled: int | None = None

    def needs(self) -> Iterable[Measurement]:
        """Read the same texts under both prompts, bare and the persona."""
        return [reading for condition in self.conditions for reading in self.readings.of(condition)]

    def sample(self, record: Record, seed: int) -> RelativeSample:
        """Train the classifiers, each without the questions that it reads."""
        return RelativeSample(self, record)

    def criteria(self, sample: RelativeSample) -> Iterator[Criterion]:
        """Hold how far the reading moves against its range."""
        least, most = self.spec.moves
        name = f"move of the reading by {self.regimes[0]}"
        yield held(name, sample.moved, sample.n, least, most, self._unread(sample), key="moves")

    def figures(self, sample: RelativeSample) -> Figures:
        """Show the move over depth, the questions that it moves most, and where the bare model stands."""
        return Figures(
            curve=self._curve(sample),
            probes=tuple(self._furthest(sample)),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["RelativeCase"]]:
        """Put what says nothing in the persona's place; where no move is asked for, what is read itself.

        Another persona is none: what it does to the reading says nothing of this one.
        """
        least, most = self.spec.moves
        if least <= 0 <= most:
            return {"what is read in its place": [replace(self, read_in_its_place=True)]}
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *neutral_prompt(self.scene, self.persona, self.regimes),
            *random_vectors(self.scene, self.persona, self.regimes),
        )
        drawn = (
            stream(self.scene.seed, f"shuffled labels {turn} of {self.persona}") for turn in range(DRAWN)
        )
        return {
            **{name: [replace(self, scene=scene) for scene in several] for name, several in scenes},
            "shuffled labels": [replace(self, shuffled=seed) for seed in drawn],
        }

    @property
    def part(self) -> Part:
        """Which part of replies it judges by."""
        return self.spec.part

    @cached_property
    def readings(self) -> Readings:
        """Where residuals are read, over the bare model's text."""
        return Readings(self.scene, self.spec.position, part=self.spec.part)

    @cached_property
    def conditions(self) -> list[Condition]:
        """What there is more of, and less; the bare model, and the persona."""
        bare = self.scene.bare
        more, less = (replace(bare, prompts=(prompt,)) for prompt in (self.spec.more, self.spec.less))
        own = more if self.read_in_its_place else self.scene.condition(self.persona, self.regimes[0])
        return [more, less, bare, own]

    def _unread(self, sample: RelativeSample) -> str | None:
        """Say that there is nothing that could move: texts under both prompts are not told apart."""
        told, least = sample.told, self.spec.min_told
        if told.value >= least:
            return None
        accuracy = f"accuracy {ranged(told.value, told.low, told.high)}, expected {least:g}"
        return f"the classifier does not tell `more` from `less` on questions not seen: {accuracy}"

    def _curve(self, sample: RelativeSample) -> Curve:
        by_site = sample.by_site
        name = str(self.regimes[0])
        undefined = np.zeros(len(by_site), dtype=np.bool_)
        return over_depth({name: interval_series(by_site)}, undefined, "move of the reading", self.spec.sites)

    def _furthest(self, sample: RelativeSample) -> Iterator[ProbeNote]:
        by_probe = sample.by_probe
        for row in np.argsort(-np.abs(by_probe), kind="stable")[:3]:
            yield ProbeNote(probe=self.scene.probes[row].id, note=f"moved by {number(by_probe[row])}")

    def _notes(self, sample: RelativeSample) -> Iterator[str]:
        bare, told = sample.bare, sample.told
        yield f"the bare model is read as {ranged(bare.value, bare.low, bare.high)} of the way to `more`"
        yield f"accuracy on questions not seen: {ranged(told.value, told.low, told.high)}; chance is 0.5"


def _in_order(moves: tuple[float, float]) -> tuple[float, float]:
    if moves[0] >= moves[1]:
        raise ValueError(f"the range {list(moves)} does not rise")
    return moves


class Relative(Property):
    """What a classifier reads of a text, and is none of the persona, moves with the persona, or does not.

    The linear reading of something else, such as whether a text likes its task, as each persona has it: a
    reading that moves is no property of the text alone. Linear readings after arXiv 2512.17639.
    """

    family: ClassVar[str] = "space"

    property: Literal["relative"] = Field(description="Names this property.")
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(with_persona)] = Field(
        None, min_length=1, description="Regimes, one assertion each; default: those of the suite."
    )
    more: WrittenPrompt = Field(description="A prompt under which there is more of what is read.")
    less: WrittenPrompt = Field(description="One under which there is less of it.")
    sites: Band = Field(description="Where classifiers are trained; moves are averaged over the band.")
    position: Position = Field(
        Position.RESPONSE_MEAN,
        description="At which token residuals are read; in a reply, the bare model's.",
    )
    part: Part = Field(Part.ANSWER, description="Which part of a reply a position is in.")
    moves: Annotated[tuple[float, float], ANY, AfterValidator(_in_order)] = Field(
        description="Range of how far the persona moves the reading from the bare model's, as a share of the "
        "way from `less` to `more`. One that holds 0 says that it does not move."
    )
    min_told: float = Field(
        0.8,
        gt=0.5,
        le=1,
        description="Accuracy between `more` and `less` below which nothing is decided.",
    )

    @model_validator(mode="after")
    def _two_prompts(self) -> Self:
        if self.more == self.less:
            raise ValueError("more and less are the same prompt; expected two that differ in what is read")
        require_in_reply(self.part, self.position)
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona that it puts into the model."""
        require_probes(scene, LEAST_PROBES, "relative")
        cases = (
            self._case(persona, regime, scene)
            for regime in self.regimes or scene.regimes
            for persona in cast(self.personas, scene, scene.supporting((regime,)).__contains__)
        )
        return self.at_least_one(cases, "that one of the suite's regimes can put into the model")

    def _case(self, persona: str, regime: Regime, scene: Scene) -> Case:
        scene.condition(persona, regime)  # complains of an artefact that is missing
        return RelativeCase(persona, str(regime), self, scene, (regime,))
