"""The claims of composition that are tried on the planted model, and what is true of all its questions."""

import numpy as np
from truth_claims import JUDGED, SITE, Tried, Truth, cosine
from truth_model import NEUTRAL, PERSONAS

from coherence.plan import Condition
from coherence.properties import Case, Property
from coherence.properties.composition.algebra import Algebra, AlgebraCase
from coherence.properties.composition.dose import Dose, DoseCase
from coherence.properties.composition.equivalence import Equivalence, EquivalenceCase
from coherence.properties.composition.factorial import Factorial, FactorialCase
from coherence.properties.composition.injections import BARE, Injection
from coherence.vocabulary import Marker, Position

BETWEEN = "resid_post.1"
"""Neither the words themselves nor the last block, after which a patch changes the next token alone."""
DOSES = (0.0, 0.2, 0.4)
ANY = 1e9
"""A bound that the perplexity is within at any dose: none is left out of the slope, whatever the sample."""
EQUIVALENCE = {
    "of": PERSONAS[:2],
    "adapter": "mix",
    "sites": "resid_post.1..2",
    "max_distance": 0.5,
    "max_asymmetry": 0.5,
    "min_profile": 0.5,
    "min_direction": 0.5,
}
CLAIMS: tuple[Property, ...] = (
    Factorial(
        property="factorial",
        personas=JUDGED,
        neutral_task=" ".join([NEUTRAL] * 12),
        positions=(Position.PROMPT_LAST,),
        sites=BETWEEN,
        tokens=2,
        min_recovered=0.5,
    ),
    Equivalence(property="equivalence", ways=("prompt-adapter", "adapter-prompt"), **EQUIVALENCE),
    Equivalence(property="equivalence", ways=("adapter-adapter", "chimera"), twin="twin", **EQUIVALENCE),
    Dose(
        property="dose", personas=JUDGED, doses=DOSES, min_slope=0.5, max_perplexity=ANY, min_suppression=0.1
    ),
    Algebra(property="algebra", of=PERSONAS[:2], ways=(), sequential="mix", sites=SITE),
)


class Composed(Truth):
    """What is true of sums, ways, doses and of one adapter for two."""

    def found(self, case: Case) -> dict[str, float]:
        """Give what is true by the names of the estimates."""
        match case:
            case FactorialCase():
                return self._factorial(case)
            case EquivalenceCase():
                return self._equivalence(case)
            case DoseCase():
                return self._dose(case)
            case AlgebraCase():
                return self._algebra(case)
        raise TypeError(f"no truth is known of {type(case).__name__}")

    def _factorial(self, case: FactorialCase) -> dict[str, float]:
        depth = case.spec.sites.depths[0]
        cells = [
            [self.record.residuals(each)[depth] for each in case.grid.readings(t)] for t in case.grid.tasks
        ]
        bb, xb, by, xy = np.array(cells, np.float64).swapaxes(0, 1)
        (added,), (injected,) = case.changes.additive, case.changes.injections
        return {
            "cosine": cosine(xy - bb, xb + by - 2 * bb).mean(),
            "KL": self._cost(case, added),
            "share recovered": 1 - self._cost(case, injected) / self._cost(case, BARE),
        }

    def _equivalence(self, case: EquivalenceCase) -> dict[str, float]:
        first, second = (blend.condition for blend in case.pair)
        bare = self.scene.bare
        far = (self._apart(first, bare) + self._apart(second, bare)) / 2
        null = self._apart(*(blend.condition for blend in case.null)) if case.null else far
        leans = []
        for blend in case.pair:
            to_first, to_second = (self._apart(blend.condition, alone) for alone in blend.alone())
            leans.append((to_first - to_second) / (to_first + to_second))
        profiles = [
            self._rates(case.markers, each) - self._rates(case.markers, bare) for each in (first, second)
        ]
        alike, strength = self.compared(case, (first, second), case.contrast.controls)
        return {
            "KL / seed-pair null" if case.null else "KL / KL from bare": self._apart(first, second) / null,
            "lean of the first - second way": leans[0] - leans[1],
            "marker profile cosine": float(cosine(*profiles)),
            "specific cosine": alike,
            f"strength of {case.pair[1].slug} along {case.pair[0].slug}": strength,
        }

    def _dose(self, case: DoseCase) -> dict[str, float]:
        vector, markers = case.vector, self.scene.personas[case.persona].markers
        doses = sorted({*DOSES, vector.working})
        rates = [self.hits(markers, vector.at(dose)).mean() for dose in doses]
        steered, bare = (self._surprise(case, dose) for dose in (vector.working, 0.0))
        prompted, subtracted = (self.hits(markers, c).mean() for c in (vector.prompted, vector.subtracted))
        return {
            "slope of the marker rate": np.polyfit(doses, rates, 1)[0],
            f"perplexity at dose {vector.working:g} over bare": np.exp(np.nanmean(steered - bare)),
            f"suppression by dose {-vector.working:g}": prompted - subtracted,
        }

    def _algebra(self, case: AlgebraCase) -> dict[str, float]:
        depth = case.spec.sites.depths[0]
        judged, stacked, bare = (
            case.readings.residuals(self.record, each)[depth].astype(np.float64)
            for each in (*case.pair, self.scene.bare)
        )
        left, whole = (np.sqrt((moved**2).sum(-1)).mean() for moved in (judged - stacked, stacked - bare))
        return {
            "displacement from the stack": left / whole,
            "KL from the stack": self._kl(*reversed(case.pair)),
        }

    def _cost(self, case: FactorialCase, change: Injection) -> float:
        costs = (self.record.divergence(case.grid.divergence(task, change)) for task in case.grid.tasks)
        return float(np.mean([cost.sum() for cost in costs]))

    def _surprise(self, case: DoseCase, dose: float) -> np.ndarray:
        read = (self.record.likelihood(each) for each in case.vector.likelihoods(dose))
        return np.array([-found.mean(dtype=np.float64) if len(found) else np.nan for found in read])

    def _rates(self, markers: tuple[Marker, ...], condition: Condition) -> np.ndarray:
        return np.array([self.hits([marker], condition).mean() for marker in markers])

    def _apart(self, one: Condition, other: Condition) -> float:
        return (self._kl(one, other) + self._kl(other, one)) / 2

    def _kl(self, one: Condition, other: Condition) -> float:
        p, q = self.log_probs(one), self.log_probs(other)
        return float((np.exp(p) * (p - q)).sum(-1).mean())


COMPOSITION = Tried(CLAIMS, Composed)
