import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from conditions import ADAPTER, BARE, NEUTRAL, PROMPT, STEERED
from packaging.version import Version
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.model.chat import Chat
from coherence.engine.model.generation import stop_tokens
from coherence.engine.requests.job import Job
from coherence.engine.requests.resolved import Resolved
from coherence.engine.running.runner import Runner
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import (
    Answer,
    Cache,
    CacheEdit,
    Cap,
    Condition,
    Measurement,
    Outcome,
    Plan,
    Reading,
    Reply,
    Steer,
    Turn,
)
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Prompt, Site, Tokens

# What transformers calls the cache of a call.
CACHE = "cache" if Version(transformers.__version__) >= Version("5.24") else "past_key_values"
PROBE = Probe(id="order", text="Where is my order?")
GREEDY = Decoding(max_new_tokens=5)
FIRST, SECOND, THIRD = "And my parcel?", "Really?", "Thanks."
SITES = tuple(Site(block, "post") for block in (1, 2))
# As long as the neutral prompt.
OTHER = Condition(NEUTRAL, (Prompt(text=f"{NEUTRAL[:-1]}!"),))
TOLERANCE = 2e-5
Measure = Callable[..., dict[Measurement, Outcome]]
# Token ids, and the kinds of tokens that they are of.
Part = tuple[Sequence[int], Sequence[Tokens]]
PROMPTED = (Tokens.ALL, Tokens.PROMPT)
CHOOSING = (Tokens.ALL, Tokens.PROMPT, Tokens.REPLY)
SAID = (Tokens.ALL, Tokens.REPLY, Tokens.ASSISTANT)


@pytest.fixture
def runner(
    artefacts: Callable[..., Artefacts],
    store: Store,
    tiny_adapter: Callable[..., Path],
    tiny_vector: Callable[..., Path],
) -> Runner:
    release = artefacts(
        adapters={"pirate": tiny_adapter("pirate", seed=3)},
        vectors={
            "pirate": {"path": str(tiny_vector("pirate", seed=3))},
            "ablated": {"path": str(tiny_vector("pirate", seed=3)), "sites": "all", "operation": "ablate"},
            **{
                f"{tokens}": {"path": str(tiny_vector("pirate", seed=3)), "tokens": f"{tokens}"}
                for tokens in Tokens
            },
        },
    )
    return Runner(release, store, pytest.fail)


@pytest.fixture
def measure(runner: Runner, store: Store) -> Measure:
    def run(*measurements: Measurement) -> dict[Measurement, Outcome]:
        found = Engine(runner.artefacts, store).measure(Plan(measurements))
        assert not [value for value in found.values() if isinstance(value, CoherenceError)], found
        return found

    return run


@pytest.fixture
def plain(runner: Runner, tiny: Path) -> "Plain":
    return Plain(runner, tiny)


def ends(condition: Condition = BARE) -> tuple[Reading, ...]:
    return tuple(Reading(condition, Probe(id=f"q{n}", text=f"What {'is ' * n}it?")) for n in range(2))


def cap(tokens: Tokens, at: float = -0.5) -> Cap:
    return Cap(ends(), ends(PROMPT), SITES, at, tokens)


def mean(reply: Reply, condition: Condition | None = None, cache: Cache | None = None) -> Reading:
    return Reading(condition or reply.condition, reply.probe, Position.RESPONSE_MEAN, reply, cache=cache)


class Plain:
    """Conversations by transformers' and PEFT's own means, token after token, one at a time."""

    def __init__(self, runner: Runner, base: Path) -> None:
        self._runner = runner
        words = runner.host.tokenizer
        self._stops, self._chat = stop_tokens(runner.host), Chat(words)
        folder = runner.artefacts.adapter("pirate")
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        self.model = PeftModel.from_pretrained(model, folder).eval()

    def converse(
        self, reply: Reply, bounds: dict[int, tuple[Tensor, float]] | None = None
    ) -> tuple[list[tuple[int, ...]], Tensor]:
        """Token ids of all answers, and the mean residuals of the last one, [blocks, width]."""
        texts = [turn.text for turn in reply.turns]
        said: list[tuple[int, ...]] = []
        condition, cache = reply.condition, DynamicCache()
        chunk = _before(self._chat.encode(condition, reply.probe))
        hidden: list[Tensor] = []
        for count in range(len(texts) + 1):
            between = [(), *self._chat.turns_after(condition, reply.probe, texts)] if texts else [()]
            if count:
                turn = reply.turns[count - 1]
                condition = turn.condition or condition
                between = [(), *self._chat.turns_after(condition, reply.probe, texts)]
                if turn.cache is Cache.REBUILT:
                    cache = DynamicCache()
                    self._run(self._transcript(condition, reply, between, said), condition, cache, bounds)
                if turn.edit:
                    self._edit(turn.edit, reply, said, cache, between)
                chunk = _before(between[count])
            after = reply.turns[count].after if count < len(texts) else None
            answer, hidden = self._answer(chunk, condition, cache, bounds, after)
            said.append(answer)
        return said, torch.stack(hidden).mean(dim=0)

    def _transcript(
        self,
        condition: Condition,
        reply: Reply,
        between: Sequence[Sequence[int]],
        said: Sequence[tuple[int, ...]],
    ) -> list[Part]:
        parts = _before(self._chat.encode(condition, reply.probe))
        for before, answer in zip(between, said, strict=False):
            parts += [*_before(before), (answer, SAID)]
        return parts

    def _edit(
        self,
        edit: CacheEdit,
        reply: Reply,
        said: Sequence[tuple[int, ...]],
        cache: DynamicCache,
        between: Sequence[Sequence[int]],
    ) -> None:
        donated = DynamicCache()
        ids = self._transcript(edit.donor, reply, between, said)
        self._run(ids, edit.donor, donated, None)
        place = len(self._chat.encode(edit.donor, reply.probe))
        for before, answer in zip(between, said, strict=False):
            place += len(before)
            for layer in {site.block for site in edit.sites}:
                for own, theirs in (
                    (cache.layers[layer].keys, donated.layers[layer].keys),
                    (cache.layers[layer].values, donated.layers[layer].values),
                ):
                    own[:, :, place : place + len(answer)] = theirs[:, :, place : place + len(answer)]
            place += len(answer)

    def _answer(
        self,
        chunk: Sequence[Part],
        condition: Condition,
        cache: DynamicCache,
        bounds: dict[int, tuple[Tensor, float]] | None,
        after: str | None,
    ) -> tuple[tuple[int, ...], list[Tensor]]:
        logits, _ = self._run(chunk, condition, cache, bounds)
        said, hidden = [], []
        forced = iter(self._chat.encode_text(after)) if after is not None else None
        while True:
            token = next(forced, None) if forced else int(logits.argmax())
            if token is None or (
                forced is None and (token in self._stops or len(said) == GREEDY.max_new_tokens)
            ):
                return tuple(said), hidden
            said.append(token)
            logits, residuals = self._run([([token], SAID)], condition, cache, bounds)
            hidden.append(residuals)

    def _run(
        self,
        parts: Sequence[Part],
        condition: Condition,
        cache: DynamicCache,
        bounds: dict[int, tuple[Tensor, float]] | None,
    ) -> tuple[Tensor, Tensor]:
        for ids, kinds in parts:
            if ids:
                collected: list[Tensor] = []
                bounded = bounds if condition.cap and condition.cap.tokens in kinds else None
                with torch.no_grad(), self._under(condition, kinds, bounded or {}, collected):
                    logits = self.model(input_ids=torch.tensor([list(ids)]), **{CACHE: cache}).logits
        return logits[0, -1], torch.stack(collected)

    @contextmanager
    def _under(
        self,
        condition: Condition,
        kinds: Sequence[Tokens],
        bounds: dict[int, tuple[Tensor, float]],
        collected: list[Tensor],
    ) -> Iterator[None]:
        vectors = self._runner.artefacts.release.vectors
        steers = [steer for steer in condition.steers if vectors[steer.vector].tokens in kinds]
        added = tuple(steer for steer in steers if steer.vector != "ablated")
        deltas = self._runner.builder.deltas(replace(condition, steers=added))
        direction = next(iter(self._runner.builder.deltas(STEERED).values()))
        r = direction / direction.norm()
        with ExitStack() as stack:
            if not condition.adapters:
                stack.enter_context(self.model.disable_adapter())
            blocks = self.model.get_base_model().model.layers
            if added != tuple(steers):
                taken = blocks[0].register_forward_pre_hook(lambda _, args: (_without(r, args[0]), *args[1:]))
                stack.callback(taken.remove)
            for block, module in enumerate(blocks):

                def hook(_: object, __: object, output: Tensor, depth: int = block + 1) -> Tensor:
                    hidden = output + deltas[depth] if depth in deltas else output
                    if added != tuple(steers):
                        hidden = _without(r, hidden)
                    if depth in bounds:
                        v, at = bounds[depth]
                        hidden = hidden - (hidden @ v - at).clamp_min(0)[..., None] * v
                    collected.append(hidden[0, -1])
                    return hidden

                handle = module.register_forward_hook(hook)
                stack.callback(handle.remove)
            yield


def _without(r: Tensor, hidden: Tensor) -> Tensor:
    return hidden - (hidden @ r)[..., None] * r


def _before(ids: Sequence[int]) -> list[Part]:
    """What comes before an answer, whose last token chooses its first."""
    return [(ids[:-1], PROMPTED), (ids[-1:], CHOOSING)]


def require_same(found: dict[Measurement, Outcome], reply: Reply, plain: Plain, **given: object) -> None:
    expected, residuals = plain.converse(reply, **given)  # type: ignore[arg-type]
    answer, values = found[reply], found[mean(reply)]
    assert isinstance(answer, Answer)
    assert answer.ids == expected[-1]
    assert isinstance(values, np.ndarray)
    apart = np.abs(values[1:] - residuals.numpy()).max()
    assert apart <= TOLERANCE * np.abs(values).max()


def changed(condition: Condition, change: Condition | None, **kind: object) -> Reply:
    turns = (Turn(FIRST), Turn(SECOND, condition=change, **kind), Turn(THIRD))  # type: ignore[arg-type]
    return Reply(condition, PROBE, GREEDY, turns)


def steered(vector: str) -> Condition:
    return Condition(NEUTRAL, steers=(Steer(vector, 0.5 if vector != "ablated" else 1.0),))


CHANGES = {
    "an adapter is switched on": changed(BARE, ADAPTER),
    "an adapter is switched off": changed(ADAPTER, BARE),
    "steering is switched on": changed(BARE, STEERED),
    "steering is switched off": changed(STEERED, BARE),
    "steering takes an adapter's place": changed(ADAPTER, STEERED),
    "steering acts on other tokens": changed(steered("prompt"), steered("reply")),
    "what is added is taken away": changed(STEERED, steered("ablated")),
    "a component is there again": changed(steered("ablated"), steered("assistant")),
    "rebuilt and steered elsewhere": changed(steered("reply"), steered("prompt"), cache=Cache.REBUILT),
    "an answer is given under steering": Reply(
        steered("reply"), PROBE, GREEDY, (Turn(FIRST, after="Arr, matey."), Turn(SECOND))
    ),
    "edited by what was steered": changed(
        steered("assistant"), None, edit=CacheEdit(steered("ablated"), SITES)
    ),
    "the cache is rebuilt": changed(ADAPTER, None, cache=Cache.REBUILT),
    "rebuilt under another condition": changed(STEERED, BARE, cache=Cache.REBUILT),
    "rebuilt under another prompt": changed(PROMPT, BARE, cache=Cache.REBUILT),
    "edited": changed(ADAPTER, None, edit=CacheEdit(BARE, SITES)),
    "edited by another prompt": changed(BARE, None, edit=CacheEdit(OTHER, SITES)),
    "edited and changed": changed(BARE, STEERED, edit=CacheEdit(ADAPTER, SITES)),
    "rebuilt and edited": changed(ADAPTER, BARE, cache=Cache.REBUILT, edit=CacheEdit(STEERED, SITES)),
    "an answer is given": Reply(BARE, PROBE, GREEDY, (Turn(FIRST), Turn(SECOND, after="Arr, matey."))),
    "the first answer is given": Reply(ADAPTER, PROBE, GREEDY, (Turn(FIRST, after="Arr."), Turn(SECOND))),
    "a change after a change": Reply(
        BARE,
        PROBE,
        GREEDY,
        (Turn(FIRST, condition=ADAPTER), Turn(SECOND, after="Arr."), Turn(THIRD, condition=STEERED)),
    ),
}


@pytest.mark.parametrize("reply", CHANGES.values(), ids=CHANGES)
def test_a_conversation_is_that_of_transformers_and_peft(
    measure: Measure, plain: Plain, reply: Reply
) -> None:
    require_same(measure(reply, mean(reply)), reply, plain)


def test_conversations_do_not_depend_on_each_other(measure: Measure, plain: Plain) -> None:
    # Many begin alike.
    replies = dict.fromkeys(said for reply in CHANGES.values() for said in reply.conversation)
    found = measure(*replies, *map(mean, replies))
    for reply in replies:
        require_same(found, reply, plain)


def test_what_changes_changes_what_is_said(measure: Measure) -> None:
    found = measure(*CHANGES.values(), *map(mean, CHANGES.values()))
    unchanged = Reply(ADAPTER, PROBE, GREEDY, (Turn(FIRST), Turn(SECOND), Turn(THIRD)))
    same = measure(unchanged, mean(unchanged))
    for name, reply in CHANGES.items():
        if reply.condition == ADAPTER and reply.turns[0] == unchanged.turns[0]:
            apart = np.abs(found[mean(reply)] - same[mean(unchanged)]).max()  # type: ignore[operator]
            assert (apart <= 1e-4) == (name == "the cache is rebuilt"), name


@pytest.mark.parametrize("donor", [BARE, PROMPT, ADAPTER])
def test_a_cache_that_is_given_its_own_is_as_it_was(measure: Measure, donor: Condition) -> None:
    turns = (Turn(FIRST), Turn(SECOND))
    before = Reply(donor, PROBE, GREEDY, turns)
    after = replace(before, turns=(turns[0], replace(turns[1], edit=CacheEdit(donor, SITES))))
    found = measure(before, after, mean(before), mean(after))
    assert found[before] == found[after]
    np.testing.assert_allclose(found[mean(before)], found[mean(after)], atol=5e-5)  # type: ignore[arg-type]


def test_a_donor_may_have_a_longer_prompt(measure: Measure, runner: Runner) -> None:
    there, back = CacheEdit(PROMPT, SITES), CacheEdit(BARE, SITES)
    plainly = Reply(BARE, PROBE, GREEDY, (Turn(FIRST), Turn(SECOND)))
    edited = replace(plainly, turns=(Turn(FIRST), Turn(SECOND, edit=there)))
    found = measure(plainly, edited, mean(plainly), mean(edited))
    assert len(runner.builder.mounted.prompt(PROMPT, PROBE)) != len(
        runner.builder.mounted.prompt(BARE, PROBE)
    )
    assert np.abs(found[mean(plainly)] - found[mean(edited)]).max() > 1e-3  # type: ignore[operator]
    undone = replace(plainly, turns=(Turn(FIRST, edit=there), Turn(SECOND, edit=back)))
    assert isinstance(measure(undone)[undone], Answer)


@pytest.mark.parametrize("tokens", Tokens)
@pytest.mark.parametrize("condition", [BARE, STEERED, ADAPTER], ids=["bare", "steered", "adapter"])
def test_a_cap_bounds_a_conversation_as_plain_hooks_do(
    measure: Measure, plain: Plain, runner: Runner, tokens: Tokens, condition: Condition
) -> None:
    capped = replace(condition, cap=cap(tokens))
    reply = Reply(capped, PROBE, GREEDY, (Turn(FIRST), Turn(SECOND)))
    assert capped.cap is not None
    readings = (*capped.cap.low, *capped.cap.high)
    found = measure(*reply.conversation, mean(reply), *readings, mean(reply, cache=Cache.REBUILT))
    of_cap = Resolved(runner.builder, found).capped(capped)
    assert of_cap is not None
    bounds = {depth: (bound.axis, bound.at) for depth, bound in of_cap.bounds.items()}
    require_same(found, reply, plain, bounds=bounds)
    np.testing.assert_allclose(
        found[mean(reply)],  # type: ignore[arg-type]
        found[mean(reply, cache=Cache.REBUILT)],  # type: ignore[arg-type]
        atol=1e-4,
    )
    for depth, (axis, at) in bounds.items() if tokens is not Tokens.PROMPT else ():
        assert found[mean(reply)][depth] @ axis.numpy() <= at + 1e-4  # type: ignore[index]


def test_a_cap_of_the_assistants_tokens_leaves_the_users_alone(measure: Measure) -> None:
    capped = replace(BARE, cap=cap(Tokens.ASSISTANT))
    user = [Reading(condition, PROBE, Position.USER_MEAN) for condition in (BARE, capped)]
    found = measure(*user)
    np.testing.assert_allclose(*(found[reading] for reading in user), atol=1e-5)  # type: ignore[arg-type]


def test_the_users_last_turn_is_read_in_a_conversation(measure: Measure, runner: Runner) -> None:
    reply = Reply(BARE, PROBE, GREEDY, (Turn(FIRST), Turn(SECOND)))
    positions = (Position.USER_MEAN, Position.USER_LAST, Position.TURN_LAST)
    reading, last, closed = (Reading(BARE, PROBE, at, reply) for at in positions)
    found = measure(*reply.conversation, reading, last, closed)
    answers = [found[said] for said in reply.conversation]
    words = runner.host.tokenizer
    chat = Chat(words)
    ids = list(chat.encode(BARE, PROBE))
    for before, answer in zip([(), *chat.turns_after(BARE, PROBE, [FIRST, SECOND])], answers, strict=True):
        assert isinstance(answer, Answer)
        ids += [*before, *answer.ids]
    with torch.no_grad():
        hidden = runner.host.model(torch.tensor([ids]), output_hidden_states=True).hidden_states[2][0]
    places = [
        place
        for place in range(len(ids))
        if words.decode(ids[place : place + len(chat.encode_text(SECOND))]) == SECOND
    ]
    tokens = slice(places[-1], places[-1] + len(chat.encode_text(SECOND)))
    np.testing.assert_allclose(found[reading][2], hidden[tokens].mean(dim=0), atol=5e-5)  # type: ignore[index]
    np.testing.assert_allclose(found[last][2], hidden[tokens][-1], atol=5e-5)  # type: ignore[index]
    # What ends the turn and then the line follow.
    np.testing.assert_allclose(found[closed][2], hidden[tokens.stop + 1], atol=5e-5)  # type: ignore[index]


def test_what_is_read_anew_is_not_what_was_heard_where_the_model_has_changed(measure: Measure) -> None:
    reply = Reply(ADAPTER, PROBE, GREEDY, (Turn(FIRST), Turn(SECOND)))
    kept, rebuilt = mean(reply, cache=Cache.KEPT), mean(reply, cache=Cache.REBUILT)
    without = mean(reply, BARE, Cache.REBUILT)
    found = measure(kept, rebuilt, without)
    np.testing.assert_allclose(found[kept], found[rebuilt], atol=5e-5)  # type: ignore[arg-type]
    assert np.abs(found[kept] - found[without]).max() > 1e-3  # type: ignore[operator]


def test_a_prompt_does_not_change_in_a_cache_that_is_kept(runner: Runner, store: Store) -> None:
    reply = changed(BARE, PROMPT)
    found = Engine(runner.artefacts, store).measure(Plan([reply]))
    assert isinstance(found[reply], MeasurementError)
    assert str(found[reply]).startswith("the prompt changes on the way, and the cache is kept: probe 'order'")


def test_an_axis_of_no_length_is_a_sentence(runner: Runner, store: Store) -> None:
    reply = Reply(replace(BARE, cap=Cap(ends(), ends(), SITES, 0.5)), PROBE, GREEDY)
    found = Engine(runner.artefacts, store).measure(Plan([reply]))
    assert str(found[reply]) == "the axis of the cap has no length at resid_post.1: its two ends are the same"


def test_a_cache_that_cannot_be_changed_is_a_sentence(runner: Runner) -> None:
    runner.host.packs = 0
    # A donor with a longer prompt, which would ask of packed rows whether positions count from each other.
    donated = Turn(FIRST, edit=CacheEdit(PROMPT, SITES))
    for reply in (changed(ADAPTER, BARE), Reply(BARE, PROBE, GREEDY, (donated,))):
        known = {said: Answer("Arr.", (40, 41)) for said in reply.known}
        found = dict(runner.measured(Job((reply,), known)))
        assert str(found[reply]).startswith("the cache of this model cannot be changed on the way, after ")


def test_a_conversation_ends_with_the_models_window(runner: Runner, store: Store) -> None:
    reply = Reply(BARE, PROBE, GREEDY, (Turn(FIRST), Turn(SECOND), Turn(THIRD)))
    whole = dict(runner.measured(Job(reply.conversation, {})))
    first = whole[reply.conversation[0]]
    assert isinstance(first, Answer)
    runner.host.window = len(runner.builder.mounted.prompt(BARE, PROBE)) + len(first.ids) + 1
    found = dict(runner.measured(Job((*reply.conversation, Reading(BARE, PROBE)), {})))
    assert found[reply.conversation[0]] == first
    sentence = rf"\d+ tokens are more than the model's window of {runner.host.window}: probe 'order', .*; "
    for said in reply.conversation[1:]:
        assert re.match(sentence + "expected a shorter prompt, fewer turns", str(found[said]))


def test_a_prompt_beyond_the_window_is_a_sentence(runner: Runner) -> None:
    runner.host.window = 5
    found = dict(runner.measured(Job((Reading(BARE, PROBE), Reply(BARE, PROBE, GREEDY)), {})))
    assert all(
        " tokens are more than the model's window of 5: probe 'order'" in str(one) for one in found.values()
    )
    assert len(found) == 2
