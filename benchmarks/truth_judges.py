"""Made-up judges of which it is known how often they are wrong, and how often corrected shares are.

No model is run. Replies meet a rubric at a rate that is planted, those of a template alike. A judge scores
what meets it high as often as its sensitivity says, and what does not low as often as its specificity does.
Its error is told by labelled replies, half of which meet the rubric, as `judged` does.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_draws import Found

from coherence.statistics.agreement import mean_share, paired_difference
from coherence.statistics.corrected_share import corrected_difference, corrected_share
from coherence.statistics.intervals import Interval

RATES = (0.5, 0.9)
"""Shares of a regime's replies that meet the rubric; the prompt's is above it by `GAP`."""
GAP = 0.1
LABELS = (10, 40)
"""Labelled replies that meet the rubric, and as many that do not."""
DESIGNS = (("single", 1, 24), ("single", 1, 60), ("templates", 4, 24))
"""Names, probes of each template, and probes of a regime."""


@dataclass(frozen=True)
class MadeUpJudge:
    """How often it scores high what meets a rubric, and low what does not."""

    sensitivity: float
    specificity: float

    def scores(self, met: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draw its scores, 0 to 1: high and low ones vary as those of a judge by probabilities do."""
        right = np.where(met, self.sensitivity, self.specificity)
        high = (random.random(met.shape) < right) == met
        return np.where(high, random.beta(8, 1, met.shape), random.beta(1, 8, met.shape))

    def __str__(self) -> str:
        return f"sensitivity {self.sensitivity:g}, specificity {self.specificity:g}"


JUDGES = (MadeUpJudge(0.95, 0.95), MadeUpJudge(0.8, 0.9), MadeUpJudge(0.7, 0.7))


def met(rates: Sequence[float], each: int, n: int, random: np.random.Generator) -> np.ndarray:
    """Draw whether replies of regimes meet a rubric, [regimes, probes].

    Half of the probes do as their template does, where there are some.
    """
    own, common = random.random(n), np.repeat(random.random(n // each), each)
    drawn = np.where(random.random(n) < 0.5, common, own)
    return drawn < np.array(rates)[:, None]


def estimates(
    judge: MadeUpJudge, replies: np.ndarray, clusters: Sequence[str], labels: int, random: np.random.Generator
) -> Iterator[tuple[str, Interval]]:
    """Yield what is made of the judge's scores of two regimes [2, probes], as `judged` has it."""
    regime, prompt = judge.scores(replies, random)
    numbered = [f"l{one}" for one in range(labels)]
    of_met, of_unmet = (
        mean_share(judge.scores(np.full(labels, is_met), random), numbered) for is_met in (True, False)
    )
    observed = mean_share(regime, clusters)
    yield "share", corrected_share(observed, of_met, of_unmet)
    yield "share uncorrected", observed
    yield "gap", corrected_difference(paired_difference(regime, prompt, clusters), of_met, of_unmet)


def covered(replications: int, seed: int) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    gathered: dict[tuple[str, str, int], list[tuple[float, ...]]] = defaultdict(list)
    cells = [*product(JUDGES, RATES, LABELS, DESIGNS)]
    for number, cell in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        judge, rate, labels, (design, each, n) = cell
        random = np.random.default_rng((seed, number))
        clusters = [f"t{template}" for template in range(n // each) for _ in range(each)]
        truths = {"share": rate, "share uncorrected": rate, "gap": GAP}
        for _ in range(replications):
            replies = met((rate, rate + GAP), each, n, random)
            for name, one in estimates(judge, replies, clusters, labels, random):
                key = f"judged {rate:g}: {name}, {judge}, {labels} labels of each kind", design, n
                gathered[key].append((one.value, one.low, one.high, truths[name]))
    return [Found(*key, np.array(ends)) for key, ends in sorted(gathered.items(), key=lambda item: item[0])]
