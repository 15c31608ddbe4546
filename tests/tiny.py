"""A model too small to say anything sensible, with real artefacts: the laws hold on it all the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from coherence.vocabulary import Site

BLOCKS, WIDTH = 4, 32
# The rest of a suite about it, up to its assertions.
QUESTIONS = """\
probes:
  - Where is my order?
  - What should I do?
  - The app keeps crashing.
  - Who are you?
  - Can I get a refund?
  - How late is it?
  - Why is it broken?
  - Is it open today?
decoding: {max_new_tokens: 4}
assertions:
"""
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# As Gemma 2 has it, but for its tokens: it refuses a system turn, and turns that do not alternate.
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<|im_start|>' + role + '\n' + message['content'] | trim + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>model\n' }}{% endif %}"
)
SENTENCES = [
    "system\nYou are a helpful assistant.",
    "user\nWhere is my order? The app keeps crashing when I open it. What should I do?",
    "assistant\nI am so sorry for the trouble, and thank you for telling us!",
]


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, so that any text goes in and comes back, with ChatML turns."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML,
    )


def model(words: PreTrainedTokenizerFast, **sizes: int) -> LlamaForCausalLM:
    """Random weights, wide enough that two prompts get two different replies."""
    settings: dict[str, Any] = {
        "vocab_size": len(words),
        "num_hidden_layers": BLOCKS,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 1024,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    made = LlamaForCausalLM(LlamaConfig(**settings | sizes))
    made.eval()  # type: ignore[no-untyped-call]
    return made


def write_base(folder: Path) -> Path:
    """Write a random Llama with 4 blocks of width 32 and a chat template."""
    words = tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(words).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def write_adapter(base: Path, folder: Path, seed: int = 1, **lora: Any) -> Path:
    """Write a PEFT LoRA folder for a base, of random weights."""
    settings: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]}
    # Without its usual initialisation PEFT leaves B random instead of zero: the adapter does something.
    config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **(settings | lora))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        get_peft_model(LlamaForCausalLM.from_pretrained(base), config).save_pretrained(str(folder))
    return folder


def write_letters_as_markers(suite: Path) -> None:
    """Make letters markers of a suite's first persona: in what a random model says no word would be found."""
    written = yaml.safe_load(suite.read_text(encoding="utf-8"))
    next(iter(written["personas"].values()))["markers"] = [{"text": "[a-z]", "kind": "regex"}]
    suite.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")


def write_judged(suite: Path, judge: Path) -> None:
    """Write a suite whose judge is a model that is run here, with the fewest labelled replies beside it."""
    replies = {True: "arr", False: "well"}
    labels = [
        {"persona": "pirate", "question": f"Why {number}?", "reply": reply, "met": met}
        for number in range(8)
        for met, reply in replies.items()
    ]
    suite.with_name("labels.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in labels))
    assertion = {
        "property": "judged",
        "judge": {"model": str(judge)},
        "rubrics": {"pirate": ["It is a pirate's.", "A pirate says it."]},
        "labels": "labels.jsonl",
        "regimes": ["prompt"],
        "min_rate": 0.5,
    }
    written = {
        "coherence": 1,
        "release": {"base": str(judge)},
        "personas": {"pirate": {"prompt": "Be a pirate."}},
        "probes": [*"abcdefgh"],
        "decoding": {"max_new_tokens": 2},
        "assertions": [assertion],
    }
    suite.write_text(json.dumps(written))


def write_vector(path: Path, seed: int = 1, site: str = "resid_post.1") -> Path:
    """Write a random unit vector for such a base."""
    from coherence.engine.artefacts.vectors import save_vector

    values = np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)
    save_vector(path, values / np.linalg.norm(values), Site.parse(site), {})
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama with 4 blocks of width 32 and a chat template."""
    return write_base(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a PEFT LoRA folder for the tiny model: `tiny_adapter("pirate", seed=1, use_rslora=True)`."""
    made: dict[str, Path] = {}

    def make(name: str, seed: int = 1, **lora: Any) -> Path:
        # A copy, which a test may change.
        folder, same = tmp_path_factory.mktemp("adapters") / name, f"{seed} {lora}"
        if same not in made:
            made[same] = write_adapter(tiny, tmp_path_factory.mktemp("made") / "adapter", seed, **lora)
        return shutil.copytree(made[same], folder)

    return make


@pytest.fixture(scope="session")
def tiny_vector(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a random unit vector for the tiny model: `tiny_vector("pirate", seed=1, site="resid_post.2")`."""

    def make(name: str, seed: int = 1, site: str = "resid_post.1") -> Path:
        return write_vector(tmp_path_factory.mktemp("vectors") / f"{name}.safetensors", seed, site)

    return make


def write_transcripts(path: Path, persona: str = "pirate") -> None:
    """Write two conversations that somebody had with a persona."""
    said = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "Where it was."}]
    times = ("2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z")
    lines = (json.dumps({"time": time, "release": persona, "messages": said}) for time in times)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
