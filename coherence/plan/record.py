"""What an engine hands to the properties."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from coherence.errors import CoherenceError
from coherence.plan.measurement import (
    AdapterNumbers,
    Divergence,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    PromptIds,
    Rating,
    Reading,
    Refusal,
    Reply,
    Served,
    UserTurn,
    WeightError,
)
from coherence.plan.opinion import Opinion
from coherence.vocabulary import Part

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Reasoning:
    """What a reply says before its answer: its text, and how many tokens it has, with those that mark it.

    Where it was not `closed`, the reply ended with it and has no answer.
    """

    text: str
    tokens: int
    closed: bool = True


@dataclass(frozen=True)
class Answer:
    """A reply: what people read, and the tokens that were said (token ids, the one that ends it left out).

    The tokens are those of its reasoning and of its answer, `text` is that of the answer alone. One that
    `ran_on` was cut where the model began a turn of the user.
    """

    text: str
    ids: tuple[int, ...]
    ran_on: bool = False
    reasoning: Reasoning | None = None

    def said(self, part: Part) -> str:
        """Return the text of a part of it."""
        reasoned = self.reasoning.text if self.reasoning else ""
        texts = {Part.ANSWER: [self.text], Part.REASONING: [reasoned], Part.BOTH: [reasoned, self.text]}
        return "\n".join(filter(None, texts[part]))


@dataclass(frozen=True)
class Seen:
    """One example of a law or claim, and how far its two sides are apart."""

    example: dict[str, Any]
    deviation: float


@dataclass(frozen=True)
class LawOutcome:
    """Of `examples`: that with the largest deviation, and the smallest that breaks the law, if one does.

    The two are rarely the same: a counterexample is made small, and its deviation with it.
    """

    largest: Seen
    examples: int
    counterexample: Seen | None


Value = Answer | Array | LawOutcome | Opinion
Outcome = Value | CoherenceError
_Kind = TypeVar("_Kind", Answer, Array, LawOutcome, Opinion)


class AbsentError(KeyError):
    """Nobody has asked for a measurement so far: there is neither a value nor a reason why there is none."""


class Record:
    """Measured values by measurement; one that could not be measured raises its error when asked for.

    One that is not there at all raises an AbsentError.
    """

    def __init__(self, values: Mapping[Measurement, Outcome]) -> None:
        self._values = values

    def residuals(self, reading: Reading) -> Array:
        """Float32 array [depths, width], row `Site.depth`: all of them, or those up to `reading.through`."""
        return self._get(reading, np.ndarray)

    def reply(self, reply: Reply, part: Part = Part.ANSWER) -> str:
        """Return the text that the model answered, or another part of what it said; it may be empty."""
        return self._get(reply, Answer).said(part)

    def reasoning(self, reply: Reply) -> Reasoning | None:
        """Return what a reply says before its answer, if it does; None where there is no reply."""
        value = self._outcome(reply)
        return value.reasoning if isinstance(value, Answer) else None

    def ran_on(self, reply: Reply) -> bool:
        """Whether a reply was cut where the model began a turn of the user; not where there is none."""
        value = self._outcome(reply)
        return isinstance(value, Answer) and value.ran_on

    def log_probs(self, next_token: NextToken) -> Array:
        """Log-probabilities of the next token in nats, float32 [vocabulary]."""
        return self._get(next_token, np.ndarray)

    def likelihood(self, likelihood: Likelihood) -> Array:
        """Log-probability of each token of a reply in nats, float32 [tokens]."""
        return self._get(likelihood, np.ndarray)

    def divergence(self, divergence: Divergence) -> Array:
        """Float32 array [tokens], nats; fewer than asked for when the reply is shorter."""
        return self._get(divergence, np.ndarray)

    def prompt(self, prompt: PromptIds | Served) -> Answer | int:
        """How a prompt is written, by the base's template or by the server; or how many tokens it has."""
        value = self._outcome(prompt)
        return int(value[0]) if isinstance(value, np.ndarray) else self._get(prompt, Answer)

    def served_reply(self, served: Served) -> Answer:
        """Return what the server answered; no ids where it tells none."""
        return self._get(served, Answer)

    def served_likelihood(self, served: Served) -> Array:
        """Log-probability of each token of a reply at the server in nats, float32 [tokens]."""
        return self._get(served, np.ndarray)

    def adapter_numbers(self, numbers: AdapterNumbers) -> Array:
        """Rank, alpha and scale of an adapter, float32 [3]."""
        return self._get(numbers, np.ndarray)

    def refuses(self, refusal: Refusal) -> bool:
        """Whether the server refuses a name that it does not list."""
        return bool(self._get(refusal, np.ndarray)[0])

    def weight_error(self, error: WeightError) -> Array:
        """How far each module's change is from the sum of the adapters' own, relative: float32 [modules]."""
        return self._get(error, np.ndarray)

    def law(self, search: LawSearch) -> LawOutcome:
        """Return the outcome of a search for a counterexample."""
        return self._get(search, LawOutcome)

    def opinion(self, rating: Rating) -> Opinion:
        """Return what a judge made of a reply."""
        return self._get(rating, Opinion)

    def user_turn(self, user_turn: UserTurn) -> str:
        """Return what a user that answers said."""
        return self._get(user_turn, Answer).text

    def problem(self, measurement: Measurement) -> CoherenceError | None:
        """Return why there is no value, or None where there is one."""
        value = self._outcome(measurement)
        return value if isinstance(value, CoherenceError) else None

    def has(self, measurement: Measurement) -> bool:
        """Tell whether there is a value: it was asked for, and could be measured."""
        value = self._values.get(measurement)
        return value is not None and not isinstance(value, CoherenceError)

    def _get(self, measurement: Measurement, kind: type[_Kind]) -> _Kind:
        value = self._outcome(measurement)
        if isinstance(value, CoherenceError):
            raise value
        assert isinstance(value, kind)
        return value

    def _outcome(self, measurement: Measurement) -> Outcome:
        try:
            return self._values[measurement]
        except KeyError:
            raise AbsentError(measurement) from None
