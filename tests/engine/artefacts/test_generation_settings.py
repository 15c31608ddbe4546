import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.generation_settings import GenerationSettings
from coherence.engine.artefacts.keys import key_of
from coherence.engine.engine import Engine
from coherence.errors import ArtefactError
from coherence.plan import NEUTRAL, Answer, Condition, Plan, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Probe

SHIPPED = Decoding.model_validate({"as": "shipped", "max_new_tokens": 12, "seed": 3})
# As Llama 3 and Qwen 2.5 have them.
LLAMA = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [2, 7]}
QWEN = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}
REPLY = Reply(Condition(NEUTRAL), Probe(id="order", text="Where is my order?"), SHIPPED)


@pytest.fixture
def base(tiny: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the tiny model, with these settings in its generation_config.json."""
    folder = shutil.copytree(tiny, tmp_path / "base")

    def make(**settings: Any) -> Path:
        config = json.loads((tiny / "generation_config.json").read_text())
        (folder / "generation_config.json").write_text(json.dumps(config | settings))
        return folder

    return make


@pytest.mark.parametrize("ends", ["x", True, -1, [2, "x"], {"a": 1}, 2.5])
def test_ends_of_replies_that_are_no_ids_of_tokens_are_refused(
    base: Callable[..., Path], ends: object
) -> None:
    sentence = (
        r"generation_config\.json sets eos_token_id to .*; expected the id of a token, or a list of them"
    )
    with pytest.raises(ArtefactError, match=sentence):
        GenerationSettings.of(base(eos_token_id=ends))


@pytest.mark.parametrize(
    ("settings", "decoding"),
    [
        ({}, {}),
        (LLAMA, {"temperature": 0.6, "top_p": 0.9, "top_k": 50}),
        (QWEN, {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}),
        # `generate` draws nothing here, and the penalty is no matter of drawing.
        ({"temperature": 0.6, "top_p": 0.9}, {}),
        ({"do_sample": False, "repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
        ({"do_sample": True, "top_k": 0}, {"temperature": 1.0, "top_k": 0}),
        ({"num_beams": 1, "no_repeat_ngram_size": 0, "suppress_tokens": []}, {}),
    ],
    ids=str,
)
def test_what_a_base_ships(
    base: Callable[..., Path], settings: dict[str, Any], decoding: dict[str, Any]
) -> None:
    folder = base(**settings)
    found = GenerationSettings.of(folder).applied(SHIPPED)
    assert found == Decoding(max_new_tokens=12, seed=3, **decoding)
    # As transformers fills the settings in.
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    config, _ = model._prepare_generation_config(None)
    assert config.do_sample == (found.temperature > 0)
    assert config.repetition_penalty == found.repetition_penalty
    if config.do_sample:
        assert (config.temperature, config.top_k, config.top_p, config.min_p or 0) == (
            found.temperature,
            found.top_k,
            found.top_p,
            found.min_p,
        )


def test_settings_in_the_config_alone(base: Callable[..., Path]) -> None:
    folder = base()
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"repetition_penalty": 1.3}))
    assert GenerationSettings.of(folder).applied(SHIPPED).repetition_penalty == 1.3
    assert AutoModelForCausalLM.from_pretrained(folder).generation_config.repetition_penalty == 1.3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_beams": 4}, "generation_config.json sets num_beams to 4, which is not done here; expected"),
        ({"do_sample": True, "temperature": "hot"}, "generation_config.json: temperature: Input should be"),
        ({"do_sample": True, "temperature": 0}, "generation_config.json: its settings: Value error, top_k"),
    ],
)
def test_what_cannot_be_applied(
    base: Callable[..., Path], artefacts: Callable[..., Artefacts], settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ArtefactError) as problem:
        artefacts(base=str(base(**settings))).decoding(SHIPPED)
    assert sentence in problem.value.sentence
    assert problem.value.sentence.startswith("base ")


def test_settings_that_cannot_be_read(base: Callable[..., Path]) -> None:
    folder = base()
    (folder / "generation_config.json").write_text("{")
    with pytest.raises(ArtefactError, match=r"^cannot be loaded: generation_config.json is not JSON"):
        GenerationSettings.of(folder)


def test_the_key_says_what_is_applied(base: Callable[..., Path], artefacts: Callable[..., Artefacts]) -> None:
    folder = base(**QWEN)
    told = key_of(REPLY, artefacts(base=str(folder)))["decoding"]
    assert told == {"max_new_tokens": 12, "temperature": 0.7, "seed": 3, "top_k": 20, "top_p": 0.8} | {
        "repetition_penalty": 1.05
    }
    # A base that is shipped greedy says what it says to anybody.
    folder = base()
    greedy = Reply(REPLY.condition, REPLY.probe, Decoding(max_new_tokens=12, seed=3))
    release = artefacts(base=str(folder))
    assert key_of(REPLY, release) == key_of(greedy, release)


def test_replies_are_drawn_as_shipped(
    base: Callable[..., Path], artefacts: Callable[..., Artefacts], store: Store
) -> None:
    def said(decoding: Decoding) -> Answer:
        reply = Reply(REPLY.condition, REPLY.probe, decoding)
        found = Engine(artefacts(base=str(folder)), store).measure(Plan([reply]))[reply]
        assert isinstance(found, Answer), found
        return found

    folder = base(do_sample=True, temperature=1.4, top_k=7, repetition_penalty=1.4)
    stated = Decoding(max_new_tokens=12, seed=3, temperature=1.4, top_k=7, repetition_penalty=1.4)
    assert said(SHIPPED) == said(stated)
    assert said(SHIPPED) != said(Decoding(max_new_tokens=12))


@pytest.mark.parametrize(
    ("settings", "decoding", "sentence"),
    [
        ({}, {}, None),
        (LLAMA, {"temperature": 0.6, "top_p": 0.9, "top_k": 50}, None),
        (
            LLAMA,
            {},
            "replies follow eos_token_id of the base's generation_config.json, and not temperature 0.6, "
            "top_k 50, top_p 0.9; under `decoding: {as: shipped}` they do",
        ),
        (
            LLAMA,
            {"temperature": 0.6},
            "replies follow eos_token_id and temperature of the base's generation_config.json, and not top_k",
        ),
        ({"no_repeat_ngram_size": 3}, {}, "and not no_repeat_ngram_size 3"),
        ({"temperature": 0.6, "top_p": 0.9}, {}, None),
        (
            QWEN,
            {"as": "shipped"},
            "replies are decoded as the base's generation_config.json says: drawn, temperature 0.7, "
            "top_k 20, repetition_penalty 1.05, top_p 0.8",
        ),
        ({}, {"as": "shipped"}, "replies are decoded as the base's generation_config.json says: greedy"),
        (
            {},
            {"as": "shipped", "samples": 4},
            "says: greedy, so that the 4 replies to a probe are one and the same",
        ),
    ],
    ids=str,
)
def test_what_is_applied_and_what_is_not_is_said(
    base: Callable[..., Path], settings: dict[str, Any], decoding: dict[str, Any], sentence: str | None
) -> None:
    said = GenerationSettings.of(base(**settings)).remark(Decoding.model_validate(decoding))
    assert said == sentence if said is None or sentence is None else sentence in said
