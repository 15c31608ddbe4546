"""Made-up gains of replies, and how often intervals of leads, shares and accuracies do not hold the truth.

No model is run. A prompt makes its persona's own replies likelier by more than those of others, and a regime
has a share of that which differs from template to template, with noise of its own. Gains are normal, or have
the long tail of Student's t with 3 degrees of freedom: a few replies carry most of a persona.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_draws import Found
from truth_effects import DESIGNS, SIZES, TAILS

from coherence.statistics.intervals import Interval
from coherence.statistics.preference import Preference

OTHERS = 3
OWN, ANY = 1.0, 0.3  # nats a token by which a prompt makes its own replies likelier, and anybody's
SPREAD = 0.5  # of a reply's gain
MANY = 50_000  # templates, of which the truth of accuracies is counted


@dataclass(frozen=True)
class Reader:
    """What is planted of a regime: the share of the prompt's gains, its spread over templates, and noise."""

    share: float = 0.4
    spread: float = 0.1
    noise: float = 0.2

    def drawn(
        self, templates: int, each: int, tail: float | None, random: np.random.Generator
    ) -> tuple[Preference, Preference]:
        """Draw what the prompt and the regime gain. Half of what varies is the template's own."""
        common, own, noise = (
            _varied((templates, size, OTHERS + 1), tail, random) for size in (1, each, each)
        )
        prompted = ANY + np.eye(OTHERS + 1)[0] * (OWN - ANY) + SPREAD * sqrt(0.5) * (common + own)
        share = self.share + self.spread * random.standard_normal((templates, 1, 1))
        regime = share * prompted + self.noise * noise
        clusters = [f"t{template}" for template in range(templates) for _ in range(each)]
        first, second = (Preference(side.reshape(-1, OTHERS + 1), clusters) for side in (prompted, regime))
        return first, second

    def truths(self, tail: float | None) -> dict[str, float]:
        """Say what is true of all replies, by the names of the estimates; accuracies are counted."""
        prompted, regime = self.drawn(MANY, 4, tail, np.random.default_rng(0))
        gap = float(prompted.hits.mean() - regime.hits.mean())
        lead = self.share * (OWN - ANY)
        return {
            "lead": lead,
            "share of the lead": self.share,
            "accuracy": float(regime.hits.mean()),
            "gap": gap,
        }


def estimates(prompted: Preference, regime: Preference) -> Iterator[tuple[str, Interval]]:
    """Yield the estimates of a sample by name, as `voice` has them."""
    yield "lead", regime.lead
    yield "share of the lead", regime.share_of(prompted)
    yield "accuracy", regime.accuracy
    yield "gap", regime.gap_to(prompted)


def covered(replications: int, seed: int) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    gathered, reader = [], Reader()
    truths = {name: reader.truths(tail) for name, tail in TAILS.items()}
    cells = [*product(TAILS, DESIGNS, SIZES)]
    for number, (tail, design, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        each, random = DESIGNS[design], np.random.default_rng((seed, number))
        told: dict[str, list[tuple[float, ...]]] = {}
        for _ in range(replications):
            for name, one in estimates(*reader.drawn(n // each, each, TAILS[tail], random)):
                told.setdefault(name, []).append((one.value, one.low, one.high, truths[tail][name]))
        gathered += [Found(f"gain: {name}, {tail}", design, n, np.array(ends)) for name, ends in told.items()]
    return sorted(gathered, key=lambda one: (one.estimate, one.probes, one.n))


def _varied(shape: tuple[int, ...], tail: float | None, random: np.random.Generator) -> np.ndarray:
    """Draw what varies by 1; a long tail is scaled to that."""
    if tail is None:
        return random.standard_normal(shape)
    return random.standard_t(tail, shape) / sqrt(tail / (tail - 2))
