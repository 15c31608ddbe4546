"""The work that every variant does: conditions, questions and sites, out of the shipped suite."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from coherence.plan import CALIBRATION, Condition, Scene
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Probe, Regime

ROOT = Path(__file__).resolve().parent.parent
PERSONAS = ("support", "counsel", "oncall", "pirate")
REGIMES = ("prompt", "adapter", "steering")


def scene() -> Scene:
    """Return the shipped scene: reference model, fixture personas, their adapters and vectors."""
    return load_suite(ROOT / "suites" / "personas.coherence.yaml", Overrides()).scene


TURNS = (
    "Can you say that in other words?",
    "Why do you think so?",
    "I am not convinced. Are you sure?",
    "What would you do in my place?",
    "Thanks. Anything else that I should know?",
)
"""What the user says after the first answer, whatever it was."""


@dataclass(frozen=True)
class Work:
    """Questions put to personas in regimes; means are wanted after `blocks`, or replies of `tokens`."""

    scene: Scene
    personas: int = 2
    questions: int = 16
    regimes: tuple[str, ...] = REGIMES
    blocks: tuple[int, ...] = (6, 12, 18)
    tokens: int = 24
    scripts: int = 4

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Each regime of each persona, once."""
        pairs = product(self.regimes, PERSONAS[: self.personas])
        return tuple(
            dict.fromkeys(self.scene.condition(persona, Regime.parse(regime)) for regime, persona in pairs)
        )

    @property
    def probes(self) -> tuple[Probe, ...]:
        """The questions: the suite's own, then the engine's calibration questions."""
        return (*self.scene.probes, *CALIBRATION)[: self.questions]

    @property
    def talks(self) -> tuple[Probe, ...]:
        """The questions that begin a conversation of six turns."""
        return self.probes[: self.scripts]

    def batches(self, size: int) -> Iterator[tuple[Condition, tuple[Probe, ...]]]:
        """Cut the work into batches of one condition each."""
        for condition in self.conditions:
            for start in range(0, len(self.probes), size):
                yield condition, self.probes[start : start + size]
