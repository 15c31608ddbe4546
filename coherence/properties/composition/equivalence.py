"""Equivalence: whichever way two personas are put into the model together, it is the same model."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import chain
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from coherence.errors import SuiteError, did_you_mean
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import cosines_over_depth, series
from coherence.properties.composition.blends import CHIMERA, TWIN, Blend, Composed, blends, usual_pairs
from coherence.properties.composition.distances import (
    LEAST_KL,
    ProfileDistances,
    TokenDistances,
    log_probs,
    next_tokens,
    replies,
)
from coherence.properties.composition.every_way import EveryWay
from coherence.properties.composition.furthest import furthest
from coherence.properties.criterion import held
from coherence.properties.directed import Directed, DirectedSample
from coherence.properties.eligibility import (
    Couple,
    bystanders,
    marked,
    require_adapter,
    require_probes,
)
from coherence.properties.highest import Tail, at_worst
from coherence.properties.lengths import by_length
from coherence.properties.markers import few_markers, positive
from coherence.properties.ranges import COSINE, DIFFERENCE, SIZE
from coherence.properties.reading import Contrast, Readings
from coherence.statistics.displacements import Displacements
from coherence.statistics.divergence import in_units
from coherence.statistics.geometry import Real
from coherence.statistics.intervals import Array
from coherence.statistics.jackknife import positive_ratio
from coherence.vocabulary import Criterion, Curve, Figures, Marker, ProbeNote, Regime, Series

LEAST_PROBES = 8


@dataclass(frozen=True, eq=False)
class EquivalenceSample(DirectedSample["EquivalenceCase"]):
    """Next tokens, marker profiles and directions of the two ways, and for figures of all ways."""

    @cached_property
    def tokens(self) -> TokenDistances:
        """Distances of the two ways, of the null, of each persona alone and of bare."""
        return TokenDistances(self._log_probs, self.case.telling(self.case.judged_ways))

    @cached_property
    def profiles(self) -> ProfileDistances:
        """Marker profiles of any way."""
        return ProfileDistances(self.record, self.case.scene, self.case.markers)

    @cached_property
    def apart(self) -> Array:
        """How far the next tokens of the two ways are apart, nats: [probes]."""
        return self.tokens.apart(*self.case.sides.values())

    @cached_property
    def from_bare(self) -> Array:
        """How far those of either are from bare on average, nats: [probes]."""
        first, second = (self.tokens.apart(one, self.case.scene.bare) for one in self.case.sides.values())
        return (first + second) / 2

    @cached_property
    def unit(self) -> Array:
        """What distances are in units of, nats: [probes]."""
        null = [way.condition for way in self.case.null]
        return self.tokens.apart(*null) if null else self.from_bare

    @cached_property
    def tail(self) -> Tail:
        """The distance at each probe, of which the highest is judged, too."""
        case, spec = self.case, self.case.spec
        worst = at_worst(spec.max_worst_distance, spec.max_distance)
        values = in_units(self.apart, self.unit)
        return Tail(case.ratio, "max_worst_distance", values, case.scene.clusters, worst)

    @cached_property
    def everywhere(self) -> Displacements:
        """Displacements of all ways at every site."""
        conditions = (way.condition for way in self.case.all_ways)
        return self.case.contrast.displacements(self.record, conditions)

    @cached_property
    def every_way(self) -> EveryWay:
        """All ways against each other."""
        case = self.case
        tokens = TokenDistances(self._log_probs, case.telling(case.all_ways))
        band = self.everywhere.at([site.depth for site in case.spec.sites.sites])
        return EveryWay(case.ways, case.null, tokens, self.profiles, band, case.spec.sites)

    @cached_property
    def _log_probs(self) -> Callable[[Condition], Real]:
        return cache(partial(log_probs, self.record, self.case.scene))


@dataclass(frozen=True)
class EquivalenceCase(Case[EquivalenceSample]):
    """Two ways of having two personas, held against each other; all other ways are evidence."""

    persona: str
    slug: str
    spec: "Equivalence"
    scene: Scene
    pair: tuple[Blend, Blend]
    null: tuple[Blend, ...]  # the chimera and its twin, or nothing
    ways: tuple[Blend, ...]
    used: tuple[Regime, ...]  # by any of the ways
    controls_by_kin: tuple[tuple[str, ...], ...]
    markers: tuple[Marker, ...]  # of either persona
    regimes: tuple[Regime, ...] = ()

    def needs(self) -> Iterable[Measurement]:
        """Measure the two ways, and the next tokens of the null."""
        tokens, said, read = self.steps()
        return [*read, *said, *tokens]

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Take next tokens first, then what is said, and read last, as criteria do."""
        yield next_tokens(self.scene, *self.telling(self.judged_ways))
        yield replies(self.scene, *self.sides.values(), self.scene.bare)
        yield self.contrast.needs(self.sides.values())

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Measure all ways alike, for the tables."""
        ways = self.all_ways
        conditions = [way.condition for way in ways]
        return [
            *self.contrast.needs(conditions),
            *replies(self.scene, *conditions, self.scene.bare),
            *next_tokens(self.scene, *self.telling(ways)),
        ]

    def sample(self, record: Record, seed: int) -> EquivalenceSample:
        """Take distances of the two ways, and for figures of all."""
        return EquivalenceSample(self, record, seed)

    def criteria(self, sample: EquivalenceSample) -> Iterator[Criterion]:
        """Judge next tokens, who wins, markers and directions: each alone can be met by something else."""
        distance = self._distance(sample)
        yield distance
        yield sample.tail.criterion(distance.unreliable)
        yield self._asymmetry(sample)
        yield self._profile(sample)
        yield from self.spec.directions(sample.band, "min_direction", self.spec.min_direction)

    def figures(self, sample: EquivalenceSample) -> Figures:
        """Show cosines over depth, all ways against each other, and where the two are furthest apart."""
        return Figures(
            curve=self._curve(sample),
            tables=tuple(sample.every_way.tables()),
            probes=self._furthest(sample),
            notes=(
                *sample.every_way.seed_pair(),
                *sample.band.geometry(),
                *sample.tail.notes(),
                *by_length(f"KL between {self._both}", sample.apart, self.scene.probes),
            ),
        )

    def controls(self) -> Mapping[str, Sequence["EquivalenceCase"]]:
        """Put another persona, or random vectors, in the place of the first in one of the two ways.

        The other way stays as it is; where both are trained there is nobody to replace.
        """
        first, second = self.pair
        replaced, kept = (first, second) if isinstance(first, Composed) else (second, first)
        return {
            name: [replace(self, pair=(other, kept)) for other in several]
            for name, several in replaced.others()
        }

    def _distance(self, sample: EquivalenceSample) -> Criterion:
        own = float(sample.from_bare.mean())
        same = (
            f"next tokens are those of bare (KL {own:.2g} of at least {LEAST_KL:g} nat): "
            "there is nothing to compare"
        )
        return held(
            self.ratio,
            positive_ratio(sample.apart, sample.unit, self.scene.clusters),
            sample.band.n,
            at_most=self.spec.max_distance,
            unreliable=None if own >= LEAST_KL else same,
            key="max_distance",
        )

    def _asymmetry(self, sample: EquivalenceSample) -> Criterion:
        first, second = (sample.tokens.lean(way) for way in self.pair)
        beyond, most = first.beyond(second, self.scene.clusters), self.spec.max_asymmetry
        return held("lean of the first - second way", beyond, sample.band.n, -most, most, key="max_asymmetry")

    def _profile(self, sample: EquivalenceSample) -> Criterion:
        cosine = sample.profiles.cosine(*self.sides.values())
        flat = f"the marker profile of {self._both} is not told from that of bare"
        return held(
            "marker profile cosine",
            cosine,
            sample.band.n,
            at_least=self.spec.min_profile,
            unreliable=few_markers(len(positive(self.markers))) or (flat if np.isnan(cosine.value) else None),
            key="min_profile",
        )

    def _curve(self, sample: EquivalenceSample) -> Curve:
        moved, pair, null = sample.everywhere, sample.band.pair, [way.condition for way in self.null]
        lines = {"raw": series(moved.raw_cosine(*pair)), "specific": _specific(moved, pair)}
        if null:
            lines["null"] = _specific(moved, null)
        return cosines_over_depth(lines, moved, pair, self.spec.sites, self.spec.min_direction)

    def _furthest(self, sample: EquivalenceSample) -> tuple[ProbeNote, ...]:
        replies = {
            name: sample.profiles.texts(condition)
            for name, condition in {**self.sides, "bare": self.scene.bare}.items()
        }
        between = f"KL between {self._both}"
        return furthest(
            self.scene, sample.apart, lambda row: f"{between} {sample.apart[row]:.2g} nat", replies
        )

    def telling(self, ways: Sequence[Blend]) -> list[Condition]:
        """List whose next tokens tell which persona wins: those of some ways, of each alone, and of bare."""
        alone = (condition for way in ways for condition in way.alone())
        return [*(way.condition for way in ways), *alone, self.scene.bare]

    @property
    def judged_ways(self) -> tuple[Blend, ...]:
        """The two ways and the null."""
        return (*self.pair, *self.null)

    @property
    def all_ways(self) -> tuple[Blend, ...]:
        """The same and all others that the tables hold."""
        return (*self.judged_ways, *self.ways)

    @cached_property
    def sides(self) -> dict[str, Condition]:
        """The two ways, by their names."""
        return {way.slug: way.condition for way in self.pair}

    @cached_property
    def contrast(self) -> Contrast:
        """Where residuals are read, and who is beside the two."""
        return Contrast(
            Readings(self.scene, self.spec.position, part=self.spec.part), self.controls_by_kin, self.used
        )

    @property
    def ratio(self) -> str:
        """What the distance is called, in its unit."""
        return "KL / seed-pair null" if self.null else "KL / KL from bare"

    @property
    def _both(self) -> str:
        return " and ".join(self.sides)


def _specific(moved: Displacements, pair: Iterable[Condition]) -> Series:
    first, second = pair
    return series(cosine.value for cosine in moved.compared(first, second).cosines())


def _two_ways(pair: tuple[str, str]) -> tuple[str, str]:
    if pair[0] == pair[1]:
        raise ValueError(f"the way {pair[0]!r} is compared with itself; expected two different ways")
    return pair


class Equivalence(Directed):
    """Whichever way two personas are put into the model together, it comes to the same.

    Ways are each persona by a regime of its own (`prompt-adapter` is the first by prompt and the second by
    adapter), prompts in the other order (`prompts-reversed`), and adapters trained on the mix (`chimera` and
    `twin`).
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["equivalence"] = Field(description="Names this property.")
    personas: tuple[str, ...] | None = Field(
        None, description="Control personas; default: all others that have what it takes."
    )
    of: Couple = Field(description="The two personas that are in the model together.")
    adapter: str | None = Field(
        None, description="Name in the release of the adapter trained on their mix: the way `chimera`."
    )
    twin: str | None = Field(
        None,
        description="Name of an adapter trained like `adapter` with another seed: the way `twin`. How far "
        "they are apart, the seed-pair null, is then the unit of `max_distance`.",
    )
    extracted_on: dict[str, str] = Field(
        default_factory=dict,
        description="Persona of the two to a vector of it that is extracted under the other's adapter: the "
        "ways `adapter-extracted` and `extracted-adapter`.",
    )
    ways: tuple[str, ...] | None = Field(
        None, description="Ways that are compared, by name; default: all that the release has artefacts for."
    )
    pairs: tuple[Annotated[tuple[str, str], AfterValidator(_two_ways)], ...] | None = Field(
        None,
        description="Pairs of ways, one assertion each; default: sums in one regime with `chimera`, ways "
        "with their mirrors, prompts in both orders, vectors extracted without and under the adapter.",
    )
    max_distance: Annotated[float, SIZE] = Field(
        ge=0,
        description="Largest distance of the next tokens (half the sum of KL both ways): in units of the "
        "seed-pair null with a `twin`, otherwise of the distance from bare.",
    )
    max_worst_distance: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest distance at any probe, in the same unit; default: ten times `max_distance`.",
    )
    max_asymmetry: Annotated[float, DIFFERENCE] = Field(
        gt=0, le=2, description="Largest difference, of either sign, in how far a way leans to one persona."
    )
    min_profile: Annotated[float, COSINE] = Field(
        ge=-1,
        le=1,
        description="Least cosine of the marker profiles: how often each marker shows, beyond bare. It takes "
        "eight markers.",
    )
    min_direction: Annotated[float, COSINE] = Field(
        ge=-1, le=1, description="Least specific cosine of the directions, divided by its ceiling."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair; both personas need markers, and two control personas must be there."""
        require_probes(scene, LEAST_PROBES, "equivalence")
        self._require_trained(scene)
        known = blends(scene, self.of, {CHIMERA: self.adapter, TWIN: self.twin}, self.extracted_on)
        able = tuple(slug for slug, way in known.items() if way.able)
        ways = _looked_up(able if self.ways is None else self.ways, known)
        pairs = self._pairs(ways)
        ways |= _looked_up(tuple(chain.from_iterable(pairs)), known)
        null = (known[CHIMERA], known[TWIN]) if self.twin else ()
        used = dict.fromkeys(regime for way in (*ways.values(), *null) for regime in way.regimes)
        markers = marked(scene, self.of, "equivalence")
        others = bystanders(self.personas, scene, self.of, tuple(used), "equivalence")
        by_kin = scene.units(others)
        return [
            EquivalenceCase(
                "+".join(self.of), f"{one}-vs-{other}", self, scene, (ways[one], ways[other]), null,
                tuple(ways.values()), tuple(used), by_kin, markers,
            )
            for one, other in pairs
        ]  # fmt: skip

    def _require_trained(self, scene: Scene) -> None:
        if self.twin and not self.adapter:
            raise SuiteError("a twin is held against the adapter, and none is named; expected 'adapter:' too")
        if self.twin and self.twin == self.adapter:
            raise SuiteError(
                f"the twin {self.twin!r} is the adapter itself; expected one trained with another seed"
            )
        for name in (self.adapter, self.twin):
            if name:
                require_adapter(scene, name)

    def _pairs(self, chosen: Iterable[str]) -> list[tuple[str, str]]:
        compared = usual_pairs(chosen) if self.pairs is None else list(self.pairs)
        if not compared:
            raise SuiteError(
                "equivalence finds no two ways to hold against each other; the ways that there are: "
                f"{', '.join(chosen) or 'none'}"
            )
        return compared


def _looked_up(slugs: Sequence[str], known: Mapping[str, Blend]) -> dict[str, Blend]:
    for slug in slugs:
        if slug not in known:
            raise SuiteError(f"no way is named {slug!r}{did_you_mean(slug, known)}")
        known[slug].alone()  # complains of an artefact that is missing
    return {slug: known[slug] for slug in slugs}
