"""Collinearity: two regimes move the model the same way, beyond what any persona would do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import isnan, nan
from typing import Annotated, ClassVar, Literal, NoReturn

import numpy as np
from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import cosines_over_depth, interval_series, series
from coherence.properties.control import (
    artefact_regime,
    neutral_prompt,
    nothing,
    random_vectors,
    stand_ins,
)
from coherence.properties.criterion import held
from coherence.properties.directed import Directed, DirectedSample, Directions
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    Between,
    Pair,
    cast,
    pairs,
    require_probes,
    slug,
    supporting,
)
from coherence.properties.lengths import by_length
from coherence.properties.ranges import COSINE, DIFFERENCE
from coherence.properties.reading import Contrast, ExampleReplies, Readings
from coherence.statistics.alignment import Alignment
from coherence.statistics.displacements import Displacements
from coherence.vocabulary import (
    Criterion,
    Curve,
    Figures,
    ProbeNote,
)
from coherence.vocabulary.evidence import number

LEAST_PROBES = 4
_TURNED = 0.25  # what another persona does may go against the prompt, and not as far
MASSIVE = 0.1  # a share of energy in three dimensions that is worth a warning


@dataclass(frozen=True, eq=False)
class CollinearitySample(DirectedSample["CollinearityCase"]):
    """Displacements of the persona in both regimes, beside those of its controls."""

    @cached_property
    def foreign(self) -> dict[str, Alignment]:
        """The other personas in the second regime, compared with the first at the sites that are judged."""
        return self.foreign_in(self.band.moved)

    def foreign_in(self, moved: Displacements) -> dict[str, Alignment]:
        """Compare with the other personas in the second regime, none of them among its own controls."""
        case = self.case
        if len(case.controls_by_kin) <= LEAST_BYSTANDERS:
            return {}
        return {
            name: moved.compared(case.judged[0], case.scene.condition(name, case.regimes[1]), without=unit)
            for unit, personas in enumerate(case.controls_by_kin)
            for name in personas
        }


@dataclass(frozen=True)
class CollinearityCase(Case[CollinearitySample]):
    """One persona, two regimes; the directions of the suite's other personas are foreign ones."""

    persona: str
    slug: str
    spec: "Collinearity"
    scene: Scene
    regimes: Pair
    by_kin: tuple[tuple[str, ...], ...]
    aside: tuple[str, ...]
    """Whose kin are no controls: the persona, and whoever stands in for it."""

    def needs(self) -> Iterable[Measurement]:
        """Read bare, the judged persona and its controls in both regimes, on every probe."""
        return self.contrast.needs(self.judged)

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Let both regimes answer a probe."""
        return self._examples.replies.values()

    def sample(self, record: Record, seed: int) -> CollinearitySample:
        """Take displacements at the sites of the band, and for figures at all."""
        return CollinearitySample(self, record, seed)

    def criteria(self, sample: CollinearitySample) -> Iterator[Criterion]:
        """Judge the specific cosine over the band, its margin over other personas, strength, and chance."""
        band, spec = sample.band, self.spec
        yield from spec.directions(band, "min_cosine", spec.min_cosine)
        unreliable = spec.unreliable(band)
        if spec.min_margin is not None and sample.foreign:
            # Where another persona stands in, there may be none left to be foreign.
            lead = band.alignment.lead(list(sample.foreign.values()))
            name = "margin over best foreign persona"
            yield held(name, lead, band.n, spec.min_margin, unreliable=unreliable, key="min_margin")
        above = band.alignment.cosine().above(band.chance)
        yield held("above random null", above, band.n, 0.0, unreliable=unreliable, key=None)

    def figures(self, sample: CollinearitySample) -> Figures:
        """Show cosines over depth, the probes that agree least, and what answers look like."""
        worst = () if sample.band.undefined else tuple(self._worst(sample.band))
        return Figures(
            fact=self._fact(sample.band),
            cause=self._cause(sample),
            curve=self._curve(sample),
            probes=(*worst, self._examples.note(sample.record)),
            notes=tuple(self._notes(sample)),
        )

    def _fact(self, band: Directions) -> str | None:
        strength = band.alignment.strength().value
        if isnan(strength):
            return None
        first, second = self.regimes
        along, far = f"along the way that {first} moves the model", f"{abs(strength):.0%} as far"
        if far.startswith("0%"):
            return f"{along}, {second} hardly moves it"
        return f"{along}, {second} moves it {far}{' in the opposite direction' if strength < 0 else ''}"

    def _cause(self, sample: CollinearitySample) -> str | None:
        """Tell a turned sign, a wrong scale and another persona's artefact by where the model goes."""
        alignment, (first, second) = sample.band.alignment, self.regimes
        strength, own = alignment.strength(), alignment.cosine().value
        if strength.high < -_TURNED:
            return f"{second} goes against {first}: its sign may be turned"
        if own >= self.spec.min_cosine and strength.high < self.spec.min_strength:
            return f"{second} goes the right way, and not far enough: its scale or dose may be too low"
        name, cosine = _best(sample.foreign)
        if name and cosine > own:
            compared = f"cosine {number(cosine)}, and {number(own)} to its own"
            return f"{first} of {self.persona} is nearer to {second} of {name} ({compared})"
        return None

    def controls(self) -> Mapping[str, Sequence["CollinearityCase"]]:
        """Another persona in the last regime with artefacts, nothing, random vectors, an empty prompt."""
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *random_vectors(self.scene, self.persona, self.regimes),
            *neutral_prompt(self.scene, self.persona, self.regimes),
        )
        others = {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}
        return {**dict(self._stand_ins()), **others}

    def _stand_ins(self) -> Iterator[tuple[str, list["CollinearityCase"]]]:
        """Another persona in this one's place, and then among the controls no more."""
        regime = artefact_regime(self.regimes)
        if len(self.controls_by_kin) <= LEAST_BYSTANDERS:
            return
        for name in chain.from_iterable(self.controls_by_kin):
            for control, scenes in stand_ins(self.scene, self.persona, regime, [name]):
                yield control, [replace(self, scene=scene, aside=(*self.aside, name)) for scene in scenes]

    def _worst(self, band: Directions) -> Iterator[ProbeNote]:
        between = f"between {self.regimes[0]} and {self.regimes[1]}"
        for row in np.argsort(band.by_probe, kind="stable")[:3]:
            note = f"specific cosine {number(band.by_probe[row])} {between}"
            yield ProbeNote(probe=self.scene.probes[row].id, note=note)

    def _notes(self, sample: CollinearitySample) -> Iterator[str]:
        band = sample.band
        if band.undefined:
            return
        yield from band.geometry()
        yield from _nearest(sample.foreign)
        share, without = (float(by_site.mean()) for by_site in band.moved.massive(*self.judged))
        if share > MASSIVE:
            yield f"three dimensions carry {share:.0%} of the energy; cosine {without:.2f} without them"
        yield from by_length("specific cosine", band.by_probe, self.scene.probes)

    def _curve(self, sample: CollinearitySample) -> Curve:
        moved, pair = sample.everywhere, self.judged
        foreign = [[one.value for one in other.cosines()] for other in sample.foreign_in(moved).values()]
        lines = {
            "specific": interval_series(moved.compared(*pair).cosines()),
            "raw": series(moved.raw_cosine(*pair)),
            "ceiling": series(moved.ceiling(*pair, sample.seed)),
            **({"best foreign": series(np.fmax.reduce(foreign))} if foreign else {}),
            "random null": series(moved.chance(pair[0], sample.seed)),
        }
        return cosines_over_depth(lines, moved, pair, self.spec.sites, self.spec.min_cosine)

    @cached_property
    def controls_by_kin(self) -> tuple[tuple[str, ...], ...]:
        """The other personas, kin together."""
        return tuple(unit for unit in self.by_kin if not any(name in unit for name in self.aside))

    @property
    def _examples(self) -> ExampleReplies:
        return ExampleReplies(self.scene, self.sides)

    @cached_property
    def contrast(self) -> Contrast:
        """Where and over which text residuals are read, and who is beside the persona."""
        readings = Readings(self.scene, self.spec.position, self.spec.text, part=self.spec.part)
        return Contrast(readings, self.controls_by_kin, self.regimes)

    @cached_property
    def sides(self) -> dict[str, Condition]:
        """The persona in either regime, by its name."""
        return dict(zip(map(str, self.regimes), self.judged, strict=True))

    @cached_property
    def judged(self) -> tuple[Condition, Condition]:
        """The persona in either regime."""
        first, second = (self.scene.condition(self.persona, regime) for regime in self.regimes)
        return first, second


def _best(foreign: Mapping[str, Alignment]) -> tuple[str | None, float]:
    """Find the foreign persona with the highest cosine; none where no cosine is defined."""
    cosines = {name: compared.cosine().value for name, compared in foreign.items()}
    known = {name: value for name, value in cosines.items() if not isnan(value)}
    return max(known.items(), key=lambda pair: pair[1], default=(None, nan))


def _nearest(foreign: Mapping[str, Alignment]) -> Iterator[str]:
    name, cosine = _best(foreign)
    if name is not None:
        yield f"best foreign persona: {name} ({number(cosine)})"


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
        cases = (
            self._case(persona, pair, scene)
            for pair in pairs(self.between, scene)
            for persona in cast(self.personas, scene, supporting(pair, scene).__contains__)
        )
        return self.at_least_one(cases, "that two of the regimes can put into the model")

    def _case(self, persona: str, pair: Pair, scene: Scene) -> Case:
        for regime in pair:
            scene.condition(persona, regime)  # complains of an artefact that is missing
        by_kin = scene.by_kin(pair)
        case = CollinearityCase(persona, slug(pair), self, scene, pair, by_kin, (persona,))
        # All but its own, which is not looked for among the thousands that there may be.
        if len(by_kin) - 1 < LEAST_BYSTANDERS + (self.min_margin is not None):
            self._refuse(case.controls_by_kin, persona, pair)
        return case

    def _refuse(self, controls: Sequence[Sequence[str]], persona: str, pair: Pair) -> NoReturn:
        named = ", ".join(name for unit in controls for name in unit) or "none"
        why = "" if self.min_margin is None else " for min_margin, one of them the foreign one"
        raise SuiteError(
            f"collinearity of {persona!r} needs at least {('two', 'three')[self.min_margin is not None]} "
            f"control personas that {pair[0]} and {pair[1]} can put into the model{why}; found {named}"
            f"{' (kin count as one)' if len(controls) < sum(map(len, controls)) else ''}: "
            "add personas to the suite, or their adapters and vectors to the release"
        )
