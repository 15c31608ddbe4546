"""Conditions, and what an engine can measure under them. Each is a value: equal ones are measured once.

Both stand here, as each is made of the other: a patch is in a condition, and made of readings.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from coherence.vocabulary import (
    Decoding,
    Judge,
    Part,
    Position,
    Probe,
    Prompt,
    Site,
    Thinking,
    Tokens,
    User,
)


class Elsewhere(StrEnum):
    """Where a vector acts that is not put where it belongs: by a block, or at all of them."""

    EARLIER = "a block earlier"
    LATER = "a block later"
    EVERY = "at every block"


@dataclass(frozen=True)
class Steer:
    """A vector of the release, added at its own site with a dose (rho, in units of the median |h| there).

    `drawn` is the seed of a random direction that takes its place, at the same site and of the same norm.
    With `among`, names of vectors at the same site, its own among them, its part of their symmetric (Löwdin)
    orthonormalisation takes its place. With `at` its one direction acts there, as long as a dose is at that
    site; with `tokens` on these, whatever the release says. With `elsewhere` what it adds at its own sites is
    added there, as long as it is.
    """

    vector: str
    dose: float
    drawn: int | None = None
    among: tuple[str, ...] = ()
    at: Site | None = None
    tokens: Tokens | None = None
    elsewhere: Elsewhere | None = None


class Way(StrEnum):
    """How several adapters are put into the model at once. All but `stacked` make something new of them."""

    STACKED = "stacked"
    CAT = "cat"
    LINEAR = "linear"
    SVD = "svd"
    TIES = "ties"
    TIES_SVD = "ties-svd"
    DARE_LINEAR = "dare-linear"
    DARE_LINEAR_SVD = "dare-linear-svd"
    DARE_TIES = "dare-ties"
    DARE_TIES_SVD = "dare-ties-svd"
    MAGNITUDE_PRUNE = "magnitude-prune"
    MAGNITUDE_PRUNE_SVD = "magnitude-prune-svd"
    MERGED = "merged"
    MERGED_BFLOAT16 = "merged-bfloat16"
    UNMERGED = "unmerged"


@dataclass(frozen=True)
class Patch:
    """A weighted sum of residuals put in the place of those of one token, while the prompt is read.

    At each of the sites the sum is that of the readings there. Source: arXiv 2605.23147.
    """

    sum: tuple[tuple[float, "Reading"], ...]
    sites: tuple[Site, ...]
    position: Position = Position.PROMPT_LAST


@dataclass(frozen=True)
class Cap:
    """A bound on how far residuals may go along an axis: what lies beyond it is taken away.

    At each of the sites the axis leads from the mean of the `low` readings to that of the `high` ones, and
    the bound lies `at` of the way: h <- h - max(0, h.v - t) v, with v the unit axis (activation capping,
    arXiv 2601.10387).
    """

    low: tuple["Reading", ...]
    high: tuple["Reading", ...]
    sites: tuple[Site, ...]
    at: float
    tokens: Tokens = Tokens.ALL


@dataclass(frozen=True)
class Condition:
    """Prompts, weighted adapters and dosed vectors, by their names in the release. Empty: bare.

    `neutral` is the system turn where no prompt is one; with None there is none. `thinking` is what the chat
    template is told of reasoning.
    """

    neutral: str | None
    prompts: tuple[Prompt, ...] = ()
    adapters: tuple[tuple[str, float], ...] = ()
    steers: tuple[Steer, ...] = ()
    way: Way = Way.STACKED
    patch: Patch | None = None
    cap: Cap | None = None
    thinking: Thinking = "auto"

    @property
    def beginning(self) -> Self:
        """What a prompt begins under: without what acts on its end alone, so that such prompts share it."""
        steers = tuple(steer for steer in self.steers if steer.tokens not in (Tokens.REPLY, Tokens.ASSISTANT))
        return replace(self, patch=None, steers=steers)


class Cache(StrEnum):
    """What becomes of the keys and values of a conversation so far: kept, or made anew from its text."""

    KEPT = "kept"
    REBUILT = "rebuilt"


@dataclass(frozen=True)
class CacheEdit:
    """Keys and values put in the place of those that a cache holds for the assistant's tokens.

    They are those that `donor` has at the blocks of the sites when it reads the same transcript.
    """

    donor: Condition
    sites: tuple[Site, ...]


@dataclass(frozen=True)
class Turn:
    """What the user says next.

    `after` is what the assistant is taken to have said before it, in the place of an answer of its own. With
    a `condition` the model is under that from here on; a cache that is kept holds the prompt as it was. The
    cache may be rebuilt without a change of condition, and edited. What a `user` answers has no text before
    that is known.
    """

    text: str
    after: str | None = None
    condition: Condition | None = None
    cache: Cache = Cache.KEPT
    edit: CacheEdit | None = None
    user: User | None = None

    @property
    def changes(self) -> bool:
        """Whether something is done to the model or its cache before it."""
        return bool(self.condition or self.edit) or self.cache is Cache.REBUILT


@dataclass(frozen=True)
class Reply:
    """What the model answers. Value: `Answer`.

    `turns` are what the user says after the answer to the probe, each of which the model answers too: the
    value is the answer to the last of them. Replies with the same beginning belong to one conversation.

    `given` is what was said elsewhere in the place of the last answer. It is read, as far as a reply may be
    long, and never measured itself.
    """

    condition: Condition
    probe: Probe
    decoding: Decoding
    turns: tuple[Turn, ...] = ()
    given: str | None = None

    @property
    def conversation(self) -> tuple["Reply", ...]:
        """All answers of the model's own up to this one, in their order."""
        own = [count for count, turn in enumerate(self.turns) if turn.after is None]
        if self.given is None:
            own.append(len(self.turns))
        return tuple(map(self.through, own))

    def through(self, turns: int) -> "Reply":
        """Return the answer after so many of the turns."""
        given = self.given if turns == len(self.turns) else None
        return replace(self, turns=self.turns[:turns], given=given)

    @property
    def begun(self) -> int:
        """How many of the turns lie behind the last change, and the answers before them: they are known.

        Where a user hears the conversation, that has been said which their last turn follows.
        """
        turns = [*enumerate(self.turns, 1)]
        heard = any(turn.user for _, turn in turns) and self.condition == heard_by_users(self.condition)
        return max((count for count, turn in turns if turn.changes or (heard and turn.user)), default=0)

    @property
    def is_changed(self) -> bool:
        """Whether something is done to the model or its cache on the way."""
        return any(turn.changes for turn in self.turns)

    @property
    def user_turns(self) -> tuple["UserTurn", ...]:
        """What users answer in it."""
        return tuple(
            UserTurn(turn.user, self._heard(count)) for count, turn in enumerate(self.turns) if turn.user
        )

    def _heard(self, turns: int) -> "Reply":
        """Return what the bare model says where so many turns have been said."""
        said = tuple(Turn(turn.text, turn.after, user=turn.user) for turn in self.turns[:turns])
        return replace(self, condition=heard_by_users(self.condition), turns=said, given=None)

    @property
    def known(self) -> tuple["Reply", ...]:
        """The answers that must have been said before: those before the last change."""
        return tuple(reply for reply in self.conversation if len(reply.turns) < self.begun)


@dataclass(frozen=True)
class UserTurn:
    """What a user says next, who is told what the bare model has said. Value: `Answer`, its text alone."""

    user: User
    after: Reply

    @property
    def condition(self) -> Condition:
        """What the user hears."""
        return self.after.condition

    @property
    def probe(self) -> Probe:
        """What the conversation began with."""
        return self.after.probe


@dataclass(frozen=True)
class Reading:
    """Residuals at one position. Value: float32 array [blocks + 1, width], row `Site.depth`.

    `text` is the reply that is appended to the prompt (teacher-forced) for positions in the response, which
    are those of a `part` of it. Of a conversation, the position is that in its last turn. With `through`,
    nothing beyond that site is read, and the array ends there.

    A reply's own condition has the same residuals while the reply is said (`cache` kept) and when the whole
    text is read at once (rebuilt), up to rounding: unless it is said which, either is given. Where the
    conversation changes on its way, they are those while it is said.
    """

    condition: Condition
    probe: Probe
    position: Position = Position.PROMPT_LAST
    text: Reply | None = None
    through: Site | None = None
    cache: Cache | None = None
    part: Part = Part.ANSWER

    @property
    def is_captured(self) -> bool:
        """Whether it can be captured while its text is decoded."""
        return (
            self.position is Position.RESPONSE_MEAN
            and self.text is not None
            and (self.text.condition, self.text.probe) == (self.condition, self.probe)
            and self.text.given is None
            and self.cache is not Cache.REBUILT
        )

    @property
    def must_be_captured(self) -> bool:
        """Whether it must be: reading the text at once would give something else, or not what is asked."""
        return (
            self.is_captured and self.text is not None and (self.cache is Cache.KEPT or self.text.is_changed)
        )


@dataclass(frozen=True)
class NextToken:
    """Log-probabilities of the token after the prompt. Value: float32 array [vocabulary], nats."""

    condition: Condition
    probe: Probe


@dataclass(frozen=True)
class Likelihood:
    """Log-probability of each token of a part of a reply, under any condition. Value: float32 [tokens], nats.

    All of the reply before it is read. The token that ends the reply is left out. An empty part has none.
    """

    condition: Condition
    probe: Probe
    text: Reply
    part: Part = Part.ANSWER


@dataclass(frozen=True)
class Divergence:
    """KL(reference || condition) of the next token, at tokens of an answer. Value: float32 [tokens], nats.

    Both read the probe and the reply, token by token. The first value is that of the token after the
    prompt, the reasoning and `given` tokens of the answer; there are `tokens` of them, or as many as the
    answer has from there on, with the one that ends it.
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


@dataclass(frozen=True)
class PromptIds:
    """How a prompt is written. Value: an `Answer` of its token ids and the text that they spell.

    Of a server that tells no ids, float32 [1] where it tells how many they are.
    """

    condition: Condition
    probe: Probe


@dataclass(frozen=True)
class AdapterNumbers:
    """What an adapter's config says of its scale. Value: float32 [3], its rank, alpha and scale.

    The scale is alpha / r, and of an rsLoRA adapter alpha / sqrt(r).
    """

    condition: Condition


@dataclass(frozen=True)
class Refusal:
    """Whether the release's server refuses to answer under a name that it does not list. Value: float32 [1].

    1 where it refuses, 0 where it answers.
    """

    condition: Condition


class Stated(StrEnum):
    """What a server is told of how it decodes; what it is not told is its own default."""

    ALL = "all"
    TEMPERATURE = "temperature"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Served:
    """What the release's server gives in the place of a measurement. Value: that of `of`.

    It is asked under the name of the condition's adapter, or of the base. `turn` tells requests apart that
    are the same; one that is `alone` is sent when all others have been answered, and nothing beside it. A
    reply is decoded as `of` says, as far as the server is `told` of that.
    """

    of: PromptIds | Reply | Likelihood
    turn: int = 0
    told: Stated = Stated.ALL
    alone: bool = False

    @property
    def condition(self) -> Condition:
        """What it is asked under."""
        return self.of.condition

    @property
    def probe(self) -> Probe:
        """What is asked."""
        return self.of.probe


@dataclass(frozen=True)
class Rating:
    """What a judge makes of a reply to a probe, held against a rubric. Value: `Opinion`.

    The reply is the model's own, or a text that is there. With `turned` the options are told in the other
    order. `turn` tells requests apart that are the same. The judge is told the probe, the text and the
    rubric, and nothing of where the text comes from.
    """

    judge: Judge
    rubric: str
    probe: Probe
    text: Reply | str
    turned: bool = False
    turn: int = 0

    @property
    def condition(self) -> Condition:
        """What the reply is said under; nothing where it is there."""
        return self.text.condition if isinstance(self.text, Reply) else Condition(None)


_ASKED = 4  # probes on which a law is tried
LAW_TOKENS = 12  # at the end of each, as a law holds for every sequence of tokens


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
    SAME_POSITION = "same-position"


@dataclass(frozen=True)
class LawSearch:
    """A search for a counterexample to a law or claim. Value: LawOutcome.

    `conditions` hold the artefacts that may take part; `tolerance` bounds the relative logit deviation.
    The claim of the next token has two conditions, and `tolerance` bounds KL(first || second), in nats. That
    of the same position has the prompted poles, then both poles in each regime, the positive one first;
    `read` says where, and `tolerance` bounds how far two positions are apart.
    """

    law: LawName | ClaimName
    conditions: tuple[Condition, ...]
    probes: tuple[Probe, ...]
    tolerance: float
    examples: int
    seed: int
    read: tuple[Site, Position] | None = None

    @property
    def asked(self) -> tuple[Probe, ...]:
        """The probes that are drawn: of a law the shortest, as it holds for every prompt; of a claim all.

        Batch mates of one length would need no padding, so one of theirs is the longest.
        """
        if isinstance(self.law, ClaimName):
            return self.probes
        by_length = sorted(range(len(self.probes)), key=lambda place: len(self.probes[place].text))
        chosen = by_length[:_ASKED]
        if self.law is LawName.BATCH_MATES:
            chosen[-1] = by_length[-1]
        return tuple(self.probes[place] for place in sorted(chosen))

    @property
    def reads(self) -> int | None:
        """How many tokens are read of the end of a prompt, or None where it is read whole.

        Batch mates are, as what is cut to one length needs no padding.
        """
        return None if isinstance(self.law, ClaimName) or self.law is LawName.BATCH_MATES else LAW_TOKENS

    @property
    def rests_on(self) -> tuple["NextToken | Reading", ...]:
        """What every search of a claim takes, whatever is drawn; of a law there is nothing."""
        measured = itertools.product(self.conditions, self.probes)
        if self.law is ClaimName.NEXT_TOKEN:
            return tuple(NextToken(condition, probe) for condition, probe in measured)
        if self.read is None:
            return ()
        site, position = self.read
        return tuple(Reading(condition, probe, position, through=site) for condition, probe in measured)


# Measured by themselves, and not from rows of prompts.
Alone = WeightError | LawSearch
# Of the server and of what it is held against: no model runs here.
Outside = PromptIds | AdapterNumbers | Refusal | Served
# Of other models than the release's.
Others = Rating | UserTurn
Measurement = Reply | Reading | NextToken | Likelihood | Divergence | Alone | Outside | Others


def heard_by_users(condition: Condition) -> Condition:
    """Return the bare model as users hear it, whatever is done to the model that they are put to."""
    return Condition(condition.neutral, thinking=condition.thinking)


def rests_on(measurement: Measurement) -> Iterator[Measurement]:
    """Yield what must be measured before, nearest first."""
    if isinstance(measurement, LawSearch):
        yield from measurement.rests_on
    if isinstance(measurement, Alone):
        return
    if isinstance(measurement, Served):
        # A reply of the server's rests on none of ours.
        yield from () if isinstance(measurement.of, Reply) else rests_on(measurement.of)
        return
    said = said_in(measurement)
    if said is not None:
        yield from reversed(measurement.known if isinstance(measurement, Reply) else said.conversation)
        yield from reversed(said.user_turns)
    for condition in conditions_of(measurement):
        yield from _read_for(condition)


def is_heard(measurement: Measurement) -> bool:
    """Tell whether it is about a text that was said elsewhere, which is nobody's to keep."""
    return isinstance(measurement, Reading | Likelihood) and bool(
        measurement.text and measurement.text.given is not None
    )


def said_in(measurement: Measurement) -> Reply | None:
    """Return the reply whose conversation a measurement is about, or that it is."""
    if isinstance(measurement, Reply):
        return measurement
    if isinstance(measurement, UserTurn):
        return measurement.after
    text = getattr(measurement, "text", None)
    return text if isinstance(text, Reply) else None


def _read_for(condition: Condition) -> Iterator[Reading]:
    if condition.patch:
        yield from (reading for _, reading in condition.patch.sum)
    if condition.cap:
        yield from (*condition.cap.low, *condition.cap.high)


def conditions_of(measurement: Measurement) -> Iterator[Condition]:
    """Yield every condition that the model is under while it is measured."""
    if isinstance(measurement, LawSearch):
        yield from measurement.conditions
        return
    yield measurement.condition
    if isinstance(measurement, Divergence):
        yield measurement.reference
    captured = isinstance(measurement, Reading) and measurement.is_captured
    reply = measurement.text if isinstance(measurement, Reading) and captured else measurement
    for turn in reply.turns if isinstance(reply, Reply) else ():
        if turn.condition:
            yield turn.condition
        if turn.edit:
            yield turn.edit.donor
