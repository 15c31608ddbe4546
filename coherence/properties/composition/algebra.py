"""Algebra: two adapters put into the model at once are the sum of both, whichever way they are put in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene, Way, WeightError
from coherence.properties.columns import over_depth
from coherence.properties.composition.distances import next_tokens, replies
from coherence.properties.composition.furthest import furthest
from coherence.properties.control import NOTHING
from coherence.properties.criterion import held
from coherence.properties.eligibility import Couple, marked, require_adapter, require_probes
from coherence.properties.lengths import by_length
from coherence.properties.markers import Replies
from coherence.properties.property import Case, Property
from coherence.properties.ranges import COSINE, SIZE
from coherence.properties.reading import Readings, unmoved
from coherence.properties.tail import Tail, at_worst
from coherence.statistics.agreement import paired_difference
from coherence.statistics.departure import Departure
from coherence.statistics.divergence import divergence
from coherence.statistics.geometry import Real
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import positive_mean
from coherence.vocabulary import Band, Criterion, Estimate, Evidence, Position, Regime
from coherence.vocabulary.evidence import number

SEQUENTIAL = "sequential"
LEAST_PROBES = 8


@dataclass(frozen=True)
class AlgebraCase(Case):
    """Two adapters put in one way, held against both stacked; its weights against the sum of changes."""

    persona: str
    slug: str
    asked: "Algebra"
    scene: Scene
    judged: Condition
    weights: WeightError | None

    def needs(self) -> Iterable[Measurement]:
        """Measure the way and the stack, and read bare, too."""
        pair = (self.judged, self._stacked)
        return [
            *([self.weights] if self.weights else []),
            *(reading for each in (*pair, self.scene.bare) for reading in self._readings.of(each)),
            *(next_token for each in pair for next_token in next_tokens(self.scene, each)),
            *(reply for each in self._answering for reply in replies(self.scene, each)),
        ]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge weights, residuals, next tokens and markers: the first that fails names the broken law."""
        departure, kl = self._departure(record), self._kl(record)
        answers = self._answers(record)
        relative = departure.at(self._depths(record)).by_probe()
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=over_depth({"displacement": departure.by_depth()}, departure.still),
            probes=furthest(
                self.scene,
                kl,
                lambda row: f"KL {number(kl[row])} nat, displacement {number(relative[row])}",
                {name: said.texts for name, said in answers.items()},
            ),
            notes=(
                *self._modules(record),
                *_rates(answers),
                *self._tail(kl).notes(),
                *by_length(f"KL of {self.slug} from the stack", kl, self.scene.probes),
            ),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield one for each law."""
        if self.weights:
            yield self._weights(record.weight_error(self.weights))
        yield self._residuals(self._departure(record).at(self._depths(record)))
        kl = self._kl(record)
        yield self._next_tokens(kl)
        yield self._tail(kl).criterion()
        if self.asked.max_difference is not None:
            yield self._markers(self._answers(record), self.asked.max_difference)

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Either adapter without the other, and neither: what is left when one of them, or both, get lost."""
        alone = {f"{name} alone": self.scene.condition(name, Regime.ADAPTER) for name in self.asked.of}
        return {
            name: [replace(self, judged=condition, weights=None)]
            for name, condition in {NOTHING: self.scene.bare, **alone}.items()
        }

    def _weights(self, errors: Real) -> Criterion:
        largest = float(errors.max())
        name = "error of the weights"
        return Criterion(
            estimate=Estimate(name=name, value=largest, low=largest, high=largest, n=len(errors)),
            at_most=self.asked.max_weight_error,
            key="max_weight_error",
            law=True,
        )

    def _residuals(self, departure: Departure) -> Criterion:
        undefined = unmoved(departure.still[None], ("the stack",), self.asked.sites)
        return held(
            "displacement from the stack",
            Interval(nan, -inf, inf) if undefined else departure.ratio(self.scene.clusters),
            self._n,
            at_most=self.asked.max_displacement,
            unreliable=undefined,
            key="max_displacement",
        )

    def _next_tokens(self, kl: Array) -> Criterion:
        return held(
            "KL from the stack",
            positive_mean(kl, self.scene.clusters),
            self._n,
            at_most=self.asked.max_kl,
            key="max_kl",
        )

    def _tail(self, kl: Array) -> Tail:
        worst = at_worst(self.asked.max_worst_kl, self.asked.max_kl)
        return Tail("KL from the stack", "max_worst_kl", kl, self.scene.clusters, worst)

    def _markers(self, answers: Mapping[str, Replies], largest: float) -> Criterion:
        judged, stacked = answers.values()
        return held(
            f"marker rate {self.slug} - stacked",
            paired_difference(stacked.hits, judged.hits, self.scene.clusters),
            self._n,
            at_least=-largest,
            at_most=largest,
            key="max_difference",
        )

    def _modules(self, record: Record) -> tuple[str, ...]:
        if not self.weights:
            return ()
        errors = record.weight_error(self.weights)
        middle = number(float(np.median(errors)))
        return (f"relative error of the weights: median {middle} over {len(errors)} modules",)

    def _departure(self, record: Record) -> Departure:
        conditions = (self.judged, self._stacked, self.scene.bare)
        return Departure.of(*(self._readings.residuals(record, each) for each in conditions))

    def _depths(self, record: Record) -> list[int]:
        return self._readings.depths(record, self.asked.sites.sites)

    def _kl(self, record: Record) -> Array:
        """KL(stacked || judged) of the next token, nats: [probes]."""
        stacked, judged = (
            np.stack([record.log_probs(each) for each in next_tokens(self.scene, condition)])
            for condition in (self._stacked, self.judged)
        )
        return np.maximum(divergence(stacked, judged), 0.0)

    def _answers(self, record: Record) -> dict[str, Replies]:
        markers = [marker for name in self.asked.of for marker in self.scene.personas[name].markers]
        said = [[record.reply(each) for each in replies(self.scene, one)] for one in self._answering]
        counted = [Replies.of(texts, markers) for texts in said]
        return dict(zip((self.slug, "stacked"), counted, strict=False))

    @property
    def _answering(self) -> tuple[Condition, ...]:
        return () if self.asked.max_difference is None else (self.judged, self._stacked)

    @property
    def _n(self) -> int:
        return len(self.scene.probes)

    @property
    def _stacked(self) -> Condition:
        return self.scene.mixture(dict.fromkeys(self.asked.of, 1.0), Regime.ADAPTER)

    @property
    def _readings(self) -> Readings:
        return Readings(self.scene, self.asked.position)


def _rates(answers: Mapping[str, Replies]) -> tuple[str, ...]:
    rates = ", ".join(f"{name} {said.rate:.0%}" for name, said in answers.items())
    return (f"replies with a marker of either persona: {rates}",) if answers else ()


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
            judged[SEQUENTIAL] = Condition(scene.neutral, adapters=((self.sequential, 1.0),))
        if not judged:
            raise SuiteError("algebra has nothing to judge; expected ways, or an adapter under 'sequential'")
        return [
            AlgebraCase(
                persona="+".join(self.of),
                slug=slug,
                asked=self,
                scene=scene,
                judged=condition,
                weights=None if slug == SEQUENTIAL else WeightError(condition),
            )
            for slug, condition in judged.items()
        ]
