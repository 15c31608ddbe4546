"""Replies: all conversations of a batch go on from one prefill, and none depends on its mates."""

from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from coherence.engine.batch.budget import Outcomes
from coherence.engine.batch.layout import Layout
from coherence.engine.batch.packed import Packed
from coherence.engine.batch.rows import Arrangement, Continuation, Donor, Exchange, Mean, Row
from coherence.engine.interventions.taps import Taps, sum_over
from coherence.engine.model.choice import TokenChoice
from coherence.engine.model.end_tokens import end_tokens
from coherence.engine.model.host import Host
from coherence.engine.model.means import mean_of
from coherence.engine.model.reasoning import Split, missing
from coherence.engine.model.turn_beginning import TurnBeginning
from coherence.errors import MeasurementError
from coherence.plan import Answer, Reasoning
from coherence.vocabulary import Part


def answer(host: Host, batch: Sequence[Row], layout: Layout, logits: Tensor, sinks: Tensor) -> Outcomes:
    """Yield the replies that rows want, and the mean residuals of their tokens, by name.

    `layout` is that of a pass that gave `logits` [rows, vocabulary] for the first tokens.
    """
    stops, turn = stop_tokens(host), TurnBeginning(host.tokenizer, host.ends.turn, host.ends.header)
    places = {
        _Draft(host, row, continuation, stops, turn): place
        for place, row in enumerate(batch)
        for continuation in row.continuations
    }
    for together in _together(places):
        _decode(host, together, layout, logits[list(together.values())], sinks)
    for draft in places:
        yield from draft.results(host)


def _together(places: dict["_Draft", int]) -> list[dict["_Draft", int]]:
    """Split drafts into those that are run at once: all, or each alone."""
    if any(draft.row.arrangement is Arrangement.ALONE for draft in places):
        return [{draft: place} for draft, place in places.items()]
    return [places] if places else []


def too_long(tokens: int, window: float, label: str) -> MeasurementError:
    """Return the error of a context of so many tokens."""
    return MeasurementError(
        f"{tokens} tokens are more than the model's window of {window:g}: {label}; "
        "expected a shorter prompt, fewer turns, or a smaller max_new_tokens"
    )


def stop_tokens(host: Host) -> set[int]:
    """Ids that end a reply: those that `named_ends` has, and that of the chat template."""
    end = host.ends.answer
    return named_ends(host) | ({end} if end is not None else set())


def named_ends(host: Host) -> set[int]:
    """Ids that the generation config and the tokenizer name as the ends of a reply.

    An ArtefactError where the former has others than ids.
    """
    configured = end_tokens(host.model.generation_config.eos_token_id, "the generation config")
    own = host.tokenizer.eos_token_id
    return {*configured, *([] if own is None else [int(own)])}


def _decode(host: Host, places: dict["_Draft", int], layout: Layout, logits: Tensor, sinks: Tensor) -> None:
    """Go on with drafts, each at its place in a layout, until all have ended; `logits` of each."""
    going = ran = list(places)
    while True:
        for draft, of_row in zip(ran, logits.float().cpu(), strict=True):
            draft.extend(of_row)
            _take_back(draft, layout, places[draft])
        # A draft whose turn has ended waits for the others, so that they begin the next one together: what is
        # said between answers is many tokens at once, for which every row would get columns in the KV cache.
        turned = not any(draft.next for draft in going)
        for draft in going if turned else ():
            draft.turn()
        going = [draft for draft in going if not draft.ended]
        if not going:
            return
        arrangement = going[0].row.arrangement
        packed = arrangement is Arrangement.PACKED
        # A packed draft waits in the layout, without a token and with its KV cache. A padded one would need a
        # token in every pass, so it is left out, and read anew when the next turn begins.
        held = [draft for draft in going if draft.next or packed]
        rows = [draft.row for draft in held]
        if not packed and (turned or not arrangement.keeps):
            # What is said in between would be padded in the middle: a sliding window would slide over that.
            # And drafts that were left out have no cache any more.
            rows = [draft.whole() for draft in held]
            layout = host.laid_out(rows)
        else:
            layout = layout.followed([draft.next for draft in held], [places[draft] for draft in held])
        places = {draft: place for place, draft in enumerate(held)}
        # Before the step, which is the first to see the cache as it is from here on.
        for draft, place in places.items() if turned else ():
            if draft.donor:
                _give(host, draft.donor, layout, place)
        # Logits are those of the rows that have a token in this pass: those that wait have none.
        ran = [draft for draft in held if draft.next]
        logits = _step(host, held, rows, layout, sinks)


def _take_back(draft: "_Draft", layout: Layout, place: int) -> None:
    """Make the cache of a row forget the beginning of a turn of the user; without one it is read anew."""
    if draft.excess and isinstance(layout, Packed):
        layout.forget(place, draft.excess)


def _give(host: Host, donor: Donor, layout: Layout, place: int) -> None:
    """Put a donor's keys and values into the cache of a row, before it goes on."""
    own = host.laid_out([donor.row])
    with host.put([donor.row], own):
        host.core(**own.inputs())
    assert isinstance(own, Packed)
    assert isinstance(layout, Packed)
    layout.give(place, donor.ours, own.states(0, donor.theirs, donor.layers))


def _step(host: Host, held: Sequence["_Draft"], rows: Sequence[Row], layout: Layout, sinks: Tensor) -> Tensor:
    spans = {
        draft: range(end - len(draft.next), end)
        for draft, end in zip(held, layout.bounds[1:], strict=True)
        if draft.is_captured
    }
    taps = Taps(host.blocks, sum_over(list(spans.values()), sinks)) if spans else None
    with host.put(rows, layout), taps or nullcontext():
        logits = host.logits(layout)
    if taps:
        for draft, sums in zip(spans, taps.stacked(), strict=True):
            draft.capture(sums)
    return logits


class _Generated:
    """One reply so far: its tokens, sums of their residuals, and what went wrong with it.

    There is a sum for what is said after its reasoning, and one for all before that, which is all where it
    does not reason. Residuals of the `latest` tokens are kept by themselves: so many as may be the beginning
    of another turn.
    """

    def __init__(self, turn: Exchange, split: Split, beginning: int) -> None:
        self.turn = turn
        self.split = split
        self.ids: list[int] = list(turn.forced or ())
        self._sums: dict[bool, Tensor] = {}
        self.problem: MeasurementError | None = None
        self.latest: deque[Tensor] = deque(maxlen=beginning)
        self.ran_on = False

    def say(self, token: int) -> None:
        """Append a token."""
        self.ids.append(token)
        self.split.follow(self.ids)

    def capture(self, sums: Tensor) -> None:
        """Add the residuals [blocks + 1, width + 1] of the token that was said last."""
        after = self.split.answers(len(self.ids))
        self._sums[after] = self._sums[after] + sums if after in self._sums else sums
        self.latest.append(sums)

    def cut(self, tokens: int) -> None:
        """Take back the last tokens, all but one of which were captured if the answer is."""
        after = self.split.answers(len(self.ids))
        del self.ids[-tokens:]
        self.ran_on = True
        captured = self._sums.pop(after, None)
        if captured is not None and self.ids and self.split.answers(len(self.ids)) is after:
            self._sums[after] = captured - sum(list(self.latest)[len(self.latest) - (tokens - 1) :])

    @cached_property
    def reasoning(self) -> Reasoning | None:
        """What it says before its answer, when all is said."""
        return self.split.reasoning(self.ids)

    def mean(self, mean: Mean, label: str) -> Tensor | MeasurementError:
        """Return the mean residuals [depths, width] of a part of it."""
        if lacking := missing(mean.part, self.reasoning, "the reply"):
            return MeasurementError(f"{lacking}: {label}")
        if self.reasoning is None or mean.part is Part.BOTH:
            captured = list(self._sums.values())
        else:
            after = mean.part is Part.ANSWER
            captured = [sums for which, sums in self._sums.items() if which is after]
        if not captured:
            return MeasurementError(f"the reply is empty, it has no response_mean: {label}")
        return mean_of(torch.stack(captured).sum(0)[: mean.through + 1], label)


class _Draft:
    """A conversation so far, with a choice of tokens of its own. `next` is what is to be run."""

    def __init__(
        self, host: Host, row: Row, continuation: Continuation, stops: set[int], turn: TurnBeginning
    ) -> None:
        self._begun = row
        # What is patched lies behind.
        self.row = replace(row, patch=None)
        self.next: list[int] = []
        self.ended = False
        self.donor: Donor | None = None
        # How many tokens have run that are taken back.
        self.excess = 0
        self._generated = [
            _Generated(
                one,
                Split(host.tokenizer, continuation.marks, one.before or row.ids),
                max(0, turn.longest - 1),
            )
            for one in continuation.turns
        ]
        self._now, *self._later = self._generated
        self._ran = len(row.ids)
        self._limit = continuation.decoding.max_new_tokens
        self._stops, self._turn, self._window = stops, turn, host.window
        self._choice = TokenChoice(continuation.decoding, _seed_of(row, continuation.decoding.seed))

    def extend(self, logits: Tensor) -> None:
        """Append the next token to the answer, or end it. What is said already has ended."""
        self._ran += len(self.next)
        self.next, self.excess = [], 0
        if not logits.isfinite().all():
            self._break_off(MeasurementError(f"NaN or infinite logits while answering {self.row.label}"))
            return
        if self._now.turn.forced is not None:
            self.ended = not self._later
            return
        if len(self._now.ids) == self._limit or self._is_end(
            token := self._choice.token(self._context, logits)
        ):
            self.ended = not self._later
            return
        self._now.say(token)
        if begun := self._turn.at_end_of(self._now.ids):
            self._cut(begun)
            return
        self.ended = len(self._now.ids) == self._limit and not self._later and not self._now.turn.means
        if not self.ended:
            self._go_on([token])

    def _cut(self, begun: int) -> None:
        """Take back so many tokens, which begin a turn of the user; all but the last of them have run."""
        self.excess = begun - 1
        self._now.cut(begun)
        self._ran -= self.excess
        self.row = self.row.taken_back(self._ran)
        self.ended = not self._later

    def turn(self) -> None:
        """Begin the next answer with what comes before it, under what the model is under from there on."""
        self.donor = None
        if self._later:
            self._now, *self._later = self._later
            turn = self._now.turn
            self.donor = turn.donor
            if under := turn.under:
                self.row = replace(
                    self.row,
                    adapters=under.adapters,
                    deltas=under.deltas,
                    steered=under.steered,
                    capped=under.capped,
                )
            self._go_on([*turn.before, *self._now.ids], len(turn.before))

    def _break_off(self, problem: MeasurementError) -> None:
        for generated in (self._now, *self._later):
            generated.problem = problem
        self.next, self.ended = [], True

    def _go_on(self, tokens: list[int], before: int = 0) -> None:
        """Run tokens next, the assistant's but for those before."""
        context = self._ran + len(tokens)
        if context > self._window:
            self._break_off(too_long(context, self._window, self.row.label))
            return
        self.next = tokens
        self.row = self.row.followed(self._ran + before, self._ran + len(tokens))

    def whole(self) -> Row:
        """Return the row with everything that was said, up to what is to be run."""
        return replace(self._begun, ids=self._context, answers=self.row.answers)

    @property
    def _context(self) -> tuple[int, ...]:
        begun = self._generated[: len(self._generated) - len(self._later)]
        tokens = [token for one in begun for token in (*one.turn.before, *one.ids)]
        return (*self._begun.ids, *tokens)

    @property
    def is_captured(self) -> bool:
        """Whether what is run next is a token of an answer whose residuals are wanted."""
        return bool(self._now.turn.means) and bool(self._now.ids) and bool(self.next)

    def capture(self, sums: Tensor) -> None:
        """Add the residuals [blocks + 1, width + 1] of the token that was appended last."""
        self._now.capture(sums)

    def results(self, host: Host) -> Outcomes:
        """Yield the replies and the means over their tokens that are wanted."""
        for generated in self._generated:
            if generated.turn.expected not in (None, tuple(generated.ids)):
                generated.problem = MeasurementError(
                    f"said again, the answer is another one: {self.row.label}; expected the same tokens"
                )
            if generated.turn.reply is not None:
                yield generated.turn.reply, generated.problem or _answer(host, generated)
            for name, mean in generated.turn.means.items():
                yield name, generated.problem or generated.mean(mean, self.row.label)

    def _is_end(self, token: int) -> bool:
        return token in self._stops and not self._now.split.passes(token)


def _answer(host: Host, generated: _Generated) -> Answer:
    reasoned = generated.reasoning.tokens if generated.reasoning else 0
    text = host.tokenizer.decode(generated.ids[reasoned:], skip_special_tokens=True)
    assert isinstance(text, str)
    return Answer(text.strip(), tuple(generated.ids), generated.ran_on, generated.reasoning)


def _seed_of(row: Row, seed: int) -> int:
    state = seed
    for token in row.ids:
        state = (state * 1_000_003 + token + 1) % (1 << 63)
    return state
