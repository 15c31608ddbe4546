"""What most research code does: plain transformers and PEFT, one condition at a time, every hidden state."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from work import TURNS, Work

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.model.chat import Chat
from coherence.plan import CALIBRATION, NEUTRAL, Condition, Scene, Steer
from coherence.vocabulary import Probe, Site


class Naive:
    """The reference model with all adapters of a scene; nothing of our engine but the rendered prompts."""

    def __init__(self, scene: Scene) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        warnings.simplefilter("ignore", FutureWarning)
        artefacts = Artefacts.of(scene)
        self.tokenizer = AutoTokenizer.from_pretrained(artefacts.base, padding_side="left")
        model: Any = AutoModelForCausalLM.from_pretrained(artefacts.base, dtype=torch.float32)
        self.blocks: nn.ModuleList = model.model.layers
        first, *others = scene.release.adapters
        self.model: Any = PeftModel.from_pretrained(model, artefacts.adapter(first), adapter_name=first)
        for name in others:
            self.model.load_adapter(artefacts.adapter(name), adapter_name=name)
        self.model.eval()
        self._vectors = scene.release.vectors
        self._delta = cache(self._made_delta)

    def texts(self, condition: Condition, probes: Sequence[Probe]) -> list[str]:
        """Render the prompts."""
        return [Chat(self.tokenizer).render(condition, probe) for probe in probes]

    def collect(self, work: Work, size: int) -> np.ndarray:
        """Means over questions at the last token, [conditions, sites, width]; `size` prompts a batch."""
        depths = [block + 1 for block in work.blocks]

        def run(inputs: dict[str, Tensor]) -> Tensor:
            states = self.model(**inputs, output_hidden_states=True).hidden_states
            return torch.stack([states[depth][:, -1] for depth in depths], dim=1)

        found = torch.cat(list(self._run(work, size, run)))
        return found.reshape(-1, len(work.probes), *found.shape[1:]).mean(dim=1).numpy()

    def generate(self, work: Work, size: int) -> list[str]:
        """Greedy replies, condition by condition, in batches of `size` prompts."""

        def run(inputs: dict[str, Tensor]) -> list[str]:
            ids = self.model.generate(**inputs, max_new_tokens=work.tokens, do_sample=False)
            new = ids[:, inputs["input_ids"].shape[1] :]
            return [text.strip() for text in self.tokenizer.batch_decode(new, skip_special_tokens=True)]

        return [text for texts in self._run(work, size, run) for text in texts]

    def converse(self, work: Work, size: int) -> tuple[list[str], np.ndarray]:
        """Six turns, the transcript read again in each, and once more for the means of each reply.

        Replies, and their means at the deepest site [replies, width], conversation by conversation.
        """
        found: list[tuple[str, np.ndarray]] = []
        for condition in work.conditions:
            for start in range(0, len(work.talks), size):
                with torch.inference_mode(), self._under(condition):
                    found += self._talks(condition, work.talks[start : start + size], work)
        return [text for text, _ in found], np.stack([mean for _, mean in found])

    def _talks(
        self, condition: Condition, probes: Sequence[Probe], work: Work
    ) -> list[tuple[str, np.ndarray]]:
        talks = [
            self.tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in self.texts(condition, probes)
        ]
        between = Chat(self.tokenizer).turns_after(condition, probes[0], TURNS)
        said: list[list[tuple[str, np.ndarray]]] = [[] for _ in probes]
        for turn in range(len(TURNS) + 1):
            replies = self._replies(talks, work.tokens)
            talks = [[*talk, *reply] for talk, reply in zip(talks, replies, strict=True)]
            texts = self.tokenizer.batch_decode(replies, skip_special_tokens=True)
            for one, text, mean in zip(said, texts, self._means(talks, replies, work), strict=True):
                one.append((text.strip(), mean))
            if turn < len(TURNS):
                talks = [[*talk, *between[turn]] for talk in talks]
        return [pair for one in said for pair in one]

    def _replies(self, talks: list[list[int]], tokens: int) -> list[list[int]]:
        inputs = self.tokenizer.pad({"input_ids": talks}, return_tensors="pt")
        ids = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        ends = {self.tokenizer.eos_token_id, self.tokenizer.pad_token_id}
        new = ids[:, inputs["input_ids"].shape[1] :].tolist()
        return [[*takewhile(lambda token: token not in ends, row)] for row in new]

    def _means(self, talks: list[list[int]], replies: list[list[int]], work: Work) -> list[np.ndarray]:
        inputs = self.tokenizer.pad({"input_ids": talks}, return_tensors="pt")
        states = self.model(**inputs, output_hidden_states=True).hidden_states[max(work.blocks) + 1]
        return [row[-len(reply) :].mean(dim=0).numpy() for row, reply in zip(states, replies, strict=True)]

    def _run(self, work: Work, size: int, run: Callable[[dict[str, Tensor]], Any]) -> Iterator[Any]:
        for condition, probes in work.batches(size):
            with torch.inference_mode(), self._under(condition):
                yield run(self._inputs(condition, probes))

    def _inputs(self, condition: Condition, probes: Sequence[Probe]) -> dict[str, Tensor]:
        texts = self.texts(condition, probes)
        return dict(self.tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt"))

    @contextmanager
    def _under(self, condition: Condition) -> Iterator[None]:
        hooks = [self._steered(*self._delta(steer)) for steer in condition.steers]
        try:
            if condition.adapters:
                ((name, weight),) = condition.adapters
                assert weight == 1
                self.model.set_adapter(name)
                yield
            else:
                with self.model.disable_adapter():
                    yield
        finally:
            for hook in hooks:
                hook.remove()

    def _steered(self, block: int, delta: Tensor) -> RemovableHandle:
        # Prepended: transformers collects hidden states with hooks of its own.
        return self.blocks[block].register_forward_hook(lambda *call: call[2] + delta, prepend=True)

    def _made_delta(self, steer: Steer) -> tuple[int, Tensor]:
        with safe_open(self._vectors[steer.vector].path, framework="pt") as file:
            vector, site = file.get_tensor("vector").double(), Site.parse(file.metadata()["site"])
        unit = vector / vector.norm() * self._norm(site.depth)
        return site.block, (steer.dose * unit).float()

    def _norm(self, depth: int) -> float:
        medians = []
        for probe in CALIBRATION:
            with self.model.disable_adapter():
                states = self.model(**self._inputs(Condition(NEUTRAL), [probe]), output_hidden_states=True)
            medians.append(float(states.hidden_states[depth][0, 1:].norm(dim=-1).median()))
        return float(np.median(medians))
