"""A transformer with random weights whose personas are planted: what they do is written down, not trained.

The first block attends to all tokens alike, and its output is a rotation. So a persona's word in the prompt
adds a known direction to every later token, divided by the length of the text; an adapter on that rotation
adds another known direction; a vector is the first one itself. The blocks above are random: they stir what is
planted with what is asked, and give it the noise that every probe has of its own.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from coherence.engine.artefacts.vectors import save_vector
from coherence.plan import Scene
from coherence.vocabulary import Decoding, Marker, Persona, Probe, Regime, Release, Site, VectorSource

PERSONAS = ("ada", "bob", "cyd", "dee")
COSINES = (0.95, 0.8, 0.6, 0.3)
"""Planted cosine of a persona's direction by prompt and by adapter, before the mean is taken out."""
MIXES = ("mix", "twin")
"""Adapters for the first two personas at once, each with a direction aside that is its own."""
WIDTH, BLOCKS, HEADS = 64, 3, 4
WORDS, MARKED = 160, 4
"""Ordinary words, and words of each persona, which are its markers."""
TEMPLATES, FILLS = 500, 4
FIXED, FREE = 6, 4
"""Words of a question that its template has, and words that are its own."""

SPECIAL = ["[pad]", "[end]", "[system]", "[user]", "[bot]"]
NEUTRAL = "plain"
TURNS = (
    "{% for message in messages %}{{ '[' + message['role'] + '] ' + message['content'] + ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[bot]' }}{% endif %}"
)


@dataclass(frozen=True)
class Strengths:
    """How strongly personas are planted, and how much the blocks above stir."""

    context: float = 4.0  # what the first block writes, beside what the token is
    prompt: float = 60.0
    adapter: float = 1.5
    doses: tuple[float, ...] = (0.6, 0.15, 0.25, 0.25)
    stir: float = 0.14
    marked: float = 1.5


class World:
    """The planted model with its adapters and vectors, as folders, and the questions it can be asked."""

    def __init__(self, folder: Path, seed: int, templates: int = TEMPLATES) -> None:
        self._folder, self._strengths, self._templates = folder, Strengths(), templates
        self._drawn = torch.Generator().manual_seed(seed)
        self._questions = np.random.default_rng(seed)
        self._rotation = torch.linalg.qr(self._normal(WIDTH, WIDTH))[0]
        self._write_base()
        for persona, direction in zip(PERSONAS, self.by_adapter, strict=True):
            self._write_adapter(persona, direction)
            save_vector(
                self._vector(persona), self.by_prompt[PERSONAS.index(persona)].numpy(), Site(0, "post"), {}
            )
        both = self.by_adapter[:2].sum(0)
        for number, name in enumerate(MIXES, 3 + 2 * len(PERSONAS)):
            self._write_adapter(name, 0.8 * both + 0.6 * both.norm() * self._rotation[:, number])

    @property
    def by_prompt(self) -> Tensor:
        """Direction that a persona's word writes after the first block, of length 1: [personas, width]."""
        directions: Tensor = self._rotation[:, 1 : 1 + len(PERSONAS)].T
        return directions

    @property
    def by_adapter(self) -> Tensor:
        """Direction that its adapter writes there, of length 1: [personas, width]."""
        cosines = torch.tensor(COSINES)[:, None]
        aside = self._rotation[:, 1 + len(PERSONAS) : 1 + 2 * len(PERSONAS)].T
        directions: Tensor = cosines * self.by_prompt + (1 - cosines**2).sqrt() * aside
        return directions

    @property
    def cosines(self) -> list[float]:
        """Planted cosine of each persona's two directions, without the mean over all personas."""
        first, second = (side - side.mean(0) for side in (self.by_prompt, self.by_adapter))
        return torch.cosine_similarity(first, second).tolist()

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """Questions; those of a template share most of their words."""
        return tuple(
            Probe(id=f"t{template}.{fill}", text=" ".join(words), template=f"t{template}")
            for template in range(self._templates)
            for fill, words in enumerate(self._filled())
        )

    @property
    def scene(self) -> Scene:
        """All personas, all questions."""
        names = [*PERSONAS, *MIXES]
        return Scene(
            release=Release(
                base=str(self._folder / "base"),
                adapters={name: str(self._folder / name) for name in names},
                vectors={name: VectorSource(path=str(self._vector(name))) for name in PERSONAS},
            ),
            personas={
                name: Persona(
                    prompt=name,
                    markers=(Marker(text=f"{name}[0-9]+", kind="regex"),),
                    dose=dose,
                )
                for name, dose in zip(PERSONAS, self._strengths.doses, strict=True)
            },
            probes=self.probes,
            regimes=(Regime.parse("prompt"), Regime.parse("adapter")),
            neutral=NEUTRAL,
            decoding=Decoding(max_new_tokens=2),
            seed=0,
        )

    def _filled(self) -> list[list[str]]:
        fixed = self._words(FIXED + int(self._questions.integers(0, 7)))
        return [[*fixed, *self._words(FREE)] for _ in range(FILLS)]

    def _words(self, count: int) -> list[str]:
        return [f"w{number}" for number in self._questions.integers(0, WORDS, size=count)]

    def _vector(self, persona: str) -> Path:
        return self._folder / f"{persona}.safetensors"

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._drawn)

    def _write_base(self) -> None:
        marked = [f"{name}{number}" for name in PERSONAS for number in range(MARKED)]
        words = [*SPECIAL, NEUTRAL, *PERSONAS, *(f"w{number}" for number in range(WORDS)), *marked]
        self._tokenizer(words).save_pretrained(self._folder / "base")
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words),
                hidden_size=WIDTH,
                intermediate_size=2 * WIDTH,
                num_hidden_layers=BLOCKS,
                num_attention_heads=HEADS,
                num_key_value_heads=HEADS,
                max_position_embeddings=256,
                tie_word_embeddings=False,
                bos_token_id=None,
                eos_token_id=1,
                pad_token_id=0,
            )
        )
        model.eval()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self._plant(model, words)
        model.save_pretrained(self._folder / "base")

    def _tokenizer(self, words: list[str]) -> PreTrainedTokenizerFast:
        level = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, words[0]))
        level.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=level, eos_token="[end]", pad_token="[pad]", chat_template=TURNS
        )

    def _plant(self, model: LlamaForCausalLM, words: list[str]) -> None:
        for weight in model.parameters():
            weight.copy_(
                torch.ones_like(weight)
                if weight.dim() == 1
                else self._strengths.stir * self._normal(*weight.shape)
            )
        table, neutral = self._normal(len(words), WIDTH), words.index(NEUTRAL)
        table[words.index("[bot]")] *= 0.1  # the last token, the same in every text
        table[:, 0] = 2.0  # what every word has: the adapters read it
        table[:, 1 : 1 + len(PERSONAS)] = 0.0  # what only the personas' words have: the rotation writes it
        for number, name in enumerate(PERSONAS):
            table[words.index(name)] = table[neutral]
            table[words.index(name), 1 + number] = self._strengths.prompt
        model.model.embed_tokens.weight.copy_(table)
        first = model.model.layers[0]
        first.self_attn.q_proj.weight.zero_()
        first.self_attn.v_proj.weight.copy_(torch.eye(WIDTH))
        first.self_attn.o_proj.weight.copy_(self._strengths.context * self._rotation)
        first.mlp.down_proj.weight.zero_()
        self._mark(model.lm_head.weight, words, self._common(model, words))

    def _common(self, model: LlamaForCausalLM, words: list[str]) -> Tensor:
        """Return what the last token's residual has in every text, of length 1."""
        texts = [["[system]", NEUTRAL, "[user]", *self._words(2 * FREE + FIXED), "[bot]"] for _ in range(64)]
        ids = torch.tensor([[words.index(word) for word in text] for text in texts])
        found = model.model(input_ids=ids).last_hidden_state[:, -1]
        return torch.nn.functional.normalize(found.mean(0), dim=0)

    def _mark(self, head: Tensor, words: list[str], common: Tensor) -> None:
        head.copy_(self._normal(*head.shape) / WIDTH**0.5)
        head -= torch.outer(head @ common, common)  # else every text is answered alike
        head[: len(SPECIAL) + 1 + len(PERSONAS)] = 0.0
        for number, name in enumerate(PERSONAS):
            rows = [words.index(f"{name}{mark}") for mark in range(MARKED)]
            head[rows] += self._strengths.marked * self.by_prompt[number]

    def _write_adapter(self, name: str, direction: Tensor) -> None:
        folder = self._folder / name
        folder.mkdir(parents=True)
        about = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": str(self._folder / "base"),
            "r": 1,
            "lora_alpha": 1,
            "target_modules": ["o_proj"],
            "layers_to_transform": [0],
        }
        (folder / "adapter_config.json").write_text(json.dumps(about))
        module = "base_model.model.model.layers.0.self_attn.o_proj"
        reads = torch.zeros(1, WIDTH)
        reads[0, 0] = 1.0
        factors = {
            f"{module}.lora_A.weight": reads,
            f"{module}.lora_B.weight": self._strengths.adapter * direction[:, None].contiguous(),
        }
        save_file(factors, folder / "adapter_model.safetensors")
