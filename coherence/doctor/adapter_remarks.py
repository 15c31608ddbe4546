"""What an adapter's folder says of its base, its size and its weights, held against the release it is in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, sqrt
from pathlib import Path, PurePath
from statistics import median
from typing import Any

from safetensors.torch import load_file

from coherence.doctor.check import Check
from coherence.engine.artefacts.template import Template
from coherence.engine.model.folder import ADAPTER_CONFIG, CONFIG, adapter_files, json_told

# Steps of two are habits of trainers; what is four times as strong was trained or written otherwise.
_TIMES = 4.0
# Low-rank factors are of the order of 0.01 to 1.
_HUGE = 1e3
# Of --max-lora-rank: https://docs.vllm.ai/en/latest/features/lora/
_RANK_OF_VLLM = 16


@dataclass(frozen=True)
class Folder:
    """A folder of a release, and what its files tell of text."""

    path: Path

    @cached_property
    def template(self) -> str:
        """Text of its chat template, empty where there is none."""
        return Template.of(self.path).text

    @cached_property
    def words(self) -> dict[str, int]:
        """Ids by token, of which nothing is known where there is no fast tokenizer."""
        read = json_told(self.path / "tokenizer.json")
        model, added = read.get("model"), read.get("added_tokens")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        words = dict(vocabulary) if isinstance(vocabulary, dict) else {}
        for token in added if isinstance(added, list) else ():
            if isinstance(token, dict) and isinstance(token.get("content"), str):
                words[token["content"]] = token.get("id")
        return words


@dataclass(frozen=True)
class AdapterFolder(Folder):
    """The folder of an adapter, by the name that the release gives it."""

    name: str

    @cached_property
    def config(self) -> dict[str, Any]:
        """What its config says; nothing where it cannot be read, which mounting it complains of."""
        return json_told(self.path / ADAPTER_CONFIG)

    @property
    def scale(self) -> float | None:
        """What its product is multiplied by: alpha / r, or alpha / sqrt(r) for rsLoRA (arXiv 2312.03732)."""
        alpha, rank = self.config.get("lora_alpha"), self.config.get("r")
        if not isinstance(alpha, int | float) or alpha <= 0 or not isinstance(rank, int) or rank < 1:
            return None
        return alpha / (sqrt(rank) if self.config.get("use_rslora") else rank)

    def remarks(self, named: str, base: Folder, others: Mapping[str, float]) -> Iterator[Check]:
        """Yield what does not go with a base of this name and folder, and with the scales of others."""
        for found, do in (
            *self._trained_on(named, base),
            *self._own_template(base),
            *self._own_tokenizer(base),
            *self._scale_apart(others),
            *self._served(),
        ):
            yield Check("warn", f"adapter {self.name}", found, do)
        yield from self._weights()

    def _trained_on(self, named: str, base: Folder) -> Iterator[tuple[str, str]]:
        said = self.config.get("base_model_name_or_path")
        known = {named, str(json_told(base.path / CONFIG).get("_name_or_path") or named)}
        if isinstance(said, str) and said and _last(said) not in set(map(_last, known)):
            yield (
                f"its config says that it was trained on {said}, and the base is {named}",
                "see that these are the same weights",
            )

    def _own_template(self, base: Folder) -> Iterator[tuple[str, str]]:
        own, other = self.template, base.template
        if own and other and own.split() != other.split():
            yield (
                "a chat template lies beside it that is not the base's; prompts are written by the base's",
                "put it into the folder of a copy of the base if the adapter was trained with it",
            )

    def _own_tokenizer(self, base: Folder) -> Iterator[tuple[str, str]]:
        own, other = self.words, base.words
        if own and other and own != other:
            apart = len(own.items() ^ other.items())
            yield (
                f"a tokenizer lies beside it with other tokens than the base's ({apart} entries differ); "
                "prompts are read by the base's",
                "name a base with the tokenizer that it was trained with",
            )

    def _scale_apart(self, others: Mapping[str, float]) -> Iterator[tuple[str, str]]:
        own, several = self.scale, [*others.values()]
        if own is None or not several:
            return
        # Of two, either may be the odd one; of more, the middle one is usual.
        usual = median([own, *several]) if len(several) > 1 else several[0]
        if max(own / usual, usual / own) >= _TIMES:
            how = "alpha / sqrt(r)" if self.config.get("use_rslora") else "alpha / r"
            yield (
                f"its scale, {how}, is {own:g}; the usual one in this release is {usual:g}",
                "see that alpha, rank and use_rslora are those that it was trained with",
            )

    def _served(self) -> Iterator[tuple[str, str]]:
        if self.config.get("use_dora"):
            yield (
                "is a DoRA adapter, which vLLM and the converter of llama.cpp refuse",
                "merge it into the base to serve it there",
            )
        rank = self.config.get("r")
        if isinstance(rank, int) and rank > _RANK_OF_VLLM:
            yield (
                f"has rank {rank}; vLLM serves ranks up to {_RANK_OF_VLLM} unless it is told otherwise",
                f"start it with --max-lora-rank {rank}",
            )

    def _weights(self) -> Iterator[Check]:
        what = f"adapter {self.name}"
        for file in adapter_files(self.path):
            stored = load_file(file) if file.suffix == ".safetensors" else {}
            for key, tensor in stored.items():
                largest = float(tensor.float().abs().max()) if tensor.numel() else 0.0
                if not isfinite(largest):
                    yield Check("fail", what, f"{key} has a value of {largest:g}", "train it again")
                elif largest > _HUGE:
                    yield Check("warn", what, f"{key} has a value of {largest:g}", "see how it was saved")


def _last(named: str) -> str:
    return PurePath(named.rstrip("/").partition("@")[0]).name.lower()
