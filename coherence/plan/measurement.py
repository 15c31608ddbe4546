"""The things an engine can measure. Each is a value: equal measurements are measured once."""

from collections.abc import Iterator
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


@dataclass(frozen=True)
class Likelihood:
    """Log-probability of each token of a reply, under any condition. Value: float32 [tokens], nats.

    The token that ends the reply is left out. An empty reply has none.
    """

    condition: Condition
    probe: Probe
    text: Reply


@dataclass(frozen=True)
class Divergence:
    """KL(reference || condition) of the next token, at the tokens of a reply. Value: float32 [tokens], nats.

    Both read the probe and the reply, token by token. The first value is that of the token after the
    prompt and `given` tokens of the reply; there are `tokens` of them, or as many as the reply has from there
    on, with the one that ends it.
    """

    condition: Condition
    probe: Probe
    reference: Condition
    text: Reply
    tokens: int = 10
    given: int = 0


@dataclass(frozen=True)
class WeightError:
    """How far the change of weights that a condition's adapters make is from the sum of their own changes.

    Value: float32 [modules], |change - sum| / |sum|, Frobenius norms.
    """

    condition: Condition


class LawName(StrEnum):
    """The exact laws of composition: what must hold whatever the persona, up to rounding."""

    VECTOR_ORDER = "vector-order"
    VECTOR_INVERSE = "vector-inverse"
    DOSE_ZERO = "dose-zero"
    SCALE_ZERO = "scale-zero"
    ADAPTER_DISABLED = "adapter-disabled"
    ADAPTER_ORDER = "adapter-order"
    ADAPTER_MERGED = "adapter-merged"
    ADAPTER_UNMERGED = "adapter-unmerged"
    ADAPTER_SWAPPED = "adapter-swapped"
    ADAPTER_BY_ROW = "adapter-by-row"
    BATCH_MATES = "batch-mates"


class ClaimName(StrEnum):
    """Claims about every probe, which a search holds against examples as it does laws."""

    NEXT_TOKEN = "next-token"


@dataclass(frozen=True)
class LawSearch:
    """A search for a counterexample to a law or claim. Value: LawOutcome.

    `conditions` hold the artefacts that may take part; `tolerance` bounds the relative logit deviation.
    A claim has two conditions, and `tolerance` bounds KL(first || second) of the next token, in nats.
    """

    law: LawName | ClaimName
    conditions: tuple[Condition, ...]
    probes: tuple[Probe, ...]
    tolerance: float
    examples: int
    seed: int


# Measured by themselves, and not from rows of prompts.
Alone = WeightError | LawSearch
Measurement = Reply | Reading | NextToken | Likelihood | Divergence | Alone


def rests_on(measurement: Measurement) -> Iterator[Measurement]:
    """Yield what must be measured before, nearest first."""
    if isinstance(measurement, Alone):
        return
    if isinstance(measurement, Reading | Likelihood | Divergence) and measurement.text:
        yield measurement.text
    conditions = [measurement.condition]
    if isinstance(measurement, Divergence):
        conditions.append(measurement.reference)
    for condition in conditions:
        if condition.patch:
            yield from (reading for _, reading in condition.patch.sum)
