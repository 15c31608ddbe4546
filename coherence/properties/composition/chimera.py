"""Chimera: two personas summed at inference are the adapter that was trained on their mix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import cosines_over_depth, series
from coherence.properties.composition.distances import (
    LEAST_KL,
    log_probs,
    marker_rates,
    next_tokens,
    replies,
    texts,
)
from coherence.properties.composition.furthest import furthest
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held, unclear
from coherence.properties.directed import Directed, DirectedSample
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    Couple,
    apart_from,
    bystanders,
    marked,
    require_adapter,
    require_probes,
)
from coherence.properties.highest import Tail, at_worst
from coherence.properties.lengths import by_length
from coherence.properties.markers import Replies
from coherence.properties.ranges import COSINE, SIZE
from coherence.properties.reading import Contrast, Readings
from coherence.statistics.agreement import paired_difference
from coherence.statistics.divergence import Explained
from coherence.vocabulary import Criterion, Curve, Figures, Marker, ProbeNote, Regime

LEAST_PROBES = 8


@dataclass(frozen=True, eq=False)
class ChimeraSample(DirectedSample["ChimeraCase"]):
    """Directions, next tokens and replies of the sum, of the chimera and of bare."""

    @cached_property
    def explained(self) -> Explained:
        """What of the chimera's next token the sum explains."""
        scene = self.case.scene
        by_sum, chimera, bare = (log_probs(self.record, scene, one) for one in self.case.judged.values())
        return Explained.of(chimera, by_sum, bare)

    @cached_property
    def tail(self) -> Tail:
        """What is left unexplained at each probe."""
        spec = self.case.spec
        worst = at_worst(spec.max_worst_kl_ratio, spec.max_kl_ratio)
        clusters = self.case.scene.clusters
        return Tail("KL ratio", "max_worst_kl_ratio", self.explained.by_probe, clusters, worst)

    @cached_property
    def replies(self) -> dict[str, Replies]:
        """What is said to every probe, by who says it."""
        return {
            name: Replies.of(texts(self.record, self.case.scene, condition), self.case.markers)
            for name, condition in self.case.judged.items()
        }


@dataclass(frozen=True)
class ChimeraCase(Case[ChimeraSample]):
    """The sum of two personas in one regime, held against the adapter trained on their mix."""

    persona: str
    slug: str
    spec: "Chimera"
    scene: Scene
    regimes: tuple[Regime]
    controls_by_kin: tuple[tuple[str, ...], ...]
    markers: tuple[Marker, ...]  # of either persona

    def needs(self) -> Iterable[Measurement]:
        """Measure the sum, the chimera and bare in all three ways, and read the others in both regimes."""
        return chain.from_iterable(self.steps())

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Read first, and let the model answer last, which takes longest."""
        judged = tuple(self.judged.values())
        yield self.contrast.needs(self.sides.values())
        yield next_tokens(self.scene, *judged)
        yield replies(self.scene, *judged)

    def sample(self, record: Record, seed: int) -> ChimeraSample:
        """Take directions at the sites of the band, next tokens and replies."""
        return ChimeraSample(self, record, seed)

    def criteria(self, sample: ChimeraSample) -> Iterator[Criterion]:
        """Judge directions, next tokens and markers: each alone can be met by something else."""
        yield from self.spec.directions(sample.band, "min_cosine", self.spec.min_cosine)
        ratio = self._ratio(sample)
        yield ratio
        yield sample.tail.criterion(ratio.unreliable)
        yield self._behaviour(sample)

    def figures(self, sample: ChimeraSample) -> Figures:
        """Show cosines over depth, and where the sum explains least."""
        left = sample.explained.left
        return Figures(
            curve=_curve(sample, self.spec),
            probes=self._furthest(sample),
            notes=(
                *sample.band.geometry(),
                *sample.tail.notes(),
                marker_rates(sample.replies),
                *by_length("KL of the chimera from the sum", left, self.scene.probes),
            ),
        )

    def controls(self) -> Mapping[str, Sequence["ChimeraCase"]]:
        """Put another persona, nothing, or random vectors, in the place of the first of the two.

        Another's sum is measured for this alone, so one other persona has a turn.
        """
        first = self.spec.of[0]
        scenes = (
            *nothing(self.scene, first, self.regimes),
            *random_vectors(self.scene, first, self.regimes),
        )
        others = {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}
        return {**dict(islice(self._stand_ins(first), 1)), **others}

    def _stand_ins(self, first: str) -> Iterator[tuple[str, list["ChimeraCase"]]]:
        """Another persona in the first one's place, and then among the controls no more."""
        for name in (name for name in self.scene.personas if name not in self.spec.of):
            rest = apart_from(name, self.controls_by_kin)
            if len(rest) >= LEAST_BYSTANDERS:
                for control, scenes in stand_ins(self.scene, first, self.regimes[0], [name]):
                    yield control, [replace(self, scene=scene, controls_by_kin=rest) for scene in scenes]

    def _ratio(self, sample: ChimeraSample) -> Criterion:
        own = float(sample.explained.whole.mean())
        same = (
            f"the chimera's next token is that of bare (KL {own:.2g} of at least {LEAST_KL:g} nat): "
            "there is nothing to explain"
        )
        return held(
            "KL ratio",
            sample.explained.ratio(self.scene.clusters),
            sample.band.n,
            at_most=self.spec.max_kl_ratio,
            unreliable=None if own >= LEAST_KL else same,
            key="max_kl_ratio",
        )

    def _behaviour(self, sample: ChimeraSample) -> Criterion:
        by_sum, chimera, bare = sample.replies.values()
        clusters, n, most = self.scene.clusters, sample.band.n, self.spec.max_difference
        flat = (
            f"the chimera's marker rate {chimera.rate:.2f} is not clearly above the bare rate {bare.rate:.2f}"
        )
        effect = paired_difference(bare.hits, chimera.hits, clusters)
        difference = paired_difference(chimera.hits, by_sum.hits, clusters)
        unreliable = unclear(flat, effect, n)
        name = "marker rate sum - chimera"
        return held(name, difference, n, -most, most, unreliable=unreliable, key="max_difference")

    def _furthest(self, sample: ChimeraSample) -> tuple[ProbeNote, ...]:
        left, whole = sample.explained.left, sample.explained.whole
        replies = {name: one.texts for name, one in sample.replies.items()}
        note = "KL of the chimera from the sum {:.2g} nat, from bare {:.2g} nat".format
        return furthest(self.scene, left, lambda row: note(left[row], whole[row]), replies)

    @cached_property
    def sides(self) -> dict[str, Condition]:
        """Both directions, by what they are called."""
        return {
            "the chimera": replace(self.scene.bare, adapters=((self.spec.adapter, 1.0),)),
            "the sum": self.scene.mixture(dict.fromkeys(self.spec.of, 1.0), self.regimes[0]),
        }

    @cached_property
    def judged(self) -> dict[str, Condition]:
        """Whose next tokens and replies are compared."""
        chimera, by_sum = self.sides.values()
        return {"sum": by_sum, "chimera": chimera, "bare": self.scene.bare}

    @cached_property
    def contrast(self) -> Contrast:
        """Where residuals are read, and who is beside: in the sum's regime and in the adapter's."""
        regimes = tuple(dict.fromkeys((*self.regimes, Regime.ADAPTER)))
        return Contrast(
            Readings(self.scene, self.spec.position, part=self.spec.part), self.controls_by_kin, regimes
        )


def _curve(sample: ChimeraSample, spec: "Chimera") -> Curve:
    moved, pair = sample.everywhere, sample.band.pair
    lines = {
        "raw": series(moved.raw_cosine(*pair)),
        "specific": series(cosine.value for cosine in moved.compared(*pair).cosines()),
        "ceiling": series(moved.ceiling(*pair, sample.seed)),
    }
    return cosines_over_depth(lines, moved, pair, spec.sites, spec.min_cosine)


class Chimera(Directed):
    """Two personas summed at inference are the adapter trained on their mix, inside and in what is said.

    Directions are compared without what the control personas share in the sum's regime and in the adapter's.
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["chimera"] = Field(description="Names this property.")
    personas: tuple[str, ...] | None = Field(
        None, description="Control personas; default: all others that have what it takes."
    )
    of: Couple = Field(description="The two personas that are summed.")
    adapter: str = Field(description="Name in the release of the adapter trained on their mix.")
    sums: tuple[Regime, ...] = Field(
        (Regime.STEERING, Regime.ADAPTER), description="Regimes in which to sum; one assertion each."
    )
    min_cosine: Annotated[float, COSINE] = Field(
        ge=-1, le=1, description="Least specific cosine of sum and chimera, divided by its ceiling."
    )
    max_kl_ratio: Annotated[float, SIZE] = Field(
        ge=0,
        description="Largest KL(chimera || sum) / KL(chimera || bare) of the next token: 0 when the sum "
        "explains all of the chimera, 1 when it does no better than bare.",
    )
    max_worst_kl_ratio: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest KL(chimera || sum) at any probe, in units of the mean KL(chimera || bare); "
        "default: ten times `max_kl_ratio`.",
    )
    max_difference: Annotated[float, COSINE] = Field(
        gt=0, le=1, description="Largest difference, of either sign, in how many replies show a marker."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime; both personas, the adapter, markers and two controls must be there."""
        require_probes(scene, LEAST_PROBES, "chimera")
        require_adapter(scene, self.adapter)
        return [self._case(regime, scene) for regime in self.sums]

    def _case(self, regime: Regime, scene: Scene) -> Case:
        scene.mixture(dict.fromkeys(self.of, 1.0), regime)  # complains of an artefact that is missing
        markers = marked(scene, self.of, "chimera")
        others = bystanders(self.personas, scene, self.of, (regime, Regime.ADAPTER), "chimera")
        by_kin = scene.units(others)
        return ChimeraCase("+".join(self.of), str(regime), self, scene, (regime,), by_kin, markers)
