"""A condition: everything that is done to the base model before a probe is put to it."""

from dataclasses import dataclass

from coherence.vocabulary import Prompt


@dataclass(frozen=True)
class Steer:
    """A vector of the release, added at its own site with a dose (rho, in units of the median |h| there).

    `drawn` is the seed of a random direction that takes its place, at the same site and of the same norm.
    """

    vector: str
    dose: float
    drawn: int | None = None


@dataclass(frozen=True)
class Condition:
    """Prompts, weighted adapters and dosed vectors, by their names in the release. Empty: bare."""

    neutral: str
    prompts: tuple[Prompt, ...] = ()
    adapters: tuple[tuple[str, float], ...] = ()
    steers: tuple[Steer, ...] = ()
