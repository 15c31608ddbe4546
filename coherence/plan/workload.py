"""How much there is to run for measurements: tokens, each counted once where measurements share it."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import takewhile
from typing import NamedTuple, Self

from coherence.plan.measurement import (
    ClaimName,
    Condition,
    Divergence,
    LawName,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    Others,
    Outside,
    Reading,
    Reply,
    Turn,
    WeightError,
)
from coherence.vocabulary import Position, Probe

_PASSES = 2  # the sides of a claim
_LETTERS = 4  # of a token, where a text is not at hand in tokens
_AT_THE_END = {Position.PROMPT_LAST, Position.G1, Position.G2}  # with nothing of a prompt behind them
# How many rows an example of a law is, beside that of the base, which is run once for each probe.
_ROWS = {
    LawName.VECTOR_ORDER: 2,
    LawName.VECTOR_INVERSE: 1,
    LawName.DOSE_ZERO: 1,
    LawName.SCALE_ZERO: 1,
    LawName.ADAPTER_DISABLED: 1,
    LawName.ADAPTER_ORDER: 2,
    LawName.ADAPTER_MERGED: 2,
    LawName.ADAPTER_UNMERGED: 2,
    LawName.ADAPTER_SWAPPED: 3,
    LawName.ADAPTER_BY_ROW: 4,
    LawName.BATCH_MATES: 4,  # one to three mates
}
_BESIDE_BASE = {LawName.VECTOR_INVERSE, LawName.DOSE_ZERO, LawName.SCALE_ZERO, LawName.ADAPTER_DISABLED}


class TokenCount(NamedTuple):
    """Tokens that are run: read many at once, or generated one after the other.

    A token that is read through half of the blocks is half a token.
    """

    read: float = 0.0
    generated: float = 0.0

    @property
    def all(self) -> float:
        """All of them, of either kind."""
        return self.read + self.generated


@dataclass(frozen=True)
class Work:
    """How many measurements, and their arithmetic in floating-point operations, by how it is run.

    Prompts and texts are `read` many tokens at once, replies are `generated` one token after the other, and
    laws are `searched` by small passes. The same arithmetic takes another time in each.
    """

    measurements: int = 0
    read: float = 0.0
    generated: float = 0.0
    searched: float = 0.0

    def __add__(self, other: Self) -> Self:
        return type(self)(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*(one - two for one, two in zip(astuple(self), astuple(other), strict=True)))

    @property
    def flops(self) -> float:
        """All of the arithmetic."""
        return self.read + self.generated + self.searched

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        """Add up any number of them."""
        return sum(parts, start=cls())


Text = Callable[[Condition, Probe], Sequence[Hashable]]
"""The prompt of a probe under a condition: token ids, or anything else whose lengths compare."""


class Workload:
    """Counts the tokens that one measurement after the other adds to what is run for those before.

    A prompt is run once, and so is what a condition's prompts begin with. Replies are counted as long as they
    may become, also where they are read again. `blocks` is the depth of the base.
    """

    def __init__(self, text: Text, blocks: int) -> None:
        self._text, self._blocks = text, blocks
        self._first: dict[Condition, Sequence[Hashable]] = {}
        self._run: set[Hashable] = set()

    def added(self, measurement: Measurement) -> TokenCount:
        """Count what a measurement adds; nothing where all of it is run for an earlier one."""
        if measurement in self._run:
            return TokenCount()
        self._run.add(measurement)
        if isinstance(measurement, WeightError | Outside | Others):
            return TokenCount()
        if isinstance(measurement, LawSearch):
            return self._searched(measurement)
        if isinstance(measurement, Reply):
            return self._answered(measurement)
        if isinstance(measurement, Divergence):
            return TokenCount(self._changed(measurement) + self._scored(measurement.reference, measurement))
        if isinstance(measurement, Likelihood):
            return TokenCount(self._scored(measurement.condition, measurement))
        return TokenCount(self._read(measurement))

    def _answered(self, reply: Reply) -> TokenCount:
        """Count the prompt, and every answer of the conversation that is new, with the turn before it."""
        read, generated = self._prompt(reply.condition, reply.probe) + self._known(reply), 0.0
        for answer in reply.conversation:
            if self._new("generated", answer):
                generated += answer.decoding.max_new_tokens
                read += _said(answer.turns[-1:])
        return TokenCount(read, generated)

    def _known(self, reply: Reply) -> float:
        """Count what of a conversation is read again: up to the last change, or to what its user heard."""
        turns = reply.turns[: reply.begun]
        if not turns or not self._new("known", reply.condition, reply.probe, turns):
            return 0.0
        return _said(turns) + sum(one.decoding.max_new_tokens for one in reply.known)

    def _read(self, measurement: Reading | NextToken) -> float:
        text = measurement.text if isinstance(measurement, Reading) else None
        if text is None:
            return self._prompt(measurement.condition, measurement.probe, self._depth(measurement))
        if isinstance(measurement, Reading) and measurement.is_captured and not measurement.must_be_captured:
            return 0.0  # it is taken while the text is generated
        return self._depth(measurement) * self._followed(
            measurement.condition, measurement.probe, text, _answers(text)
        )

    def _depth(self, measurement: Reading | NextToken) -> float:
        through = measurement.through if isinstance(measurement, Reading) else None
        return min(1.0, through.depth / self._blocks) if through else 1.0

    def _changed(self, measurement: Divergence) -> float:
        """Count what is held against a reference: all of that begins alike, up to where it is changed."""
        patch, plain = measurement.condition.patch, measurement.condition.beginning
        begun = not self._new("changed", plain, measurement.probe, measurement.text, measurement.given)
        if begun and (patch is None or patch.position in _AT_THE_END):
            return measurement.tokens
        return len(self._text(plain, measurement.probe)) + measurement.given + measurement.tokens

    def _scored(self, condition: Condition, measurement: Likelihood | Divergence) -> float:
        generated = (
            measurement.given + measurement.tokens
            if isinstance(measurement, Divergence)
            else _answers(measurement.text)
        )
        return self._followed(condition, measurement.probe, measurement.text, generated)

    def _followed(self, condition: Condition, probe: Probe, text: Reply, generated: float) -> float:
        """Count a prompt that a text follows: a row of its own."""
        if not self._new(condition, probe, text):
            return 0.0
        return self._beside(condition, probe) + generated

    def _prompt(self, condition: Condition, probe: Probe, depth: float = 1.0) -> float:
        return depth * self._beside(condition, probe) if self._new(condition, probe) else 0.0

    def _beside(self, condition: Condition, probe: Probe) -> float:
        """Count what a prompt has beside the beginning that is there already."""
        plain = condition.beginning
        text = self._text(plain, probe)
        first = self._first.setdefault(plain, text)
        if first is text:
            return len(text)
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, text, strict=False))
        return len(text) - sum(1 for _ in alike)

    def _searched(self, search: LawSearch) -> TokenCount:
        """Every condition and probe may be drawn: as many rows as that comes to, of middling length."""
        lengths = sorted(
            len(self._text(condition, probe)) for condition in search.conditions for probe in search.asked
        )
        length = lengths[len(lengths) // 2]
        depth = min(1.0, search.read[0].depth / self._blocks) if search.read else 1.0
        return TokenCount(float(depth * _rows(search) * min(length, search.reads or length)))

    def _new(self, *named: Hashable) -> bool:
        if named in self._run:
            return False
        self._run.add(named)
        return True


def _answers(text: Reply) -> float:
    said = len(text.given or "") / _LETTERS
    return len(text.conversation) * text.decoding.max_new_tokens + said


def _said(turns: Sequence[Turn]) -> float:
    """Count the tokens of what users say, as many as one may that answers."""
    return sum(turn.user.max_new_tokens if turn.user else len(turn.text) / _LETTERS for turn in turns)


def _rows(search: LawSearch) -> int:
    """Count the rows of all examples that are drawn, and of those in which everything has its turn.

    What a claim rests on is counted by itself: the turn of every probe, or all probes under the poles.
    """
    if search.law is ClaimName.NEXT_TOKEN:
        return search.examples * _PASSES
    if search.law is ClaimName.SAME_POSITION:
        # All probes half and half in each regime, and at the weights that are drawn.
        regimes = len(search.conditions) // 2 - 1
        return (regimes + search.examples * _PASSES) * len(search.probes)
    of_base = len(search.asked) if search.law in _BESIDE_BASE else 0
    return (search.examples + len(search.conditions)) * _ROWS[search.law] + of_base
