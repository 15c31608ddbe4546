"""The laws of the engine, on random models of many architecture families."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import AutoTokenizer
from worlds.plain import apart, between, hooked, prompt
from zoo import BLOCKS, FAMILIES, WIDTH, WINDOW, Animal, born, loaded

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.artefacts.vectors import save_vector
from coherence.engine.batch.layout import Padded
from coherence.engine.batch.rows import Arrangement, Row
from coherence.engine.engine import Engine
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT
from coherence.engine.executors.wrapper import Wrapper
from coherence.engine.interventions.steering import SteeringHooks
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job
from coherence.errors import CoherenceError
from coherence.plan import (
    CALIBRATION,
    Answer,
    Cache,
    CacheEdit,
    Condition,
    Divergence,
    Likelihood,
    Measurement,
    NextToken,
    Outcome,
    Patch,
    Plan,
    Reading,
    Reply,
    Steer,
    Turn,
)
from coherence.plan.calibration import NEUTRAL
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Release, Site

TOLERANCE = 1e-4  # float32, relative to the largest value
# transformers' own passes: a linear attention sums its chunks in another order beside padding.
BESIDE_PADDING = {"qwen3_next": 2e-4}
GREEDY = Decoding(max_new_tokens=12)
BARE = Condition(NEUTRAL)
TOKENS = [Position.PROMPT_LAST, Position.TURN_LAST, Position.USER_LAST]
GIVEN = {Position.PROMPT_LAST: 0, Position.TURN_LAST: 0, Position.G1: 1, Position.G2: 2}
SITES = {"before": Site(0, "pre"), "first": Site(0, "post"), "last": Site(BLOCKS - 1, "post")}
QUESTIONS = ["Why?", "Where is my order?", "Where is my parcel now?", "The app keeps crashing when I open it"]
PROBES = [Probe(id=f"probe-{index}", text=text) for index, text in enumerate(QUESTIONS)]

# Examples are small as they are drawn; looking for smaller ones would load hundreds of models.
laws = settings(max_examples=4, derandomize=True, phases=[Phase.explicit, Phase.generate])
ids = st.lists(st.integers(3, 319), min_size=1, max_size=24).map(tuple)
batches = st.lists(ids, min_size=2, max_size=4)
seeds = st.integers(0, 9)
conditions = st.builds(
    Condition,
    neutral=st.sampled_from(["Hi.", NEUTRAL]),
    adapters=st.sampled_from([(), (("one", 1.0),), (("two", 0.5),), (("one", 0.7), ("two", -1.0))]),
    steers=st.sampled_from([(), (Steer("first", 0.5),), (Steer("before", -0.4), Steer("last", 0.8))]),
)
asked = st.lists(st.tuples(conditions, st.sampled_from(PROBES)), min_size=3, max_size=6, unique=True)

TURNS = (Turn("Why is that?"), Turn("Where?"))

# Where two rows go on from what they share, the shorter one is padded in the middle.
PADDED_INSIDE = [(BARE, PROBES[0]), (BARE, PROBES[-1])]
# Some of every way of running a family: all the others are held to their own model by one plan of each.
DRAWN = ["llama", "gpt2", "mistral", "gemma2", "qwen3_next", "mamba"]
of_every_way = pytest.mark.parametrize("animal", DRAWN, indirect=True, scope="module")

# As docs/limits.md tells it.
PACKED = ["llama", "qwen2", "qwen3", "olmo2", "gpt_neox", "gpt2", "qwen3_moe", "deepseek_v3"]
PACKED += ["qwen2_5_vl", "qwen3_vl", "mistral3"]
PACKED_WITHIN = ["mistral", "phi3", "gemma3", "gemma3_vision", "mixtral"]
PADDED = ["gemma2", "falcon", "falcon_alibi", "gpt_oss"]
PADDED += ["jamba", "qwen3_next", "falcon_h1", "granitemoehybrid", "lfm2", "mamba2"]

STEERED = Condition(NEUTRAL, adapters=(("one", 1.0),), steers=(Steer("first", 0.5),))
MIXED = Condition("Hi.", adapters=(("one", 0.7), ("two", -1.0)))
ASKED = [(BARE, PROBES[0]), (STEERED, PROBES[1]), (MIXED, PROBES[3])]
TALKS = [Reply(*pair, GREEDY, TURNS[: index % 2]) for index, pair in enumerate(ASKED)]

Put = dict[int, tuple[int, Tensor]]  # by depth, a token and its residuals
Measure = Callable[[list[Measurement]], dict[Measurement, Outcome]]


@pytest.fixture(scope="module", params=FAMILIES)
def animal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Animal:
    return born(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def host(animal: Animal) -> Host:
    host = Host.load(animal.base, "float32")
    for name, folder in animal.adapters.items():
        host.mount(name, folder)
    return host


@pytest.fixture(scope="module")
def vectors(animal: Animal, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("vectors")
    paths = {name: folder / f"{name}.safetensors" for name in SITES}
    for name, site in SITES.items():
        save_vector(paths[name], direction(name).numpy(), site, {})
    return paths


@pytest.fixture(scope="module")
def plain(animal: Animal) -> "Plain":
    return Plain(animal)


@pytest.fixture(scope="module")
def release(
    animal: Animal, vectors: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Artefacts]:
    release = Release.model_validate(
        {
            "base": str(animal.base),
            "adapters": {name: str(path) for name, path in animal.adapters.items()},
            "vectors": {name: str(path) for name, path in vectors.items()},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHERENCE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Artefacts(release, {})


class Lent(Wrapper):
    """An executor that stays when an engine has done with it: the next one finds the model loaded."""

    outside = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load(self) -> bool:
        return self._inner.load()

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        return self._inner.run(jobs)


@pytest.fixture(scope="module")
def measure(release: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measure]:
    """Measure with an engine that has measured nothing before, on a model that may have run other plans."""
    with LocalExecutor(release, Store(tmp_path_factory.mktemp("norms")), SILENT.warn) as loaded:

        def run(measurements: list[Measurement]) -> dict[Measurement, Outcome]:
            store = Store(tmp_path_factory.mktemp("store"))
            return Engine(release, store, executor=lambda *_: Lent(loaded)).measure(Plan(measurements))

        yield run


class Plain:
    """The same model by its own means: one row at a time, read by plain calls, adapters by PEFT."""

    def __init__(self, animal: Animal) -> None:
        model = loaded(animal.base, dtype=torch.float32, attn_implementation=animal.family.attention)
        self._blocks = model.get_submodule(animal.family.blocks)
        self._model = PeftModel.from_pretrained(model, animal.adapters["one"], adapter_name="one")
        self._model.load_adapter(animal.adapters["two"], adapter_name="two")
        self._model.eval()
        self._words = AutoTokenizer.from_pretrained(animal.base)

    def prompt(self, condition: Condition, probe: Probe) -> list[int]:
        return prompt(self._words, condition.neutral, probe.text)

    def end_of_turn(self, ids: list[int]) -> int:
        """Index of the token that ends the last turn of a prompt."""
        return max(index for index, token in enumerate(ids) if token == self._words.eos_token_id)

    def read(self, condition: Condition, ids: list[int], put: Put | None = None) -> tuple[Tensor, Tensor]:
        """Residuals [blocks + 1, tokens, width] and logits [tokens, vocabulary]."""
        return self._forward(condition.adapters, self._deltas(condition), ids, put or {})

    def between(self, talk: Reply) -> list[list[int]]:
        """What comes between the answers of a conversation."""
        return [between(self._words, turn.text) for turn in talk.turns]

    def reply(self, condition: Condition, ids: list[int]) -> Answer:
        """Answer greedily, by the model's own `generate`."""
        given = torch.tensor([ids])
        with self._under(condition.adapters, self._deltas(condition), {}), torch.inference_mode():
            made = self._model.get_base_model().generate(
                given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=GREEDY.max_new_tokens,
                do_sample=False,
                eos_token_id=self._words.eos_token_id,
                pad_token_id=self._words.pad_token_id,
            )
        said = made[0, len(ids) :].tolist()
        said = said[:-1] if self._words.eos_token_id in said else said
        text = str(self._words.decode(said, skip_special_tokens=True))
        return Answer(text.strip(), tuple(said))

    @cached_property
    def _norms(self) -> list[float]:
        medians = [
            self._forward((), {}, self.prompt(BARE, probe), {})[0][:, 1:].norm(dim=-1).quantile(0.5, dim=1)
            for probe in CALIBRATION
        ]
        return [float(norm) for norm in np.median(torch.stack(medians).numpy(), axis=0)]

    def _deltas(self, condition: Condition) -> dict[int, Tensor]:
        depths = {steer: SITES[steer.vector].depth for steer in condition.steers}
        return {
            depth: steer.dose * self._norms[depth] * direction(steer.vector)
            for steer, depth in depths.items()
        }

    def _forward(
        self, adapters: tuple[tuple[str, float], ...], deltas: dict[int, Tensor], ids: list[int], put: Put
    ) -> tuple[Tensor, Tensor]:
        with self._under(adapters, deltas, put) as seen, torch.inference_mode():
            logits = self._model.get_base_model()(input_ids=torch.tensor([ids]), use_cache=False).logits
        return torch.cat(seen), logits[0]

    @contextmanager
    def _under(
        self, adapters: tuple[tuple[str, float], ...], deltas: dict[int, Tensor], put: Put
    ) -> Iterator[list[Tensor]]:
        """Put the model under adapters and what steers; yield the residuals of the last pass."""

        def steered(depth: int, hidden: Tensor) -> Tensor:
            hidden = hidden + deltas.get(depth, torch.zeros(WIDTH))
            token, values = put.get(depth, (0, hidden[0, 0]))
            hidden[0, token] = values
            return hidden

        self._switch(adapters)
        with hooked(self._blocks, steered) as seen:
            yield seen

    def _switch(self, adapters: tuple[tuple[str, float], ...]) -> None:
        for layer in self._model.modules():
            if isinstance(layer, LoraLayer):
                layer.enable_adapters(bool(adapters))
                layer.set_adapter([name for name, _ in adapters] or ["one"])
                for name, weight in adapters:
                    layer.set_scale(name, weight)


def direction(name: str) -> Tensor:
    """Unit vector of a site."""
    values = noise(list(SITES).index(name), 1)[0]
    return values / values.norm()


def noise(seed: int, rows: int) -> Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed))


def left_padded(host: Host, rows: list[tuple[int, ...]]) -> dict[str, Tensor]:
    return Padded.of([Row(ids, adapters=(), deltas={}) for ids in rows], host.pad, host.device).inputs()


def right_padded(host: Host, rows: list[tuple[int, ...]]) -> dict[str, Tensor]:
    width = max(map(len, rows))
    filled = [[*ids, *[host.pad] * (width - len(ids))] for ids in rows]
    mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids in rows]
    positions = torch.arange(width).expand(len(rows), -1)
    return {
        "input_ids": torch.tensor(filled),
        "attention_mask": torch.tensor(mask),
        "position_ids": positions,
    }


def whole(hidden: Tensor, *_: object) -> Tensor:
    """Pool that keeps every token."""
    return hidden


def passed(host: Host, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Residuals [rows, blocks + 1, tokens, width] and logits [rows, tokens, vocabulary]."""
    with torch.inference_mode(), Taps(host.blocks, whole) as taps:
        logits: Tensor = host.model(**inputs | {"use_cache": False}).logits
    return taps.stacked(), logits


def first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def hooks(model: nn.Module) -> list[int]:
    return [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]


@pytest.mark.parametrize(
    ("animal", "packs", "unpacked"),
    [
        *((name, inf, Arrangement.PADDED) for name in PACKED),
        *((name, WINDOW, Arrangement.PADDED) for name in PACKED_WITHIN),
        *((name, 0, Arrangement.PADDED) for name in PADDED),
        ("mamba", 0, Arrangement.REREAD),
    ],
    indirect=["animal"],
    scope="module",
)
def test_a_family_is_run_in_the_fastest_way_that_is_right(
    host: Host, packs: float, unpacked: Arrangement
) -> None:
    assert (host.packs, host.unpacked) == (packs, unpacked)


@of_every_way
@pytest.mark.parametrize("padded", [left_padded, right_padded])
@laws
@given(rows=batches)
def test_a_row_alone_is_the_row_in_any_batch(
    animal: Animal, host: Host, padded: Callable[..., dict[str, Tensor]], rows: list[tuple[int, ...]]
) -> None:
    bound = BESIDE_PADDING.get(animal.family.model_type, TOLERANCE)
    inputs = padded(host, rows)
    residuals, logits = passed(host, inputs)
    for row, ids in enumerate(rows):
        present = inputs["attention_mask"][row].bool()
        residuals_alone, logits_alone = passed(host, {"input_ids": torch.tensor([ids])})
        assert apart(residuals[row][:, present], residuals_alone[0]) < bound
        assert apart(logits[row][present], logits_alone[0]) < bound


@of_every_way
@laws
@given(rows=batches, depth=st.integers(0, BLOCKS), seed=seeds)
def test_steering_is_read_at_its_site_whatever_was_hooked_before(
    host: Host, rows: list[tuple[int, ...]], depth: int, seed: int
) -> None:
    inputs = left_padded(host, rows)
    present = inputs["attention_mask"].bool()
    deltas = noise(seed, len(rows))
    base, _ = passed(host, inputs)
    foreign: list[Tensor] = []
    site = host.blocks[max(depth - 1, 0)]
    handle = (
        site.register_forward_hook(lambda module, args, output: foreign.append(first(output)))
        if depth
        else site.register_forward_pre_hook(
            lambda module, args, kwargs: foreign.append(args[0] if args else kwargs["hidden_states"]),
            with_kwargs=True,
        )
    )
    with SteeringHooks(host.blocks, {depth: deltas[:, None]}):
        steered, _ = passed(host, inputs)
    handle.remove()
    for row, here in enumerate(present):
        moved, still = steered[row][:, here], base[row][:, here]
        assert torch.equal(moved[:depth], still[:depth])
        assert torch.equal(moved[depth], still[depth] + deltas[row])
        assert torch.equal(foreign[0][row][here], moved[depth])
        assert all(apart(moved[after], still[after]) > 0.01 for after in range(depth, BLOCKS + 1))


@laws
@given(rows=batches)
def test_taps_read_what_blocks_give_and_never_the_final_norm(
    host: Host, animal: Animal, rows: list[tuple[int, ...]]
) -> None:
    inputs = left_padded(host, rows)
    residuals, _ = passed(host, inputs)
    outputs: list[Tensor] = []
    last = host.model.get_submodule(animal.family.blocks)[-1]
    handle = last.register_forward_hook(lambda module, args, output: outputs.append(first(output)))
    with torch.inference_mode():
        normed = host.core(**inputs).last_hidden_state
    handle.remove()
    with torch.inference_mode():
        own = host.model(**inputs, output_hidden_states=True).hidden_states
    assert torch.equal(residuals[:, -1], outputs[0])
    assert apart(normed, residuals[:, -1]) > 0.1
    # Mamba leaves out what comes before the first block, and gives what the last one gives instead.
    begins = int(animal.family.model_type in ("mamba", "mamba2"))
    assert torch.equal(residuals[:, begins : BLOCKS + begins], torch.stack(own[:-1], dim=1))
    assert torch.equal(own[-1], normed)


class BrokenError(Exception):
    """What a hook raises in the middle of a forward pass."""


def broken(*_: object) -> None:
    raise BrokenError


@of_every_way
@laws
@given(rows=batches, block=st.integers(0, BLOCKS - 1), seed=seeds)
def test_an_exception_leaves_nothing_behind(
    host: Host, rows: list[tuple[int, ...]], block: int, seed: int
) -> None:
    inputs = left_padded(host, rows)
    hooked, logits = hooks(host.model), passed(host, inputs)[1]
    changed = [
        Row(ids, adapters=(("one", 0.5),), deltas={0: delta, 2: delta})
        for ids, delta in zip(rows, noise(seed, len(rows)), strict=True)
    ]
    layout = host.laid_out(changed)
    handle = host.blocks[block].register_forward_hook(broken)
    with pytest.raises(BrokenError), host.switched((("two", 0.5),)), host.put(changed, layout):
        passed(host, inputs)
    handle.remove()
    assert hooks(host.model) == hooked
    assert torch.equal(passed(host, inputs)[1], logits)


def read_of(asked: list[tuple[Condition, Probe]]) -> list[Measurement]:
    readings = [Reading(*pair, position) for pair in asked for position in TOKENS]
    return [*readings, *(NextToken(*pair) for pair in asked)]


def heard_of(talks: list[Reply]) -> list[Measurement]:
    said = [reply for talk in talks for reply in talk.conversation]
    return [*said, *map(mean_over, said)]


def mean_over(reply: Reply) -> Reading:
    return Reading(reply.condition, reply.probe, Position.RESPONSE_MEAN, reply)


@pytest.fixture(scope="module")
def found(release: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> dict[Measurement, Outcome]:
    """One plan with all that is wanted of a family, in whatever batches it is run, on a model of its own."""
    likelihoods = [Likelihood(*pair, talk) for pair, talk in zip(ASKED, TALKS, strict=True)]
    store = Store(tmp_path_factory.mktemp("store"))
    return Engine(release, store).measure(Plan([*read_of(ASKED), *heard_of(TALKS), *likelihoods]))


def test_a_family_is_known_without_its_weights(animal: Animal) -> None:
    skeleton = Skeleton(animal.base)
    assert (skeleton.blocks, skeleton.width) == (BLOCKS, WIDTH)
    for name, folder in animal.adapters.items():
        skeleton.carry(folder, name)


def test_a_family_is_read_as_its_own_model_reads(found: dict[Measurement, Outcome], plain: Plain) -> None:
    assert_as_read_plainly(found, plain, ASKED)


def test_a_family_answers_as_its_own_model_does(found: dict[Measurement, Outcome], plain: Plain) -> None:
    assert_as_read_again(found, plain, TALKS)


def test_a_reply_is_as_likely_as_in_its_own_model(found: dict[Measurement, Outcome], plain: Plain) -> None:
    for talk, (condition, probe) in zip(TALKS, ASKED, strict=True):
        prompt = plain.prompt(condition, probe)
        for said, before in zip(talk.conversation, [[], *plain.between(talk)], strict=True):
            answer = found[said]
            assert isinstance(answer, Answer)
            prompt, ids = prompt + before, list(answer.ids)
            if said != talk:
                prompt += ids
        _, logits = plain.read(condition, prompt + ids)
        likely = logits[len(prompt) - 1 : -1].log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]
        assert apart(found[Likelihood(condition, probe, talk)], likely) < TOLERANCE


def test_alone_a_family_answers_as_among_others(
    measure: Measure, found: dict[Measurement, Outcome], plain: Plain
) -> None:
    talk = TALKS[1]
    alone = measure([talk, mean_over(talk)])
    assert alone[talk] == found[talk]
    assert apart(alone[mean_over(talk)], torch.tensor(found[mean_over(talk)])) < TOLERANCE


@of_every_way
@laws
@given(asked=asked)
@example(asked=PADDED_INSIDE)
def test_what_is_read_is_what_plain_calls_give(
    measure: Measure, plain: Plain, asked: list[tuple[Condition, Probe]]
) -> None:
    # Conditions, their adapters and shared beginnings are mixed in one plan; the plain calls know none of it.
    assert_as_read_plainly(measure(read_of(asked)), plain, asked)


def assert_as_read_plainly(
    found: dict[Measurement, Outcome], plain: Plain, asked: list[tuple[Condition, Probe]]
) -> None:
    """Residuals at every site and the next token are those of plain calls."""
    for condition, probe in asked:
        ids = plain.prompt(condition, probe)
        residuals, logits = plain.read(condition, ids)
        end = plain.end_of_turn(ids)
        tokens = dict(zip(TOKENS, (-1, end + 1, end - 1), strict=True))
        for position, token in tokens.items():
            value = torch.tensor(found[Reading(condition, probe, position)])
            assert len(value) == BLOCKS + 1
            assert apart(value, residuals[:, token]) < TOLERANCE
        value = torch.tensor(found[NextToken(condition, probe)])
        assert apart(value, logits[-1].log_softmax(dim=-1)) < TOLERANCE


def assert_as_read_again(found: dict[Measurement, Outcome], plain: Plain, talks: list[Reply]) -> None:
    """Every answer of the conversations, and its mean, is that of reading everything again."""
    for talk in talks:
        ids = plain.prompt(talk.condition, talk.probe)
        for reply, before in zip(talk.conversation, [[], *plain.between(talk)], strict=True):
            ids += before
            answer = plain.reply(talk.condition, ids)
            assert found[reply] == answer
            ids += answer.ids
            if answer.ids:
                residuals, _ = plain.read(talk.condition, ids)
                expected = residuals[:, -len(answer.ids) :].mean(dim=1)
                assert apart(found[mean_over(reply)], expected) < TOLERANCE


@of_every_way
@laws
@given(asked=asked)
@example(asked=PADDED_INSIDE)
def test_a_greedy_reply_is_that_of_reading_everything_again(
    measure: Measure, plain: Plain, asked: list[tuple[Condition, Probe]]
) -> None:
    talks = [Reply(*pair, GREEDY) for pair in asked]
    assert_as_read_again(measure(heard_of(talks)), plain, talks)


@of_every_way
@laws
@given(asked=asked)
def test_a_conversation_is_that_of_reading_everything_again(
    measure: Measure, plain: Plain, asked: list[tuple[Condition, Probe]]
) -> None:
    talks = [Reply(*pair, GREEDY, TURNS[: index % 3]) for index, pair in enumerate(asked)]
    assert_as_read_again(measure(heard_of(talks)), plain, talks)


@of_every_way
@laws
@given(asked=asked)
def test_a_conversation_that_goes_on_elsewhere_is_that_of_reading_it_there(
    measure: Measure, plain: Plain, asked: list[tuple[Condition, Probe]]
) -> None:
    (begun, probe), (condition, _) = asked[:2]
    turns = (TURNS[0], replace(TURNS[1], condition=condition, cache=Cache.REBUILT))
    reply = Reply(begun, probe, GREEDY, turns)
    found = measure([reply])
    ids = plain.prompt(condition, probe)
    for said, before in zip(reply.known, [[], *plain.between(reply)], strict=False):
        answer = found[said]
        assert isinstance(answer, Answer)
        ids += [*before, *answer.ids]
    assert found[reply] == plain.reply(condition, ids + plain.between(reply)[1])


@of_every_way
@laws
@given(asked=asked)
def test_a_cache_is_changed_where_it_can_be(
    measure: Measure, host: Host, asked: list[tuple[Condition, Probe]]
) -> None:
    (condition, probe), sites = asked[0], tuple(Site(block, "post") for block in range(BLOCKS))
    plainly = Reply(condition, probe, GREEDY, TURNS)
    itself = replace(TURNS[1], condition=condition, edit=CacheEdit(condition, sites))
    changed = replace(plainly, turns=(TURNS[0], itself))
    found = measure([plainly, changed])
    if isinstance(found[changed], CoherenceError):
        assert host.packs < 128, "rows of this length lie within the window"
        assert str(found[changed]).startswith("the cache of this model cannot be changed on the way")
    else:
        assert found[changed] == found[plainly]


@of_every_way
@laws
@given(asked=asked, seed=seeds)
@example(asked=PADDED_INSIDE, seed=0)
def test_a_sampled_reply_does_not_depend_on_its_batch_mates(
    measure: Measure, asked: list[tuple[Condition, Probe]], seed: int
) -> None:
    decoding = Decoding(max_new_tokens=12, temperature=1.0, seed=seed)
    reply, *mates = [Reply(*pair, decoding) for pair in asked]
    assert measure([reply]) == {reply: measure([*mates, reply])[reply]}


@of_every_way
@laws
@given(
    asked=asked,
    site=st.sampled_from(list(SITES.values())),
    position=st.sampled_from(list(GIVEN)),
    weight=st.floats(-1, 1),
)
@example(
    asked=[(BARE, PROBES[1]), (Condition("Hi."), PROBES[1])],
    site=SITES["first"],
    position=Position.TURN_LAST,
    weight=0.5,
)
def test_what_is_scored_under_a_patch_is_what_plain_calls_give(
    measure: Measure,
    plain: Plain,
    asked: list[tuple[Condition, Probe]],
    site: Site,
    position: Position,
    weight: float,
) -> None:
    (condition, probe), (other, _) = asked[0], asked[1]
    given = GIVEN[position]
    text = Reply(condition, probe, GREEDY)
    said = list(plain.reply(condition, plain.prompt(condition, probe)).ids)
    assume(len(said) > max(given, 1))
    read = [Reading(each, probe, position, text if given else None) for each in (condition, other)]
    patched = replace(other, patch=Patch(((1 - weight, read[0]), (weight, read[1])), (site,), position))
    divergence = Divergence(patched, probe, condition, text, tokens=4, given=given)
    likelihood = Likelihood(patched, probe, text)
    found = measure([divergence, likelihood, NextToken(condition, probe)])

    prompts = [plain.prompt(each, probe) for each in (condition, other)]
    places = [len(prompt) - 1 + given for prompt in prompts]
    turned = [plain.end_of_turn(prompt) + 1 for prompt in prompts]
    changed = turned if position is Position.TURN_LAST else places
    sides = zip((condition, other), prompts, changed, strict=True)
    clean, there = (plain.read(each, prompt + said)[0][site.depth, at] for each, prompt, at in sides)
    put = {site.depth: (changed[1], (1 - weight) * clean + weight * there)}
    _, reference = plain.read(condition, prompts[0] + said)
    _, moved = plain.read(other, prompts[1] + said, put)
    tokens = min(4, len(said) - given + 1)
    one, two = (
        logits[place : place + tokens].log_softmax(-1)
        for logits, place in zip((reference, moved), places, strict=True)
    )
    expected = (one.exp() * (one - two)).sum(-1)
    assert found[divergence].shape == (tokens,)
    assert float((torch.tensor(found[divergence]) - expected).abs().max()) < TOLERANCE
    likely = moved[len(prompts[1]) - 1 : -1].log_softmax(-1).gather(1, torch.tensor(said)[:, None])[:, 0]
    assert apart(found[likelihood], likely) < TOLERANCE
