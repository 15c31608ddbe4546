"""Collinearity: two regimes move the model the same way, beyond what any persona would do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import isnan
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.columns import over_depth
from coherence.properties.control import (
    artefact_regime,
    neutral_prompt,
    nothing,
    random_vectors,
    stand_ins,
)
from coherence.properties.criterion import held
from coherence.properties.directed import Directed
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    Between,
    Pair,
    apart_from,
    cast,
    pairs,
    require_probes,
    slug,
    supporting,
    units,
)
from coherence.properties.lengths import by_length
from coherence.properties.property import Case
from coherence.properties.ranges import COSINE, DIFFERENCE
from coherence.properties.reading import ExampleReplies, Readings
from coherence.statistics.alignment import Alignment
from coherence.statistics.displacements import Displacements
from coherence.vocabulary import (
    Criterion,
    Curve,
    Evidence,
    ProbeNote,
)
from coherence.vocabulary.evidence import number

LEAST_PROBES = 4
MASSIVE = 0.1  # a share of energy in three dimensions that is worth a warning


@dataclass(frozen=True)
class CollinearityCase(Case):
    """One persona, two regimes; the directions of the suite's other personas are foreign ones."""

    persona: str
    slug: str
    asked: "Collinearity"
    scene: Scene
    regimes: Pair
    controls_by_kin: tuple[tuple[str, ...], ...]

    def needs(self) -> Iterable[Measurement]:
        """Read the bare model and every persona in both regimes, on every probe; and replies to look at."""
        return [*self.rests_on(), *self._sample.replies.values()]

    def rests_on(self) -> Iterable[Measurement]:
        """Read bare, the judged persona and its controls in both regimes; replies are only to look at."""
        controls = [one for unit in self._controls for persona in unit for one in persona]
        conditions = dict.fromkeys([self.scene.bare, *self._judged, *controls])
        return [reading for condition in conditions for reading in self._readings.of(condition)]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge the specific cosine over the band, its margin over other personas, strength, and chance."""
        moved = self._displacements(record)
        band = moved.at(self._depths(record))
        return Evidence(
            criteria=tuple(self._criteria(band, seed)),
            curve=self._curve(moved, seed),
            probes=(*self._worst(band), self._sample.note(record)),
            notes=tuple(self._notes(band, seed)),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria from the sites of the band alone."""
        return self._criteria(self._displacements(record, self._depths(record)), seed)

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Another persona in the last regime with artefacts, nothing, random vectors, an empty prompt."""
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *random_vectors(self.scene, self.persona, self.regimes),
            *neutral_prompt(self.scene, self.persona, self.regimes),
        )
        others = {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}
        return {**dict(self._stand_ins()), **others}

    def _stand_ins(self) -> Iterator[tuple[str, list[Case]]]:
        """Another persona in this one's place, and then among the controls no more."""
        regime = artefact_regime(self.regimes)
        for name in chain.from_iterable(self.controls_by_kin):
            rest = apart_from(name, self.controls_by_kin)
            if len(rest) >= LEAST_BYSTANDERS:
                for said, scenes in stand_ins(self.scene, self.persona, regime, [name]):
                    yield said, [replace(self, scene=scene, controls_by_kin=rest) for scene in scenes]

    def _criteria(self, band: Displacements, seed: int) -> Iterator[Criterion]:
        n, asked, sides = len(self.scene.probes), self.asked, self._sides
        yield from asked.directions(band, sides, n, seed, "min_cosine", asked.min_cosine)
        unreliable, compared = asked.unreliable(band, sides, n, seed), asked.compared(band, sides)
        foreign = self._foreign(band) if asked.min_margin is not None else {}
        if foreign:  # where another persona stands in, there may be none left to be foreign
            lead = compared.lead(list(foreign.values()))
            name = "margin over best foreign persona"
            yield held(name, lead, n, asked.min_margin or 0.0, unreliable=unreliable, key="min_margin")
        above = compared.cosine().above(float(band.chance(self._judged[0], seed).mean()))
        yield held("above random null", above, n, 0.0, unreliable=unreliable, key=None)

    def _foreign(self, moved: Displacements) -> dict[str, Alignment]:
        """Compare with the other personas in the second regime, none of them among its own controls."""
        if len(self.controls_by_kin) <= LEAST_BYSTANDERS:
            return {}
        foreign: dict[str, Alignment] = {}
        for unit, personas in enumerate(self.controls_by_kin):
            for name in personas:
                other = self.scene.condition(name, self.regimes[1])
                foreign[name] = moved.compared(self._judged[0], other, without=unit)
        return foreign

    def _worst(self, band: Displacements) -> tuple[ProbeNote, ...]:
        if self.asked.undefined(band, self._sides):
            return ()
        by_probe = band.by_probe(*self._judged)
        between = f"between {self.regimes[0]} and {self.regimes[1]}"
        return tuple(
            ProbeNote(
                probe=self.scene.probes[row].id, note=f"specific cosine {number(by_probe[row])} {between}"
            )
            for row in np.argsort(by_probe, kind="stable")[:3]
        )

    def _notes(self, band: Displacements, seed: int) -> Iterator[str]:
        if self.asked.undefined(band, self._sides):
            return
        yield from self.asked.geometry(band, self._sides, seed)
        yield from self._nearest(band)
        share, without = (float(by_site.mean()) for by_site in band.massive(*self._judged))
        if share > MASSIVE:
            yield f"three dimensions carry {share:.0%} of the energy; cosine {without:.2f} without them"
        yield from by_length("specific cosine", band.by_probe(*self._judged), self.scene.probes)

    def _nearest(self, band: Displacements) -> Iterator[str]:
        cosines = {name: compared.cosine().value for name, compared in self._foreign(band).items()}
        known = {name: value for name, value in cosines.items() if not isnan(value)}
        if known:
            best = max(known, key=lambda name: known[name])
            yield f"best foreign persona: {best} ({number(known[best])})"

    def _curve(self, moved: Displacements, seed: int) -> Curve:
        judged = moved.compared(*self._judged).cosines()
        foreign = [[one.value for one in other.cosines()] for other in self._foreign(moved).values()]
        columns = {
            "specific": np.array([cosine.value for cosine in judged]),
            "low": np.array([cosine.low for cosine in judged]),
            "high": np.array([cosine.high for cosine in judged]),
            "raw": moved.raw_cosine(*self._judged),
            "ceiling": moved.ceiling(*self._judged, seed),
            **({"best foreign": np.fmax.reduce(foreign)} if foreign else {}),
            "random null": moved.chance(self._judged[0], seed),
        }
        return over_depth(columns, np.logical_or(*map(moved.still, self._judged)))

    def _depths(self, record: Record) -> list[int]:
        return self._readings.depths(record, self.asked.sites.sites)

    def _displacements(self, record: Record, depths: Sequence[int] | None = None) -> Displacements:
        return self._readings.displacements(record, self._judged, self._controls, depths)

    @property
    def _sample(self) -> ExampleReplies:
        return ExampleReplies(
            self.scene, {str(regime): self.scene.condition(self.persona, regime) for regime in self.regimes}
        )

    @property
    def _readings(self) -> Readings:
        return Readings(self.scene, self.asked.position, self.asked.text)

    @property
    def _sides(self) -> dict[str, Condition]:
        return dict(zip(map(str, self.regimes), self._judged, strict=True))

    @property
    def _judged(self) -> tuple[Condition, Condition]:
        first, second = self._of(self.persona)
        return first, second

    @property
    def _controls(self) -> list[list[list[Condition]]]:
        return [[self._of(persona) for persona in unit] for unit in self.controls_by_kin]

    def _of(self, persona: str) -> list[Condition]:
        return [self.scene.condition(persona, regime) for regime in self.regimes]


class Collinearity(Directed):
    """Two regimes move the residual stream the same way and as far, beyond what any persona would do.

    Judged is the specific direction: what lies outside of what the suite's other personas share in both
    regimes (docs/verdicts.md, specific cosine).
    """

    family: ClassVar[str] = "collinearity"

    property: Literal["collinearity"] = Field(description="Names this property.")
    between: Between = None
    text: Literal["shared", "own"] = Field(
        "shared",
        description="For response_mean: every condition reads the bare model's reply (shared), or its own.",
    )
    min_cosine: Annotated[float, COSINE] = Field(
        ge=-1, le=1, description="Least specific cosine of the two regimes, divided by its ceiling."
    )
    min_margin: Annotated[float | None, DIFFERENCE] = Field(
        None, ge=0, le=2, description="Least lead of the specific cosine over the best foreign persona's."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair of regimes and persona; at least two other personas must serve as controls."""
        require_probes(scene, LEAST_PROBES, "collinearity")
        found = [
            self._case(persona, pair, scene)
            for pair in pairs(self.between, scene)
            for persona in cast(self.personas, scene, supporting(pair, scene).__contains__)
        ]
        if not found:
            raise SuiteError("collinearity found no persona that two of the regimes can put into the model")
        return found

    def _case(self, persona: str, pair: Pair, scene: Scene) -> Case:
        for regime in pair:
            scene.condition(persona, regime)  # complains of an artefact that is missing
        related = {persona} | scene.kin_of(persona)
        controls = units((other for other in supporting(pair, scene) if other not in related), scene)
        self._require(controls, persona, pair)
        return CollinearityCase(persona, slug(pair), self, scene, pair, tuple(map(tuple, controls)))

    def _require(self, controls: Sequence[Sequence[str]], persona: str, pair: Pair) -> None:
        needed = LEAST_BYSTANDERS + (self.min_margin is not None)
        if len(controls) >= needed:
            return
        named = ", ".join(name for unit in controls for name in unit) or "none"
        why = "" if self.min_margin is None else " for min_margin, one of them the foreign one"
        raise SuiteError(
            f"collinearity of {persona!r} needs at least {('two', 'three')[self.min_margin is not None]} "
            f"control personas that {pair[0]} and {pair[1]} can put into the model{why}; found {named}"
            f"{' (kin count as one)' if len(controls) < sum(map(len, controls)) else ''}: "
            "add personas to the suite, or their adapters and vectors to the release"
        )
