"""What a steering deployment does, against plain forward hooks on models of many architecture families."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer
from vector_files import control
from worlds.plain import apart, between, hooked, prompt
from zoo import BLOCKS, WIDTH, Animal, born, loaded

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.vectors import save_vector
from coherence.engine.requests.job import jobs, waves
from coherence.engine.running.runner import Runner
from coherence.plan import (
    Answer,
    Condition,
    Likelihood,
    Measurement,
    NextToken,
    Outcome,
    Plan,
    Reading,
    Reply,
    Steer,
    Turn,
)
from coherence.plan.calibration import NEUTRAL
from coherence.store import Store
from coherence.vocabulary import Decoding, Operation, Position, Probe, Release, Site, Tokens

TOLERANCE = 1e-4  # float32, relative to the largest value
GREEDY = Decoding(max_new_tokens=4)
TURNS = (Turn("Why is that?"),)
PROBES = [Probe(id="short", text="Why?"), Probe(id="long", text="Where is my order, and when is it here?")]
BARE = Condition(NEUTRAL)
ADAPTED = Condition("Hi.", adapters=(("one", 1.0),))

# Some of every way of running a model: packed, within a window, padded, with states, read again, wrapped.
FAMILIES = ["llama", "qwen3", "gpt_neox", "gpt2", "mistral", "mixtral", "gemma3"]
FAMILIES += ["gemma2", "gpt_oss", "jamba", "qwen3_next", "mamba2", "mamba", "qwen2_5_vl"]

Act = tuple[Operation, Tokens, Mapping[int, Tensor], float]
"""What is done, to which tokens, by depth the vector that it is done with, and the dose."""


@dataclass(frozen=True)
class Shape:
    """How a vector is written in a suite, and the vectors by depth that this means, not scaled yet."""

    written: Mapping[str, Any]
    at: Mapping[int, Tensor]


def noise(seed: int) -> Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


ONE = noise(0)
DIRECTIONS = {number: 0.5 * noise(number) for number in range(1, BLOCKS)}
SHAPES = [
    # First what llama.cpp does: `direction.N`, times a number, is added to the output of block N.
    Shape({"path": "all.gguf", "sites": "all"}, {number + 1: DIRECTIONS[number] for number in DIRECTIONS}),
    Shape({"path": "one.safetensors", "site": "resid_post.1"}, {2: ONE}),
    Shape({"path": "one.safetensors", "sites": "all"}, dict.fromkeys(range(BLOCKS + 1), ONE)),
    Shape(
        {"path": "all.gguf", "sites": ["resid_post.2", "resid_pre.2"]}, {3: DIRECTIONS[2], 2: DIRECTIONS[1]}
    ),
    Shape({"path": "one.safetensors", "sites": "resid_post.0..1"}, {1: ONE, 2: ONE}),
]
DEPLOYED = {
    f"{operation}-{tokens}": (operation, tokens, SHAPES[index % len(SHAPES)], "norm" if index % 2 else "raw")
    for index, (operation, tokens) in enumerate(product(Operation, Tokens))
}
DOSES = {Operation.ADD: 0.4, Operation.ABLATE: 1.0, Operation.CLAMP: -0.6}
ALONE = {name: Condition(NEUTRAL, steers=(Steer(name, DOSES[what[0]]),)) for name, what in DEPLOYED.items()}
TOGETHER = {
    "ablated in part": Condition("Hi.", steers=(Steer("ablate-reply", 0.5),)),
    "three at once": Condition(
        NEUTRAL, steers=(Steer("ablate-all", 1.0), Steer("add-reply", 0.3), Steer("clamp-assistant", 0.5))
    ),
    "none": BARE,
}
CONDITIONS = ALONE | TOGETHER


@pytest.fixture(scope="module", params=FAMILIES)
def animal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Animal:
    return born(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def runner(animal: Animal, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("vectors")
    save_vector(folder / "one.safetensors", ONE.numpy(), Site(1, "post"), {})
    control(folder / "all.gguf", {number: values.numpy() for number, values in DIRECTIONS.items()})
    vectors = {
        name: {
            **shape.written,
            "path": str(folder / shape.written["path"]),
            "operation": str(operation),
            "tokens": str(tokens),
            "unit": "norm" if operation is Operation.ABLATE else unit,
        }
        for name, (operation, tokens, shape, unit) in DEPLOYED.items()
    }
    release = Release.model_validate(
        {"base": str(animal.base), "adapters": {"one": str(animal.adapters["one"])}, "vectors": vectors}
    )
    return Runner(Artefacts(release, {}), Store(tmp_path_factory.mktemp("store")), lambda text: None)


def measured(runner: Runner, wanted: Sequence[Measurement]) -> dict[Measurement, Outcome]:
    outcomes: dict[Measurement, Outcome] = {}
    for wave in waves([*Plan(wanted)]):
        for job in jobs(wave, outcomes):
            outcomes |= runner.measured(job)
    return {one: outcomes[one] for one in wanted}


def talk(condition: Condition, probe: Probe) -> Reply:
    return Reply(condition, probe, GREEDY, TURNS)


def mean(reply: Reply) -> Reading:
    return Reading(reply.condition, reply.probe, Position.RESPONSE_MEAN, reply)


def wanted_of(condition: Condition, probe: Probe) -> list[Measurement]:
    """What is measured of a row: read, said over two turns, and heard."""
    replies = talk(condition, probe).conversation
    read = [Reading(condition, probe, Position.PROMPT_LAST), NextToken(condition, probe)]
    return [*read, *replies, *map(mean, replies)]


def scored(condition: Condition, probe: Probe) -> list[Measurement]:
    """Score what the bare model said."""
    return [*talk(BARE, probe).conversation, Likelihood(condition, probe, talk(BARE, probe))]


class Plain:
    """The same model by its own means: one row at a time, all of it read again for every token."""

    def __init__(self, animal: Animal, norms: Sequence[float]) -> None:
        self._model = loaded(animal.base, dtype=torch.float32, attn_implementation=animal.family.attention)
        self._model.eval()
        self._blocks = self._model.get_submodule(animal.family.blocks)
        self._norms = norms
        self._words = AutoTokenizer.from_pretrained(animal.base)

    def prompt(self, condition: Condition, probe: Probe) -> list[int]:
        return prompt(self._words, condition.neutral, probe.text)

    def between(self) -> list[int]:
        return between(self._words, TURNS[0].text)

    def read(self, condition: Condition, parts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Residuals [blocks + 1, tokens, width] and logits [tokens, vocabulary]; every other part is said."""
        ids = [token for part in parts for token in part]
        steered = partial(self._steered, condition, parts)
        with hooked(self._blocks, steered) as seen, torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([ids]), use_cache=False).logits
        return torch.cat(seen), logits[0]

    def answer(self, condition: Condition, before: Sequence[Sequence[int]]) -> list[int]:
        said: list[int] = []
        while len(said) < GREEDY.max_new_tokens:
            token = int(self.read(condition, [*before, said])[1][-1].argmax())
            if token == self._words.eos_token_id:
                break
            said.append(token)
        return said

    def _steered(
        self, condition: Condition, parts: Sequence[Sequence[int]], depth: int, hidden: Tensor
    ) -> Tensor:
        hidden = hidden.clone()
        # What is added comes first.
        acts = sorted(map(self._act, condition.steers), key=lambda act: act[0] is not Operation.ADD)
        for operation, tokens, at, dose in acts:
            if depth in at:
                places = chosen(tokens, parts)
                hidden[0, places] = moved(operation, hidden[0, places], at[depth], dose)
        return hidden

    def _act(self, steer: Steer) -> Act:
        operation, tokens, shape, unit = DEPLOYED[steer.vector]
        units = {
            depth: self._norms[depth] / float(v.norm()) if unit == "norm" else 1.0
            for depth, v in shape.at.items()
        }
        return operation, tokens, {depth: units[depth] * v for depth, v in shape.at.items()}, steer.dose


def moved(operation: Operation, h: Tensor, v: Tensor, dose: float) -> Tensor:
    """The formulas of the documents, for residuals [tokens, width]."""
    if operation is Operation.ADD:
        return h + dose * v
    r = v / v.norm()
    if operation is Operation.ABLATE:
        return h - dose * torch.outer(h @ r, r)
    return h - torch.outer(h @ r, r) + dose * v


def chosen(tokens: Tokens, parts: Sequence[Sequence[int]]) -> list[int]:
    """Tokens of a kind: parts are said by the user's side and by the assistant in turn."""
    assistants = [bool(count % 2) for count, part in enumerate(parts) for _ in part]
    answers = [sum(map(len, parts[:count])) for count in range(1, len(parts) + 1, 2)]
    kinds = {
        Tokens.ALL: lambda at: True,
        Tokens.PROMPT: lambda at: not assistants[at],
        Tokens.ASSISTANT: lambda at: assistants[at],
        Tokens.REPLY: lambda at: assistants[at] or at + 1 in answers,
    }
    return [at for at in range(len(assistants)) if kinds[tokens](at)]


def require_plain(
    found: Mapping[Measurement, Outcome], plain: Plain, condition: Condition, probe: Probe
) -> None:
    """All that was measured of a row is what plain hooks give."""
    ids = plain.prompt(condition, probe)
    residuals, logits = plain.read(condition, [ids])
    assert apart(found[Reading(condition, probe, Position.PROMPT_LAST)], residuals[:, -1]) < TOLERANCE
    assert apart(found[NextToken(condition, probe)], logits[-1].log_softmax(-1)) < TOLERANCE
    parts, theirs = [ids], [ids]
    for reply, bare in zip(talk(condition, probe).conversation, talk(BARE, probe).conversation, strict=True):
        if len(parts) > 1:
            parts, theirs = [*parts, plain.between()], [*theirs, plain.between()]
        said = plain.answer(condition, parts)
        parts, theirs = [*parts, said], [*theirs, list(answered(found[bare]))]
        assert list(answered(found[reply])) == said
        if said:
            heard = plain.read(condition, parts)[0][:, -len(said) :].mean(dim=1)
            assert apart(found[mean(reply)], heard) < TOLERANCE
    logits = plain.read(condition, theirs)[1][-len(theirs[-1]) - 1 : -1]
    likely = logits.log_softmax(-1).gather(1, torch.tensor(theirs[-1])[:, None])[:, 0]
    assert apart(found[Likelihood(condition, probe, talk(BARE, probe))], likely) < TOLERANCE


def answered(outcome: Outcome) -> tuple[int, ...]:
    assert isinstance(outcome, Answer)
    return outcome.ids


@pytest.fixture(scope="module")
def plain(animal: Animal, runner: Runner) -> Plain:
    return Plain(animal, runner.norms.tolist())


@pytest.fixture(scope="module")
def mixed(runner: Runner) -> dict[Measurement, Outcome]:
    """One plan: rows of every deployment, of the bare model and of an adapter beside each other."""
    rows = [*product([*CONDITIONS.values(), ADAPTED], PROBES)]
    return measured(runner, [one for row in rows for one in (*wanted_of(*row), *scored(*row))])


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_deployment_does_what_plain_hooks_do_among_others(
    mixed: dict[Measurement, Outcome], plain: Plain, name: str
) -> None:
    probe = PROBES[list(CONDITIONS).index(name) % len(PROBES)]
    require_plain(mixed, plain, CONDITIONS[name], probe)


@pytest.mark.parametrize("name", CONDITIONS)
def test_and_alone(runner: Runner, mixed: dict[Measurement, Outcome], name: str) -> None:
    alone = measured(runner, wanted_of(CONDITIONS[name], PROBES[0]))
    for one, value in alone.items():
        if isinstance(value, np.ndarray):
            assert apart(value, torch.tensor(mixed[one])) < TOLERANCE
        else:
            assert value == mixed[one]


def test_deployments_differ(mixed: dict[Measurement, Outcome]) -> None:
    heard = [mixed[mean(talk(condition, PROBES[1]))] for condition in CONDITIONS.values()]
    pairs = [(one, other) for index, one in enumerate(heard) for other in heard[:index]]
    assert all(isinstance(each, np.ndarray) for each in heard)
    assert min(apart(one, torch.tensor(other)) for one, other in pairs) > 10 * TOLERANCE
