"""Algebra: two adapters put into the model at once are the sum of both, whichever way they are put in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene, Way, WeightError
from coherence.properties.case import Case
from coherence.properties.columns import at_most, over_depth, series
from coherence.properties.composition.distances import (
    log_probs,
    marker_rates,
    next_tokens,
    replies,
    texts,
)
from coherence.properties.composition.furthest import furthest
from coherence.properties.control import NOTHING
from coherence.properties.criterion import exact, held
from coherence.properties.eligibility import Couple, marked, require_adapter, require_probes
from coherence.properties.highest import Tail, at_worst
from coherence.properties.lengths import by_length
from coherence.properties.markers import Replies
from coherence.properties.property import Property
from coherence.properties.ranges import COSINE, SIZE
from coherence.properties.reading import Readings, unmoved
from coherence.statistics.agreement import paired_difference
from coherence.statistics.departure import Departure
from coherence.statistics.divergence import divergence
from coherence.statistics.geometry import Real
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import positive_mean
from coherence.vocabulary import Band, Criterion, Figures, Position, ProbeNote, Regime
from coherence.vocabulary.evidence import number

SEQUENTIAL = "sequential"
LEAST_PROBES = 8


@dataclass(frozen=True, eq=False)
class AlgebraSample:
    """How far the way is from the stack: in weights, residuals, next tokens and replies."""

    case: "AlgebraCase"
    record: Record

    @cached_property
    def weights(self) -> Real | None:
        """Relative error of each module's change, where weights are compared: [modules]."""
        return self.record.weight_error(self.case.weights) if self.case.weights else None

    @cached_property
    def everywhere(self) -> Departure:
        """Departure from the stack's residuals at every site."""
        case = self.case
        read = (case.readings.residuals(self.record, one) for one in (*case.pair, case.scene.bare))
        return Departure.of(*read)

    @cached_property
    def band(self) -> Departure:
        """The same at the sites that are judged."""
        return self.everywhere.at(self.case.readings.depths(self.record, self.case.spec.sites.sites))

    @cached_property
    def kl(self) -> Array:
        """KL(stacked || judged) of the next token, nats: [probes]."""
        judged, stacked = (log_probs(self.record, self.case.scene, one) for one in self.case.pair)
        return np.maximum(divergence(stacked, judged), 0.0)

    @cached_property
    def tail(self) -> Tail:
        """The same KL, of which the highest is judged, too."""
        spec = self.case.spec
        worst = at_worst(spec.max_worst_kl, spec.max_kl)
        return Tail("KL from the stack", "max_worst_kl", self.kl, self.case.scene.clusters, worst)

    @cached_property
    def replies(self) -> dict[str, Replies]:
        """What is said under the way and the stack, where that is compared."""
        case = self.case
        markers = [marker for name in case.spec.of for marker in case.scene.personas[name].markers]
        return {
            name: Replies.of(texts(self.record, case.scene, condition), markers)
            for name, condition in case.speaking.items()
        }


@dataclass(frozen=True)
class AlgebraCase(Case[AlgebraSample]):
    """Two adapters put in one way, held against both stacked; its weights against the sum of changes."""

    persona: str
    slug: str
    spec: "Algebra"
    scene: Scene
    judged: Condition
    weights: WeightError | None
    regimes: tuple[Regime, ...] = ()

    def needs(self) -> Iterable[Measurement]:
        """Measure the way and the stack, and read bare, too."""
        return [
            *([self.weights] if self.weights else []),
            *(reading for each in (*self.pair, self.scene.bare) for reading in self.readings.of(each)),
            *next_tokens(self.scene, *self.pair),
            *replies(self.scene, *self.speaking.values()),
        ]

    def sample(self, record: Record, seed: int) -> AlgebraSample:
        """Take distances from the stack."""
        return AlgebraSample(self, record)

    def criteria(self, sample: AlgebraSample) -> Iterator[Criterion]:
        """Judge weights, residuals, next tokens and markers: the first that fails names the broken law."""
        n, clusters, spec = len(self.scene.probes), self.scene.clusters, self.spec
        if sample.weights is not None:
            yield self._weights(sample.weights)
        still = unmoved(sample.band.still[None], ("the stack",), spec.sites)
        ratio = Interval.unknown() if still else sample.band.ratio(clusters)
        name, most = "displacement from the stack", spec.max_displacement
        yield held(name, ratio, n, at_most=most, unreliable=still, key="max_displacement")
        kl = positive_mean(sample.kl, clusters)
        yield held("KL from the stack", kl, n, at_most=spec.max_kl, key="max_kl")
        yield sample.tail.criterion()
        if (largest := spec.max_difference) is not None:
            judged, stacked = sample.replies.values()
            difference = paired_difference(stacked.hits, judged.hits, clusters)
            name = f"marker rate {self.slug} - stacked"
            yield held(name, difference, n, -largest, largest, key="max_difference")

    def figures(self, sample: AlgebraSample) -> Figures:
        """Show the displacement over depth, and where next tokens are furthest from the stack's."""
        lines = {"displacement": series(sample.everywhere.by_depth())}
        return Figures(
            curve=over_depth(
                lines,
                sample.everywhere.still,
                "share of the stack's displacement",
                self.spec.sites,
                at_most("displacement", self.spec.max_displacement),
            ),
            probes=self._furthest(sample),
            notes=(
                *_modules(sample.weights),
                *([marker_rates(sample.replies)] if sample.replies else []),
                *sample.tail.notes(),
                *by_length(f"KL of {self.slug} from the stack", sample.kl, self.scene.probes),
            ),
        )

    def controls(self) -> Mapping[str, Sequence["AlgebraCase"]]:
        """Either adapter without the other, and neither: what is left when one of them, or both, get lost."""
        alone = {f"{name} alone": self.scene.condition(name, Regime.ADAPTER) for name in self.spec.of}
        return {
            name: [replace(self, judged=condition, weights=None)]
            for name, condition in {NOTHING: self.scene.bare, **alone}.items()
        }

    def _weights(self, errors: Real) -> Criterion:
        name, most = "error of the weights", self.spec.max_weight_error
        return exact(name, float(errors.max()), len(errors), most, key="max_weight_error")

    def _furthest(self, sample: AlgebraSample) -> tuple[ProbeNote, ...]:
        kl, relative = sample.kl, sample.band.by_probe()
        replies = {name: one.texts for name, one in sample.replies.items()}
        return furthest(
            self.scene,
            kl,
            lambda row: f"KL {number(kl[row])} nat, displacement {number(relative[row])}",
            replies,
        )

    @cached_property
    def pair(self) -> tuple[Condition, Condition]:
        """The way, and both adapters stacked."""
        return self.judged, self.scene.mixture(dict.fromkeys(self.spec.of, 1.0), Regime.ADAPTER)

    @property
    def speaking(self) -> dict[str, Condition]:
        """Whose replies are compared, if any are."""
        compared = self.spec.max_difference is not None
        return dict(zip((self.slug, "stacked"), self.pair, strict=True)) if compared else {}

    @cached_property
    def readings(self) -> Readings:
        """Where residuals are read."""
        return Readings(self.scene, self.spec.position)


def _modules(errors: Real | None) -> Iterator[str]:
    if errors is not None:
        middle = number(float(np.median(errors)))
        yield f"relative error of the weights: median {middle} over {len(errors)} modules"


def _other_than_stacked(ways: tuple[Way, ...]) -> tuple[Way, ...]:
    if Way.STACKED in ways:
        raise ValueError("stacked is what all ways are held against; expected others")
    return ways


class Algebra(Property):
    """Two adapters combined, merged or trained one after the other are both of them, stacked.

    Weights are held against the sum of what each adapter changes alone; residuals, next tokens and markers
    against those of the stack.
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["algebra"] = Field(description="Names this property.")
    personas: None = Field(None, description="Not used here: `of` names the two.")
    of: Couple = Field(description="The two personas whose adapters are put in at once.")
    ways: Annotated[tuple[Way, ...], AfterValidator(_other_than_stacked)] = Field(
        tuple(way for way in Way if way is not Way.STACKED),
        description="Ways to put them in; one assertion each. Default: all.",
    )
    sequential: str | None = Field(
        None,
        description="Name in the release of an adapter trained for one persona and then for the other: an "
        "assertion more, about everything but weights.",
    )
    sites: Band = Field(description="Where residuals are compared; displacements are averaged over the band.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token residuals are read.")
    max_weight_error: Annotated[float, SIZE] = Field(
        1e-3, gt=0, description="Largest relative error of a module's change of weights; for float32 weights."
    )
    max_displacement: Annotated[float, SIZE] = Field(
        1e-3, gt=0, description="Largest distance from the stack's residuals, relative to theirs from bare."
    )
    max_kl: Annotated[float, SIZE] = Field(
        1e-3, gt=0, description="Largest mean KL(stack || way) of the next token, in nats."
    )
    max_worst_kl: Annotated[float | None, SIZE] = Field(
        None, gt=0, description="Largest such KL at any probe, in nats; default: ten times `max_kl`."
    )
    max_difference: Annotated[float | None, COSINE] = Field(
        None,
        gt=0,
        le=1,
        description="Largest difference, of either sign, in how many replies show a marker; default: there "
        "are no replies.",
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per way; both adapters must be there, and markers where they are compared."""
        require_probes(scene, LEAST_PROBES, "algebra")
        stacked = scene.mixture(dict.fromkeys(self.of, 1.0), Regime.ADAPTER)
        if self.max_difference is not None:
            marked(scene, self.of, "algebra")
        judged = {str(way): replace(stacked, way=way) for way in self.ways}
        if self.sequential is not None:
            require_adapter(scene, self.sequential)
            judged[SEQUENTIAL] = replace(scene.bare, adapters=((self.sequential, 1.0),))
        if not judged:
            raise SuiteError("algebra has nothing to judge; expected ways, or an adapter under 'sequential'")
        return [
            AlgebraCase(
                "+".join(self.of), slug, self, scene, condition,
                None if slug == SEQUENTIAL else WeightError(condition),
            )
            for slug, condition in judged.items()
        ]  # fmt: skip
