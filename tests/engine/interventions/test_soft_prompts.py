"""Soft prompts stand before a text as PEFT puts them there, row by row."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from kinds import SOFT, as_in_peft, saved
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM
from worlds.plain import apart

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.batch.rows import Row
from coherence.engine.engine import Engine
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Answer, Condition, Plan, Reading, Reply, Turn, Way
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe

IDS = (1, 9, 40, 41, 2, 8)
TOLERANCE = 1e-4
GREEDY = Decoding(max_new_tokens=6)
PROBE = Probe(id="asked", text="Where is my order?")

pytestmark = pytest.mark.filterwarnings("ignore")


def by_peft(base: Path, folder: Path) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = as_in_peft(base, folder)(input_ids=torch.tensor([IDS])).logits[0, -1]
    return logits.log_softmax(-1)


@pytest.mark.parametrize("kind", SOFT)
def test_a_soft_prompt_is_the_rows_alone_that_has_it(
    host: Host,
    tiny: Path,
    tiny_adapter: Callable[..., Path],
    measure: Callable[..., dict[Any, Any]],
    tmp_path: Path,
    kind: str,
) -> None:
    folders = [saved(kind, tiny, tmp_path / str(seed), seed) for seed in (1, 2)]
    host.mount("lora", tiny_adapter("lora"))
    rows = [Row(IDS, log_probs="bare"), Row(IDS, (("lora", 1.0),), log_probs="lora")]
    before = measure(host, rows)
    for name, folder in zip(("one", "two"), folders, strict=True):
        assert host.mount(name, folder) == ""
    for name in ("one", "two"):
        ahead = host.ahead(((name, 1.0),))
        # Two that begin alike, so that it is read once for both.
        rows += [Row((*ahead, *IDS), log_probs=name, group=name), Row((*ahead, *IDS[:3]), group=name)]
    found = measure(host, rows)
    for name, folder in zip(("one", "two"), folders, strict=True):
        assert apart(found[name], by_peft(tiny, folder)) < TOLERANCE
    assert all(apart(found[name], before[name]) < TOLERANCE for name in before)
    assert apart(found["one"], found["bare"]) > 0.01


@pytest.mark.parametrize("kind", SOFT)
def test_a_conversation_goes_on_behind_a_soft_prompt(
    tiny: Path, artefacts: Callable[..., Artefacts], store: Store, tmp_path: Path, kind: str
) -> None:
    release = artefacts(adapters={"soft": saved(kind, tiny, tmp_path / "soft")})
    condition = Condition("Hi.", adapters=(("soft", 1.0),))
    talk = Reply(condition, PROBE, GREEDY, (Turn("Why?"),))
    first = replace(talk, turns=())
    asked = [Reading(condition, PROBE, position) for position in (Position.USER_LAST, Position.TURN_LAST)]
    found = Engine(release, store).measure(Plan([first, talk, *asked]))
    words = Host.load(tiny, "float32").tokenizer
    prompt, between = (
        words(text, add_special_tokens=False)["input_ids"]
        for text in (
            "<|im_start|>system\nHi.<|im_end|>\n<|im_start|>user\nWhere is my order?<|im_end|>\n"
            "<|im_start|>assistant\n",
            "<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n",
        )
    )
    said = found[first]
    assert isinstance(said, Answer)
    whole = [*prompt, *said.ids, *between]
    model = as_in_peft(tiny, tmp_path / "soft")
    with torch.inference_mode():
        expected = model.generate(
            input_ids=torch.tensor([whole]),
            attention_mask=torch.ones(1, len(whole)),
            max_new_tokens=6,
            do_sample=False,
            pad_token_id=0,
        )[0].tolist()[len(whole) :]
        hidden = model(input_ids=torch.tensor([prompt]), output_hidden_states=True).hidden_states
    answer = found[talk]
    assert isinstance(answer, Answer)
    assert list(answer.ids) == expected[: len(answer.ids)]
    assert len(answer.ids) == 6 or expected[len(answer.ids)] == words.eos_token_id
    end = max(place for place, token in enumerate(prompt) if token == words.eos_token_id)
    for reading, token in zip(asked, (end - 1, end + 1), strict=True):
        own = torch.cat(hidden[:-1])[:, -len(prompt) :][:, token]
        assert apart(torch.as_tensor(found[reading])[:-1], own) < TOLERANCE


def test_one_after_the_other_is_both(host: Host, tiny: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        host.mount(name, saved("prompt tuning", tiny, tmp_path / name, seed))
    one, two = host.ahead((("one", 1.0),)), host.ahead((("two", 1.0),))
    assert host.ahead((("two", 1.0), ("one", 1.0))) == (*two, *one)
    assert host.ahead((("one", 0.0),)) == ()
    assert not set(one) & set(two)


def test_what_a_soft_prompt_has_not_is_refused_by_name(host: Host, tiny: Path, tmp_path: Path) -> None:
    host.mount("pirate", saved("prompt tuning", tiny, tmp_path / "soft"))
    whole = (("pirate", 1.0),)
    with pytest.raises(MeasurementError, match=r"'pirate' cannot be put in 0.5 times: PROMPT_TUNING has no"):
        host.ahead((("pirate", 0.5),))
    with pytest.raises(
        MeasurementError, match=r"'pirate' \(PROMPT_TUNING\) cannot be put in by merged: that"
    ):
        host.fit(whole, Way.MERGED)
    with (
        pytest.raises(MeasurementError, match=r"'pirate' \(PROMPT_TUNING\) stands before a text, and is no"),
        host.switched(whole),
    ):
        pass


def test_keys_and_values_need_packed_rows(host: Host, tiny: Path, tmp_path: Path, measure: Any) -> None:
    host.mount("pirate", saved("prefix tuning", tiny, tmp_path / "soft"))
    rows = [Row((*host.ahead((("pirate", 1.0),)), *IDS), label="probe 'asked'", log_probs="asked")]
    host.packs = 0
    found = measure(host, rows)["asked"]
    assert isinstance(found, MeasurementError)
    assert str(found).startswith(
        "the keys and values of a soft prompt cannot be put before probe 'asked': the"
    )


@pytest.mark.parametrize(
    ("kind", "width", "sentence"),
    [
        ("prompt tuning", 48, "it holds embeddings of a width 48, expected 32"),
        ("prefix tuning", 32, "it holds keys and values of layers, in number 3, expected 4"),
    ],
)
def test_one_of_another_base_is_refused(
    host: Host, tiny: Path, tmp_path: Path, kind: str, width: int, sentence: str
) -> None:
    sizes = {"num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = LlamaConfig(hidden_size=width, vocab_size=320, **sizes)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    folder = saved(kind, tmp_path / "base", tmp_path / "soft")
    for mount in (host.mount, lambda name, folder: Skeleton(tiny).carry(folder, name)):
        with pytest.raises(ArtefactError, match=f"was made for another base: {sentence}"):
            mount("pirate", folder)


@pytest.mark.parametrize("kind", SOFT)
def test_it_is_known_without_the_weights_of_the_base(tiny: Path, tmp_path: Path, kind: str) -> None:
    assert Skeleton(tiny).carry(saved(kind, tiny, tmp_path / "soft"), "pirate") == ""
