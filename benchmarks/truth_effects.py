"""Made-up effects on tokens, and how often intervals of their slope and cosine do not hold the truth.

No model is run. A form has a share of the adapter's effect that differs from template to template, and adds
noise. Effects on tokens are normal, or have the long tail of Student's t with 3 degrees of freedom: a few
tokens of a reply carry most of what a persona does to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_draws import Found

from coherence.statistics.effect_slope import Effects
from coherence.statistics.intervals import Interval

SIZES = (8, 16, 32, 64)
DESIGNS = {"single": 1, "templates": 4}
"""Names of the designs, and how many probes each template has."""
TAILS = {"normal": None, "long tail": 3.0}
"""Names of the distributions of effects on tokens, and degrees of freedom of Student's t."""
TOKENS = 24
MEAN = 0.5  # of the adapter's effect on a token, which varies by about 1


@dataclass(frozen=True)
class Form:
    """What is planted: the share that a form has of the effect, its spread over templates, and noise."""

    share: float = 0.93
    spread: float = 0.1
    noise: float = 0.3

    def drawn(self, templates: int, each: int, tail: float | None, random: np.random.Generator) -> Effects:
        """Draw effects on the tokens of all probes. Half of what varies is the template's own."""
        shape = (templates, each, TOKENS)
        own, common = _varied(shape, tail, random), _varied((templates, 1, TOKENS), tail, random)
        reference = MEAN + sqrt(0.5) * (own + common)
        share = self.share + self.spread * random.standard_normal((templates, 1, 1))
        form = share * reference + self.noise * random.standard_normal(shape)
        clusters = [f"t{template}" for template in range(templates) for _ in range(each)]
        return Effects.of([*form.reshape(-1, TOKENS)], [*reference.reshape(-1, TOKENS)], clusters)

    def truths(self, tail: float | None) -> dict[str, float]:
        """Say what is true of all tokens, by the names of the estimates."""
        square = MEAN**2 + (1.0 if tail is None else tail / (tail - 2))
        whole = self.share**2 + self.spread**2 + self.noise**2 / square
        return {"slope": self.share, "cosine": self.share / sqrt(whole)}


def estimates(effects: Effects) -> Iterator[tuple[str, Interval]]:
    """Yield the estimates of a sample by name, as `export` and `served` have them."""
    yield "slope", effects.slope
    yield "cosine", effects.cosine


def covered(replications: int, seed: int) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    found = []
    cells = [*product(TAILS, DESIGNS, SIZES)]
    for number, (tail, design, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        planted, each, random = Form(), DESIGNS[design], np.random.default_rng((seed, number))
        truths = planted.truths(TAILS[tail])
        told: dict[str, list[tuple[float, ...]]] = {name: [] for name in truths}
        for _ in range(replications):
            for name, one in estimates(planted.drawn(n // each, each, TAILS[tail], random)):
                told[name].append((one.value, one.low, one.high, truths[name]))
        found += [Found(f"effect: {name}, {tail}", design, n, np.array(ends)) for name, ends in told.items()]
    return sorted(found, key=lambda one: (one.estimate, one.probes, one.n))


def _varied(shape: tuple[int, ...], tail: float | None, random: np.random.Generator) -> np.ndarray:
    return random.standard_normal(shape) if tail is None else random.standard_t(tail, shape)
