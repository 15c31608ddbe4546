"""Equivalence: whichever way two personas are put into the model together, it is the same model."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations_with_replacement
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from coherence.errors import SuiteError, did_you_mean
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.columns import column, over_depth
from coherence.properties.composition.blends import CHIMERA, TWIN, Blend, Composed, blends, usual_pairs
from coherence.properties.composition.distances import (
    LEAST_KL,
    ProfileDistances,
    TokenDistances,
    next_tokens,
    replies,
)
from coherence.properties.composition.furthest import furthest
from coherence.properties.criterion import held
from coherence.properties.directed import Directed
from coherence.properties.eligibility import (
    Couple,
    bystanders,
    marked,
    require_adapter,
    require_probes,
    units,
)
from coherence.properties.lengths import by_length
from coherence.properties.property import Case
from coherence.properties.ranges import COSINE, DIFFERENCE, SIZE
from coherence.properties.reading import Readings
from coherence.properties.tail import Tail, at_worst
from coherence.statistics.displacements import Displacements
from coherence.statistics.divergence import Lean, in_units
from coherence.statistics.intervals import Array
from coherence.statistics.jackknife import positive_ratio
from coherence.vocabulary import (
    Criterion,
    Curve,
    Evidence,
    Marker,
    ProbeNote,
    Regime,
    Table,
)
from coherence.vocabulary.evidence import number

LEAST_PROBES = 8
LEAST_MARKERS = 8


@dataclass(frozen=True)
class Found:
    """What was measured of some ways."""

    tokens: TokenDistances
    profiles: ProfileDistances
    moved: Displacements


@dataclass(frozen=True)
class EquivalenceCase(Case):
    """Two ways of having two personas, held against each other; all other ways are evidence."""

    persona: str
    slug: str
    asked: "Equivalence"
    scene: Scene
    pair: tuple[Blend, Blend]
    null: tuple[Blend, ...]  # the chimera and its twin, or nothing
    ways: tuple[Blend, ...]
    regimes: tuple[Regime, ...]
    controls_by_kin: tuple[tuple[str, ...], ...]
    markers: tuple[Marker, ...]  # of either persona

    def needs(self) -> Iterable[Measurement]:
        """Measure the two ways that are judged, the null, and all others that the tables hold."""
        return self._needs(self._all)

    def rests_on(self) -> Iterable[Measurement]:
        """Measure the two ways and the null."""
        return self._needs(self._judged)

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge next tokens, who wins, markers and directions: each alone can be met by something else."""
        found = self._found(record, self._all)
        band = replace(found, moved=found.moved.at(self._depths(record)))
        first, second = self._conditions
        apart = found.tokens.apart(first, second)
        return Evidence(
            criteria=tuple(self._criteria(band, seed)),
            curve=self._curve(found.moved),
            tables=tuple(self._tables(band)),
            probes=self._furthest(band),
            notes=(
                *self._null_note(band),
                *self.asked.geometry(band.moved, self._sides, seed),
                *self._tail(band.tokens).notes(),
                *by_length(f"KL between {self._said}", apart, self.scene.probes),
            ),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria from the two ways, the null and the sites of the band alone."""
        return self._criteria(self._found(record, self._judged, self._depths(record)), seed)

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Put another persona, or random vectors, in the place of the first in one of the two ways.

        The other way stays as it is; where both are trained there is nobody to replace.
        """
        first, second = self.pair
        replaced, kept = (first, second) if isinstance(first, Composed) else (second, first)
        return {
            name: [replace(self, pair=(other, kept)) for other in several]
            for name, several in replaced.others()
        }

    def _criteria(self, found: Found, seed: int) -> Iterator[Criterion]:
        distance = self._distance(found.tokens)
        yield distance
        yield self._tail(found.tokens).criterion(distance.unreliable)
        yield self._asymmetry(found.tokens)
        yield self._profile(found.profiles)
        asked = self.asked
        yield from asked.directions(
            found.moved, self._sides, self._n, seed, "min_direction", asked.min_direction
        )

    def _distance(self, tokens: TokenDistances) -> Criterion:
        own = float(self._from_bare(tokens).mean())
        same = (
            f"next tokens are those of bare (KL {own:.2g} of at least {LEAST_KL:g} nat): "
            "there is nothing to compare"
        )
        return held(
            self._ratio,
            positive_ratio(tokens.apart(*self._conditions), self._unit(tokens), self.scene.clusters),
            self._n,
            at_most=self.asked.max_distance,
            unreliable=None if own >= LEAST_KL else same,
            key="max_distance",
        )

    def _tail(self, tokens: TokenDistances) -> Tail:
        worst = at_worst(self.asked.max_worst_distance, self.asked.max_distance)
        apart = in_units(tokens.apart(*self._conditions), self._unit(tokens))
        return Tail(self._ratio, "max_worst_distance", apart, self.scene.clusters, worst)

    def _unit(self, tokens: TokenDistances) -> Array:
        """Of distances, at each probe: [probes]."""
        null = [blend.condition for blend in self.null]
        return tokens.apart(*null) if null else self._from_bare(tokens)

    def _from_bare(self, tokens: TokenDistances) -> Array:
        first, second = (tokens.apart(condition, self.scene.bare) for condition in self._conditions)
        return (first + second) / 2

    def _asymmetry(self, tokens: TokenDistances) -> Criterion:
        first, second = (_lean(tokens, blend) for blend in self.pair)
        return held(
            "lean of the first - second way",
            first.beyond(second, self.scene.clusters),
            self._n,
            at_least=-self.asked.max_asymmetry,
            at_most=self.asked.max_asymmetry,
            key="max_asymmetry",
        )

    def _profile(self, profiles: ProfileDistances) -> Criterion:
        found = profiles.cosine(*self._conditions)
        flat = f"the marker profile of {self._said} is not told from that of bare"
        return held(
            "marker profile cosine",
            found,
            self._n,
            at_least=self.asked.min_profile,
            unreliable=self._few_markers() or (flat if np.isnan(found.value) else None),
            key="min_profile",
        )

    def _few_markers(self) -> str | None:
        # Noise along a profile does not turn it: of few markers a cosine is too near to 1, and sure of it.
        found = len(self.markers)
        enough = found >= LEAST_MARKERS
        return None if enough else f"{found} markers make no profile, at least {LEAST_MARKERS} are needed"

    def _curve(self, moved: Displacements) -> Curve:
        pair = self._conditions
        columns = {"raw": moved.raw_cosine(*pair), "specific": _over_depth(moved, *pair)}
        if self.null:
            columns["null"] = _over_depth(moved, *(blend.condition for blend in self.null))
        return over_depth(columns, np.logical_or(*map(moved.still, pair)))

    def _tables(self, found: Found) -> Iterator[Table]:
        ways = {blend.slug: blend.condition for blend in self.ways}
        tokens, profiles, moved = found.tokens, found.profiles, found.moved
        yield _square("next token: KL, nats", ways, lambda *pair: float(tokens.apart(*pair).mean()))
        yield _square("markers: cosine", ways, lambda *pair: profiles.cosine(*pair).value)
        inside = f"directions at {self.asked.sites}: specific cosine"
        yield _square(inside, ways, lambda *pair: moved.compared(*pair).cosine().value)
        first, second = self.asked.of
        yield Table(
            name="which persona wins",
            rows=tuple(ways),
            columns=(
                "KL from bare", f"KL from {first}", f"KL from {second}", "lean",
                f"shows {first}", f"shows {second}",
            ),
            cells=tuple(column(self._wins(found, blend)) for blend in self.ways),
        )  # fmt: skip

    def _wins(self, found: Found, blend: Blend) -> Iterator[float]:
        lean = _lean(found.tokens, blend)
        yield float(found.tokens.apart(blend.condition, self.scene.bare).mean())
        yield from (float(lean.first.mean()), float(lean.second.mean()), lean.value)
        for name in self.asked.of:
            yield found.profiles.rate(blend.condition, self.scene.personas[name].markers)

    def _furthest(self, found: Found) -> tuple[ProbeNote, ...]:
        apart = found.tokens.apart(*self._conditions)
        texts = {
            name: found.profiles.texts[condition]
            for name, condition in (
                *((blend.slug, blend.condition) for blend in self.pair),
                ("bare", self.scene.bare),
            )
        }
        return furthest(self.scene, apart, lambda row: f"KL between {self._said} {apart[row]:.2g} nat", texts)

    def _null_note(self, found: Found) -> Iterator[str]:
        if not self.null:
            return
        chimera, twin = (blend.condition for blend in self.null)
        apart = float(found.tokens.apart(chimera, twin).mean())
        yield (
            f"seed-pair null: {CHIMERA} and {TWIN} are {number(apart)} nat apart, "
            f"marker profile cosine {number(found.profiles.cosine(chimera, twin).value)}, "
            f"specific cosine {number(found.moved.compared(chimera, twin).cosine().value)}"
        )

    def _found(self, record: Record, of: Sequence[Blend], depths: Sequence[int] | None = None) -> Found:
        ways = [blend.condition for blend in of]
        alone = [condition for blend in of for condition in blend.alone]
        return Found(
            TokenDistances(record, self.scene, [*ways, *alone, self.scene.bare]),
            ProfileDistances(record, self.scene, ways, self.markers),
            self._readings.displacements(record, ways, self._bystanders, depths),
        )

    def _needs(self, of: Sequence[Blend]) -> list[Measurement]:
        ways = [*(blend.condition for blend in of), self.scene.bare]
        alone = [condition for blend in of for condition in blend.alone]
        beside = [one for unit in self._bystanders for persona in unit for one in persona]
        return [
            *(reading for condition in (*ways, *beside) for reading in self._readings.of(condition)),
            *(token for condition in (*ways, *alone) for token in next_tokens(self.scene, condition)),
            *(reply for condition in ways for reply in replies(self.scene, condition)),
        ]

    @property
    def _judged(self) -> tuple[Blend, ...]:
        return (*self.pair, *self.null)

    @property
    def _all(self) -> tuple[Blend, ...]:
        return (*self._judged, *self.ways)

    @property
    def _sides(self) -> dict[str, Condition]:
        return {blend.slug: blend.condition for blend in self.pair}

    @property
    def _conditions(self) -> tuple[Condition, Condition]:
        first, second = self.pair
        return first.condition, second.condition

    @property
    def _bystanders(self) -> list[list[list[Condition]]]:
        """Control personas in one regime after the other, kin together."""
        return [
            [[self.scene.condition(name, regime) for regime in self.regimes] for name in unit]
            for unit in self.controls_by_kin
        ]

    @property
    def _readings(self) -> Readings:
        return Readings(self.scene, self.asked.position)

    def _depths(self, record: Record) -> list[int]:
        return self._readings.depths(record, self.asked.sites.sites)

    @property
    def _ratio(self) -> str:
        return "KL / seed-pair null" if self.null else "KL / KL from bare"

    @property
    def _said(self) -> str:
        return " and ".join(blend.slug for blend in self.pair)

    @property
    def _n(self) -> int:
        return len(self.scene.probes)


def _lean(tokens: TokenDistances, blend: Blend) -> Lean:
    first, second = (tokens.apart(blend.condition, alone) for alone in blend.alone)
    return Lean(first, second)


def _over_depth(moved: Displacements, first: Condition, second: Condition) -> Array:
    return np.array([cosine.value for cosine in moved.compared(first, second).cosines()])


def _square(
    name: str, ways: Mapping[str, Condition], value: Callable[[Condition, Condition], float]
) -> Table:
    half = {frozenset(pair): value(*pair) for pair in combinations_with_replacement(ways.values(), 2)}
    cells = tuple(column(half[frozenset((one, other))] for other in ways.values()) for one in ways.values())
    return Table(name=name, rows=tuple(ways), columns=tuple(ways), cells=cells)


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
        by_kin = tuple(map(tuple, units(others, scene)))
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
        found = usual_pairs(chosen) if self.pairs is None else list(self.pairs)
        if not found:
            raise SuiteError(
                "equivalence finds no two ways to hold against each other; the ways that there are: "
                f"{', '.join(chosen) or 'none'}"
            )
        return found


def _looked_up(slugs: Sequence[str], known: Mapping[str, Blend]) -> dict[str, Blend]:
    for slug in slugs:
        if slug not in known:
            raise SuiteError(f"no way is named {slug!r}{did_you_mean(slug, known)}")
        known[slug].require_artefacts()
    return {slug: known[slug] for slug in slugs}
