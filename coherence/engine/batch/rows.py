"""Rows of a batch: one prompt each, under its own condition, in batches of those that go well together."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import NamedTuple, TypeVar

from torch import Tensor

from coherence.engine.batch.marks import Marks
from coherence.plan import Way
from coherence.vocabulary import Decoding, Part, Tokens

_Value = TypeVar("_Value")

Weights = tuple[tuple[str, float], ...]
"""Names of mounted adapters, and what each is multiplied by."""

Deltas = Mapping[int, Tensor]
"""What steering adds at each depth, [width] or what broadcasts to [lines, tokens, width]."""

# Tokens that the logits of one weigh as much as.
SCORED = 4


class Arrangement(IntEnum):
    """How rows lie in forward passes, from the fastest way to the plainest.

    Each asks less of a model than the one before: `PACKED` rows lie in one line, and see each other by
    attention alone; `PADDED` ones lie side by side, and go on from a KV cache; `REREAD` ones are read again
    with every token that they go on by; and so is a row that is run `ALONE`, as a plain call runs it.
    """

    PACKED = 0
    PADDED = 1
    REREAD = 2
    ALONE = 3

    @property
    def keeps(self) -> bool:
        """Whether what was run is kept in a cache."""
        return self <= Arrangement.PADDED


class Span(NamedTuple):
    """Tokens `first` to `end` (from 0, `end` not included), read at every depth up to `through`."""

    first: int
    end: int
    through: int


class Mean(NamedTuple):
    """The tokens of a part of an answer, read while it is said at every depth up to `through`."""

    through: int
    part: Part = Part.ANSWER


class AxisCap(NamedTuple):
    """How far residuals may go along a unit axis [width]."""

    axis: Tensor
    at: float


@dataclass(frozen=True, eq=False)
class RowCap:
    """Bounds by depth, for some tokens of a row."""

    bounds: Mapping[int, AxisCap]
    tokens: Tokens = Tokens.ALL


class Push(NamedTuple):
    """h <- h - share (h.r) r + delta, with a unit direction r [width] and a delta [width]."""

    axis: Tensor
    share: float
    delta: Tensor


@dataclass(frozen=True, eq=False)
class RowSteer:
    """What a vector does at each depth to some tokens of a row."""

    pushes: Mapping[int, Push]
    tokens: Tokens = Tokens.ALL

    @property
    def adds(self) -> bool:
        """Whether it only adds."""
        return not any(push.share for push in self.pushes.values())


@dataclass(frozen=True, eq=False)
class Under:
    """What is done to the model while tokens of a row run, on this row alone."""

    adapters: Weights = ()
    deltas: Deltas = field(default_factory=dict)
    steered: tuple[RowSteer, ...] = ()
    capped: RowCap | None = None


@dataclass(frozen=True, eq=False)
class Donor:
    """Keys and values for a cache: those that `row` has at `theirs`, put in the place of those at `ours`.

    Both are tokens, counted from 0 in their rows, and at the same positions; `layers` are blocks.
    """

    row: "Row"
    theirs: tuple[int, ...]
    ours: tuple[int, ...]
    layers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Exchange:
    """An answer, and the token ids that come `before` it: after the answer before, or none after the prompt.

    `reply` is its name, if it is wanted; `means` names the means over its tokens. Tokens that are `forced`
    are run, and not generated; an answer must be what was `expected`. From here on the row is `under`
    something else, and its cache holds what a donor gave.
    """

    reply: Hashable = None
    means: Mapping[Hashable, Mean] = field(default_factory=dict)
    before: tuple[int, ...] = ()
    forced: tuple[int, ...] | None = None
    expected: tuple[int, ...] | None = None
    under: Under | None = None
    donor: Donor | None = None


@dataclass(frozen=True, eq=False)
class Continuation:
    """A conversation that is wanted: a first answer, and more where the user goes on.

    `marks` set the reasoning of its answers apart, where they may have some.
    """

    decoding: Decoding
    turns: tuple[Exchange, ...]
    marks: Marks | None = None

    @property
    def outputs(self) -> list[Hashable]:
        """Names of all that is wanted."""
        replies = [turn.reply for turn in self.turns if turn.reply is not None]
        return [*replies, *(name for turn in self.turns for name in turn.means)]

    @property
    def tokens(self) -> int:
        """Tokens that it has at most."""
        answers = (
            self.decoding.max_new_tokens if turn.forced is None else len(turn.forced) for turn in self.turns
        )
        return sum(answers) + sum(len(turn.before) for turn in self.turns)

    @property
    def is_edited(self) -> bool:
        """Whether a donor puts something into its cache."""
        return any(turn.donor for turn in self.turns)

    @property
    def keeps_its_cache(self) -> bool:
        """Whether it would be another conversation if the cache were made anew on the way."""
        return any(turn.under or turn.donor for turn in self.turns)


class Score(NamedTuple):
    """What is made of the log-probabilities [last, vocabulary] after each of the last tokens of a row."""

    last: int
    value: Callable[[Tensor], Tensor]


NEXT = Score(1, lambda log_probs: log_probs[0])


class Patched(NamedTuple):
    """A token (from 0), and what is put in its place at some depths, [width] each."""

    token: int
    residuals: Mapping[int, Tensor]


@dataclass(frozen=True, eq=False)
class Row:
    """Token ids, what is done to the model while they run, and what is wanted: each by its name.

    `adapters` act on this row alone; `switched` ones, which cannot, in their `way` on the whole batch, whose
    rows all have them. Positions of tokens count from `offset`. Rows of a `group` are under one condition, so
    that a common beginning need be run only once; without a group a row shares nothing. Of packed rows
    `shared` tokens are run once for the whole group.

    `deltas` are added to all tokens, and `steered` is what else vectors do, in that order.
    `answers` are the tokens [first, end) of each answer of the assistant; one that is to begin has none yet.
    """

    ids: tuple[int, ...]
    adapters: Weights = ()
    deltas: Deltas = field(default_factory=dict)
    switched: Weights = ()
    group: Hashable = None
    label: str = ""
    spans: Mapping[Hashable, Span] = field(default_factory=dict)
    log_probs: Hashable = None
    score: Score = NEXT
    patch: Patched | None = None
    way: Way = Way.STACKED
    steered: tuple[RowSteer, ...] = ()
    capped: RowCap | None = None
    answers: tuple[tuple[int, int], ...] = ()
    offset: int = 0
    continuations: tuple[Continuation, ...] = ()
    arrangement: Arrangement = Arrangement.PADDED
    shared: int = 0

    @property
    def packed(self) -> bool:
        """Whether it is run without padding."""
        return self.arrangement is Arrangement.PACKED

    @property
    def wants_logits(self) -> bool:
        """Whether the row must be run through the whole model."""
        return self.log_probs is not None or bool(self.continuations)

    @property
    def takes_turns(self) -> bool:
        """Whether it goes on after a first answer."""
        return any(len(one.turns) > 1 for one in self.continuations)

    @property
    def outputs(self) -> list[Hashable]:
        """Names of all that is wanted."""
        continued = [name for one in self.continuations for name in one.outputs]
        scored = [] if self.log_probs is None else [self.log_probs]
        return [*self.spans, *scored, *continued]

    @property
    def first_read(self) -> int:
        """The first token whose own activations or logits are wanted, or where rows begin to differ.

        That is one that is patched, or steered because the assistant says it or is about to.
        """
        patched = [self.patch.token] if self.patch else []
        spoken = {steer.tokens for steer in self.steered} & {Tokens.REPLY, Tokens.ASSISTANT}
        steered = [first - (Tokens.REPLY in spoken) for first, _ in self.answers[:1] if spoken]
        wanted = (span.first for span in self.spans.values())
        return min([len(self.ids) - self.logits, *patched, *steered, *wanted])

    @property
    def tokens(self) -> int:
        """Tokens of its own that are kept for it in the end."""
        own = len(self.ids) - self.shared
        return sum(own + one.tokens for one in self.continuations) or own

    @property
    def longest(self) -> int:
        """Tokens that it has in the end."""
        return len(self.ids) + max((one.tokens for one in self.continuations), default=0)

    @property
    def logits(self) -> int:
        """How many of its last tokens' logits are wanted; the last one's are always there."""
        return 1 if self.log_probs is None else self.score.last

    def within(self, tokens: int) -> list["Row"]:
        """Split it where several continuations make more than so many tokens; one of them is never split."""
        own = len(self.ids) - self.shared
        parts: list[list[Continuation]] = [[]]
        for one in self.continuations:
            if parts[-1] and sum(own + each.tokens for each in (*parts[-1], one)) > tokens:
                parts.append([])
            parts[-1].append(one)
        if len(parts) == 1:
            return [self]
        first, *others = (replace(self, continuations=tuple(part)) for part in parts)
        return [first, *(replace(other, spans={}, log_probs=None) for other in others)]

    def through(self, depth: int) -> "Row":
        """Return the same row with nothing done to it beyond a depth."""
        patch = self.patch and Patched(self.patch.token, _through(self.patch.residuals, depth))
        capped = self.capped and replace(self.capped, bounds=_through(self.capped.bounds, depth))
        steered = tuple(replace(steer, pushes=_through(steer.pushes, depth)) for steer in self.steered)
        deltas = _through(self.deltas, depth)
        return replace(self, deltas=deltas, steered=steered, patch=patch, capped=capped)

    def followed(self, first: int, end: int) -> "Row":
        """Let the assistant say the tokens from `first` to `end` next: none, where it is about to begin."""
        if self._is_uniform:
            return self
        *earlier, last = self.answers or ((first, first),)
        joined = ((last[0], end),) if last[1] == first else (last, (first, end))
        return replace(self, answers=(*earlier, *joined))

    def taken_back(self, end: int) -> "Row":
        """Forget what the assistant said from the token `end` on."""
        kept = tuple((first, min(last, end)) for first, last in self.answers if first <= end)
        return replace(self, answers=kept)

    @property
    def _is_uniform(self) -> bool:
        """Whether it is all the same who says what."""
        some = [steer.tokens for steer in self.steered] + ([self.capped.tokens] if self.capped else [])
        return all(tokens is Tokens.ALL for tokens in some)


def _through(by_depth: Mapping[int, _Value], depth: int) -> dict[int, _Value]:
    return {at: values for at, values in by_depth.items() if at <= depth}


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows so that neighbours make good batches: alike in what must be run, in length, in condition."""
    listed = list(rows)
    longest: dict[Hashable, int] = {}
    for row in listed:
        longest[row.group] = max(longest.get(row.group, 0), len(row.ids))
    rank = {group: index for index, group in enumerate(longest)}
    return sorted(
        listed,
        key=lambda row: (*_kind(row), longest[row.group], rank[row.group], len(row.ids), row.tokens),
    )


def fit_together(batch: Sequence[Row], row: Row, tokens: int, at_most: int) -> bool:
    """Tell whether a row may join a batch, which is to stay within a budget of tokens."""
    if not batch:
        return True
    if _kind(row) != _kind(batch[0]) or len(batch) >= at_most or row.arrangement is Arrangement.ALONE:
        return False
    together = [*batch, row]
    lengths = [len(member.ids) for member in together]
    # Beyond this, what padding costs exceeds what a larger batch saves.
    even = row.packed or max(lengths) <= 2 * min(lengths)
    return even and size(together) <= tokens


def size(batch: Sequence[Row]) -> int:
    """Tokens that a batch holds in the end, padding among them, and what rows share once.

    Of rows that are only read half as many count: their keys and values are let go layer by layer. Logits of
    more than the last token count as well.
    """
    held = _tokens(batch)
    logits = SCORED * sum(row.logits - 1 for row in batch)
    return logits + (held if any(row.continuations for row in batch) else -(-held // 2))


def _tokens(batch: Sequence[Row]) -> int:
    if not batch[0].packed:
        return len(batch) * max(row.tokens for row in batch)
    beginnings = {row.group: row.shared for row in batch}
    return sum(row.tokens for row in batch) + sum(beginnings.values())


def _kind(row: Row) -> tuple[Weights, Way, Arrangement, bool, bool]:
    return row.switched, row.way, row.arrangement, row.wants_logits, row.takes_turns
