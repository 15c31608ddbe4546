"""Conversations on made-up residuals: a test says where on the axis each reading stands."""

from collections.abc import Callable, Iterable

import numpy as np
import worlds

from coherence.plan import Answer, Divergence, Measurement, Reading, Record, Reply
from coherence.properties import Case
from coherence.thresholds import Bench
from coherence.vocabulary import Regime

PROBES = worlds.probes(12)
TURNS, WIDTH, DEPTHS = 5, 8, 4
SITE = "resid_post.2"
NAMES = ("pirate", "counsel")


def scripts(count=6, turns=TURNS):
    return worlds.scripts(count, turns)


def scene(given=None, **personas):
    cast = worlds.personas(NAMES) | personas
    return worlds.scene(
        cast, NAMES, NAMES, PROBES, scripts() if given is None else given, ("prompt", "adapter")
    )


PIRATE, SHIP, STEERED = (
    scene().condition("pirate", Regime.parse(one)) for one in ("prompt", "adapter", "steering")
)
PLAIN = scene().condition("pirate", Regime.BARE)


def needs(of: Case | Bench) -> Iterable[Measurement]:
    """All that a case takes; a bench shows no figures."""
    return of.measurements() if isinstance(of, Case) else of.needs()


def world(
    case: Case | Bench,
    where: Callable[[Reading], float],
    says: Callable[[Reply], str] = lambda reply: "pirate",
    kl: float = 0.0,
    noise: float = 0.01,
    seed: int = 0,
) -> Record:
    """Put the ends of the axis at 0 and 1 and every answer of a conversation `where` it is said to be.

    `noise` is of each script and answer, whatever is done to it otherwise, and of the axis.
    """
    drawn = np.random.default_rng(seed)
    line, scatter = drawn.normal(size=WIDTH), {}
    ids = {script.id for script in scripts(99)}

    def value(need: Measurement) -> object:
        if isinstance(need, Reply):
            return Answer(says(need), (1, 2))
        if isinstance(need, Divergence):
            return np.full(need.tokens, kl * drawn.uniform(0.9, 1.1), np.float32)
        assert isinstance(need, Reading)
        conversation = need.probe.id in ids
        question = (need.probe, need.text and len(need.text.turns))
        own = scatter.setdefault(question, drawn.normal(size=WIDTH))
        at = where(need) if conversation else float(bool(need.condition.prompts))
        found = own * noise + at * line
        return np.tile(found, (DEPTHS, 1)).astype(np.float32)

    return Record({need: value(need) for need in needs(case)})
