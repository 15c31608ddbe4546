"""The things an engine can measure. Each is a value: equal measurements are measured once."""

from dataclasses import dataclass, replace
from enum import StrEnum

from coherence.plan.condition import Condition
from coherence.vocabulary import Decoding, Position, Probe, Site


@dataclass(frozen=True)
class Reply:
    """What the model answers. Value: `Answer`.

    `turns` are what the user says after the answer to the probe, each of which the model answers too: the
    value is the answer to the last of them. Replies with the same beginning belong to one conversation.
    """

    condition: Condition
    probe: Probe
    decoding: Decoding
    turns: tuple[str, ...] = ()

    @property
    def conversation(self) -> tuple["Reply", ...]:
        """All answers up to this one, in their order."""
        return tuple(replace(self, turns=self.turns[:count]) for count in range(len(self.turns) + 1))


@dataclass(frozen=True)
class Reading:
    """Residuals at one position. Value: float32 array [blocks + 1, width], row `Site.depth`.

    `text` is the reply that is appended to the prompt (teacher-forced) for positions in the response.
    With `through`, nothing beyond that site is read, and the array ends there.
    """

    condition: Condition
    probe: Probe
    position: Position = Position.PROMPT_LAST
    text: Reply | None = None
    through: Site | None = None


@dataclass(frozen=True)
class NextToken:
    """Log-probabilities of the token after the prompt. Value: float32 array [vocabulary], nats."""

    condition: Condition
    probe: Probe


class LawName(StrEnum):
    """The exact laws of composition: what must hold whatever the persona, up to rounding."""

    VECTOR_ORDER = "vector-order"
    VECTOR_INVERSE = "vector-inverse"
    DOSE_ZERO = "dose-zero"
    SCALE_ZERO = "scale-zero"
    ADAPTER_DISABLED = "adapter-disabled"
    ADAPTER_ORDER = "adapter-order"
    BATCH_MATES = "batch-mates"


@dataclass(frozen=True)
class LawSearch:
    """A search for a counterexample to a law. Value: LawOutcome.

    `conditions` hold the artefacts that may take part; `tolerance` bounds the relative logit deviation.
    """

    law: LawName
    conditions: tuple[Condition, ...]
    probes: tuple[Probe, ...]
    tolerance: float
    examples: int
    seed: int


Measurement = Reply | Reading | NextToken | LawSearch
