"""The claims that are tried on the planted model, and what is true of all its questions.

A truth is computed from means over the whole population by the textbook formula, and by none of the code that
estimates it from a sample.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from math import inf
from typing import cast

import numpy as np
from truth_model import PERSONAS, World

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, NextToken, Plan, Record, Reply, Scene
from coherence.properties import Case, Property
from coherence.properties.collinearity import Collinearity, CollinearityCase
from coherence.properties.composition.chimera import Chimera, ChimeraCase
from coherence.properties.composition.equivalence import EquivalenceCase
from coherence.properties.markers import Markers, MarkersCase
from coherence.properties.mixtures.attractor import Attractor, AttractorCase
from coherence.properties.reading import Readings
from coherence.statistics.intervals import Array
from coherence.store import Store
from coherence.vocabulary import Band, Estimate, Marker, Probe

JUDGED = (PERSONAS[0], PERSONAS[3])  # the most and the least alike in both regimes
FIRST, SITE = "resid_post.0", "resid_post.2"
PLAIN, AGREEMENT = "plain cosine", "Cohen's kappa"
SEVERAL = ("attractor", "equivalence", "algebra")
"""Claims that have several cases of the same personas here."""
Compared = CollinearityCase | ChimeraCase | EquivalenceCase
"""Cases that hold two conditions' directions against each other, and have controls of them."""
CLAIMS: tuple[Property, ...] = (
    Collinearity(
        property="collinearity",
        personas=JUDGED,
        between=("prompt", "adapter"),
        sites="resid_post.1..2",
        min_cosine=0.5,
        min_margin=0.0,
    ),
    Markers(property="markers", min_agreement=0.5, max_difference=0.5, min_recovery=0.5),
    Chimera(
        property="chimera",
        of=PERSONAS[:2],
        adapter="mix",
        sums=("adapter",),
        sites=SITE,
        min_cosine=0.5,
        max_kl_ratio=0.5,
        max_difference=0.5,
    ),
    Attractor(
        property="attractor", poles=PERSONAS[:2], regimes=("steering", "adapter"), site=SITE, max_area=0.1
    ),
)


def alone(probe: Probe) -> Probe:
    """Take a question out of its template."""
    return probe.model_copy(update={"template": None})


class Population:
    """All questions of a world, measured under all conditions that the claims need."""

    def __init__(self, world: World, store: Store, tried: "Tried") -> None:
        self.scene, self._tried = world.scene, tried
        bare = replace(self.scene, probes=tuple(map(alone, self.scene.probes)))
        plan = Plan([need for case in self.cases(bare) for need in case.needs()])
        artefacts = Artefacts.of(self.scene)
        found = Engine(artefacts, store).measure(plan)
        templated = dict(zip(bare.probes, self.scene.probes, strict=True))
        within = {cast(Measurement, _with(key, templated)): value for key, value in found.items()}
        self.record = Record(found | within)

    @cached_property
    def _templates(self) -> list[list[Probe]]:
        grouped: dict[str, list[Probe]] = {}
        for probe in self.scene.probes:
            grouped.setdefault(probe.cluster, []).append(probe)
        return list(grouped.values())

    def drawn(self, n: int, clustered: bool, random: np.random.Generator) -> Scene:
        """Draw n questions, one by one or whole templates at a time."""
        if clustered:
            some = random.choice(len(self._templates), n // len(self._templates[0]), replace=False)
            probes = [probe for number in some for probe in self._templates[number]]
        else:
            some = random.choice(len(self.scene.probes), n, replace=False)
            probes = [alone(self.scene.probes[number]) for number in some]
        return replace(self.scene, probes=tuple(probes))

    def unstirred(self) -> list[float]:
        """Specific cosine of each persona after the first block."""
        truth, first = Planted(self.scene, self.record), {"sites": Band.parse(FIRST), "personas": PERSONAS}
        return [next(truth.of(case))[1] for case in CLAIMS[0].model_copy(update=first).cases(self.scene)]

    @cached_property
    def truths(self) -> dict[str, float]:
        """What is true of the population, by the names that `estimates` gives."""
        truth = self._tried.truth(self.scene, self.record)
        return {name: value for case in self.cases(self.scene) for name, value in truth.of(case)}

    def cases(self, scene: Scene) -> list[Case]:
        """Return every case of every claim that does not refuse so few probes."""
        found: list[Case] = []
        for claim in self._tried.claims:
            with suppress(SuiteError):
                found += claim.cases(scene)
        return found


def judged(case: Case, record: Record, seed: int) -> list[Estimate]:
    """Return what a case estimates."""
    return [criterion.estimate for criterion in case.criteria(case.sample(record, seed))]


def plain(case: Case, record: Record) -> Iterator[Estimate]:
    """Yield the cosine of a sample's mean directions, which the noise of its probes makes too small."""
    if isinstance(case, CollinearityCase):
        band = case.sample(record, seed=0).band.moved
        first, second = map(band.of, case.judged)
        pairs = (first, second), (first, first), (second, second)
        above, one, other = (band.generic.products(*pair).mean((1, 2)) for pair in pairs)
        value = float((above / np.sqrt(one * other)).mean())
        yield Estimate(name=PLAIN, value=value, low=-inf, high=inf, n=len(case.scene.probes))


def measure(estimate: Estimate) -> str:
    """Name what an estimate is of: personas have doses of their own."""
    return re.sub(r"dose (-?)[0-9.]+", r"dose \1D", estimate.name)


def _with(value: object, templated: Mapping[Probe, Probe]) -> object:
    """Put questions back into their templates, wherever they stand in a measurement; its kind stays."""
    if isinstance(value, Probe):
        return templated.get(value, value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return replace(value, **{name: _with(part, templated) for name, part in parts.items()})
    return tuple(_with(each, templated) for each in value) if type(value) is tuple else value


def named(case: Case, estimate: str) -> str:
    """Name an estimate of a case, such as `collinearity ada: specific cosine`."""
    claim = type(case).__name__.removesuffix("Case").lower()
    persona = f"{case.persona} {case.slug}" if claim in SEVERAL else case.persona
    return f"{claim} {persona}: {estimate}"


@dataclass(frozen=True)
class Truth(ABC):
    """Textbook formulas over a whole population."""

    scene: Scene
    record: Record

    def of(self, case: Case) -> Iterator[tuple[str, float]]:
        """Yield every estimate's name and what is true."""
        yield from ((named(case, name), float(value)) for name, value in self.found(case).items())

    @abstractmethod
    def found(self, case: Case) -> dict[str, float]:
        """Give what is true by the names of the estimates; a TypeError for a case that is not known."""

    def mean(self, readings: Readings, condition: Condition, depths: list[int]) -> Array:
        """Mean residual [depths, width]."""
        mean: Array = readings.residuals(self.record, condition)[depths].mean(1, dtype=np.float64)
        return mean

    def log_probs(self, condition: Condition) -> np.ndarray:
        """Log-probabilities of the next token, [questions, vocabulary]."""
        rows = [self.record.log_probs(NextToken(condition, probe)) for probe in self.scene.probes]
        return np.stack(rows).astype(np.float64)

    def hits(self, markers: Sequence[Marker], condition: Condition) -> np.ndarray:
        """Tell which replies show one of the markers, [questions]."""
        return self.counts(markers, condition) > 0

    def counts(self, markers: Sequence[Marker], condition: Condition) -> np.ndarray:
        """Count the distinct markers of every reply, [questions]."""
        texts = (self.record.reply(Reply(condition, p, self.scene.decoding)) for p in self.scene.probes)
        return np.array([sum(marker.found_in(text) for marker in markers) for text in texts])

    def compared(
        self, case: Compared, sides: Sequence[Condition], controls: Sequence[Sequence[Sequence[Condition]]]
    ) -> tuple[float, float]:
        """Cosine and strength of two conditions' specific means, averaged over the sites."""
        found, readings = [], case.contrast.readings
        for depth in case.spec.sites.depths:
            bare = self.mean(readings, self.scene.bare, [depth])[0]

            def moved(condition: Condition, depth: int = depth, bare: Array = bare) -> Array:
                displacement: Array = self.mean(readings, condition, [depth])[0] - bare
                return displacement

            units = np.array([np.mean([[moved(c) for c in one] for one in unit], 0) for unit in controls])
            first, second = map(moved, sides)
            above, own, other = (
                product(*pair, units) for pair in ((first, second), (first, first), (second, second))
            )
            found.append((above / np.sqrt(own * other), above / own))
        cosine, strength = np.mean(found, axis=0)
        return float(cosine), float(strength)


@dataclass(frozen=True)
class Tried:
    """Claims, and what is true of them."""

    claims: tuple[Property, ...]
    truth: type[Truth]


class Planted(Truth):
    """What is true of each persona in two regimes, of a chimera and of an attractor."""

    def found(self, case: Case) -> dict[str, float]:
        """Give what is true by the names of the estimates."""
        match case:
            case CollinearityCase():
                return self._collinearity(case)
            case MarkersCase():
                return self._markers(case)
            case ChimeraCase():
                return self._chimera(case)
            case AttractorCase():
                return self._attractor(case)
        raise TypeError(f"no truth is known of {type(case).__name__}")

    def _collinearity(self, case: CollinearityCase) -> dict[str, float]:
        controls = case.contrast.controls
        own = self.compared(case, case.judged, controls)
        foreign = [
            self.compared(case, (case.judged[0], second), controls[:unit] + controls[unit + 1 :])
            for unit, ((_, second),) in enumerate(controls)
        ]
        return {
            "specific cosine": own[0],
            "margin over best foreign persona": own[0] - max(cosine for cosine, _ in foreign),
            f"strength of {case.regimes[1]} along {case.regimes[0]}": own[1],
            PLAIN: own[0],
        }

    def _chimera(self, case: ChimeraCase) -> dict[str, float]:
        by_sum, chimera, bare = case.judged.values()
        own, strength = self.compared(case, (chimera, by_sum), case.contrast.controls)
        p, q, r = (self.log_probs(condition) for condition in (chimera, by_sum, bare))
        left, whole = ((np.exp(p) * (p - other)).sum(-1).mean() for other in (q, r))
        rates = [self.hits(case.markers, condition).mean() for condition in (by_sum, chimera)]
        return {
            "specific cosine": own,
            "strength of the sum along the chimera": strength,
            "KL ratio": left / whole,
            "marker rate sum - chimera": rates[0] - rates[1],
        }

    def _markers(self, case: MarkersCase) -> dict[str, float]:
        sides = [self.scene.condition(case.persona, regime) for regime in case.regimes]
        first, second = (self.hits(case.markers, side) for side in sides)
        few, many = (self.counts(case.markers, side).mean() for side in sides)
        bare = self.hits(case.markers, self.scene.bare)
        one, two, same = first.mean(), second.mean(), (first == second).mean()
        by_chance = one * two + (1 - one) * (1 - two)
        return {
            AGREEMENT: (same - by_chance) / (1 - by_chance),
            f"rate {case.regimes[1]} - {case.regimes[0]}": two - one,
            f"relative count {case.regimes[1]} - {case.regimes[0]}": many / few - 1,
            f"recovery by {case.regimes[1]}": (two - bare.mean()) / (one - bare.mean()),
        }

    def _attractor(self, case: AttractorCase) -> dict[str, float]:
        depths = [case.mixed.site.depth]
        positive, negative = (self.mean(case.mixed.readings, c, depths)[0] for c in case.mixed.prompted)
        axis, weights = positive - negative, np.array(list(case.mixed.mixtures))
        along = np.array(
            [
                self.mean(case.mixed.readings, mixed[0], depths)[0] @ axis
                for mixed in case.mixed.mixtures.values()
            ]
        )
        m = (along - along[0]) / (along[-1] - along[0])
        after = int(np.argmax(m >= 0.5))
        return {
            "separation of the poles": (along[-1] - along[0]) / (axis @ axis),
            "signed area": np.trapezoid(m - weights, weights),
            "tipping weight": np.interp(0.5, m[after - 1 : after + 1], weights[after - 1 : after + 1]),
        }


def cosine(a: Array, b: Array) -> Array:
    """Cosine along the last axis."""
    found: Array = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return found


def product(first: Array, second: Array, controls: Array) -> float:
    """Inner product of two vectors, each without what half of the controls [units, regimes, width] share.

    The halves are runs of neighbours on a ring, and the other half is that of the other side.
    """
    places, found = range(len(controls)), []
    for start in places:
        half = [(start + step) % len(controls) for step in range(len(controls) // 2)]
        rest = [place for place in places if place not in half]
        for one, other in ((half, rest), (rest, half)):
            found.append(without(first, controls[one].mean(0)) @ without(second, controls[other].mean(0)))
    return float(np.mean(found))


def without(vector: Array, directions: Array) -> Array:
    """Project directions [directions, width] out of a vector."""
    basis = np.linalg.qr(directions.T)[0]
    rest: Array = vector - basis @ (basis.T @ vector)
    return rest


PLANTED = Tried(CLAIMS, Planted)
