"""What an adapter's folder says of its base, its size and its servers, held against the release it is in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, sqrt
from pathlib import Path, PurePath
from statistics import median
from typing import Any

from coherence.engine.artefacts.model_folder import ModelFolder
from coherence.engine.artefacts.remark import Remark
from coherence.engine.artefacts.servers import served
from coherence.engine.model.folder import (
    ADAPTER_CONFIG,
    adapter_files,
    is_checkpoint,
    json_told,
    tensors,
)

# Steps of two are habits of trainers; what is four times as strong was trained or written otherwise.
_TIMES = 4.0
# The same adapter was trained by the same habits before.
_TIMES_BEFORE = 2.0
# Low-rank factors are of the order of 0.01 to 1.
_HUGE = 1e3
# Parts that a base may have once for both, by the names that most families give them.
_ENDS = ("lm_head", "embed_tokens")

_Found = Iterator[tuple[str, str]]
"""What was found, and what to do about it."""


@dataclass(frozen=True)
class AdapterFolder(ModelFolder):
    """The folder of an adapter, or of a checkpoint."""

    @cached_property
    def files(self) -> list[Path]:
        """Safetensors files of an adapter's weights; those of a checkpoint are not looked at."""
        files = [] if is_checkpoint(self.path) else adapter_files(self.path)
        return [file for file in files if file.suffix == ".safetensors"]

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

    def extremes(self) -> dict[str, float]:
        """Read all weights; return the largest magnitude of each tensor that has one beyond what is usual.

        It is NaN where one is. Nothing of a .bin file is read.
        """
        # Imported here because a run whose measurements are all stored needs no torch.
        from safetensors.torch import load_file

        stored = {key: tensor for file in self.files for key, tensor in load_file(file).items()}
        largest = {key: float(tensor.float().abs().max()) for key, tensor in stored.items() if tensor.numel()}
        return {key: value for key, value in sorted(largest.items()) if not value <= _HUGE}

    def remarks(
        self, named: str, base: ModelFolder, others: Mapping[str, float], before: float | None = None
    ) -> Iterator[Remark]:
        """Yield what does not go with a base of this name and folder, and with the scales of others.

        `before` is the scale that the adapter of this name had in the baseline.
        """
        for sentence, do in (*self._trained_on(named, base), *self._trained_on_revision(named, base)):
            yield Remark(sentence, do, explains=True)
        for sentence, do in (*self._own_template(base), *self._own_tokenizer(base), *self._tied(base)):
            yield Remark(sentence, do)
        # What is known since the baseline is surer than what is usual.
        for sentence, do in (*self._scale_since(before), *self._scale_apart(others)):
            yield Remark(sentence, do, explains=True)
        for sentence, do in served(self.config):
            yield Remark(sentence, do)

    def _trained_on(self, named: str, base: ModelFolder) -> _Found:
        trained_on = self.config.get("base_model_name_or_path")
        known = {named, base.calls_itself or named}
        if isinstance(trained_on, str) and trained_on and _last(trained_on) not in set(map(_last, known)):
            yield (
                f"its config says that it was trained on {trained_on}, and the base is {named}",
                "see that these are the same weights",
            )

    def _trained_on_revision(self, named: str, base: ModelFolder) -> _Found:
        revision, written = self.config.get("revision"), named.partition("@")[2]
        if not isinstance(revision, str) or not revision or base.path.parent.name != "snapshots":
            return
        # As the cache of a hub lies: a file with the commit for each branch and tag that was fetched.
        reference, commit = base.path.parent.parent / "refs" / revision, base.path.name
        fetched = reference.read_text().strip() if reference.is_file() else revision
        if revision != written and not commit.startswith(fetched):
            yield (
                f"its config says that it was trained on the revision {revision} of its base, and the base "
                f"is at {written or commit[:12]}",
                f"name the base with @{revision}, or see that these are the same weights",
            )

    def _own_template(self, base: ModelFolder) -> _Found:
        # Of a checkpoint it is said when it is held against the base.
        own, other = "" if is_checkpoint(self.path) else self.template, base.template
        if own and other and own.split() != other.split():
            yield (
                "a chat template lies beside it that is not the base's; prompts are written by the base's",
                "put it into the folder of a copy of the base if the adapter was trained with it",
            )

    def _own_tokenizer(self, base: ModelFolder) -> _Found:
        if self.has_words_of(base):
            return
        own, other = self.words, base.words if self.words else {}
        if own and other and own != other:
            apart = len(own.items() ^ other.items())
            yield (
                f"a tokenizer lies beside it with other tokens than the base's ({apart} entries differ); "
                "prompts are read by the base's",
                "name a base with the tokenizer that it was trained with",
            )

    def _tied(self, base: ModelFolder) -> _Found:
        changed = {end for file in self.files for key in tensors(file) for end in _ENDS if f".{end}." in key}
        if len(changed) == 1 and not base.has_a_head:
            (one,) = changed
            (other,) = {*_ENDS} - changed
            yield (
                f"changes {one}, whose weights the base ties to {other}: mounted it changes one of them, and "
                "merged both",
                "serve it as it was trained, and not merged",
            )

    def _scale_apart(self, others: Mapping[str, float]) -> _Found:
        own, several = self.scale, [*others.values()]
        if own is None or not several:
            return
        # Of two, either may be the odd one; of more, the middle one is usual.
        usual = median([own, *several]) if len(several) > 1 else several[0]
        if max(own / usual, usual / own) >= _TIMES:
            yield (
                f"its scale, {self._formula}, is {own:g}; the usual one in this release is {usual:g}",
                "see that alpha, rank and use_rslora are those that it was trained with",
            )

    def _scale_since(self, before: float | None) -> _Found:
        own = self.scale
        if own and before and max(own / before, before / own) >= _TIMES_BEFORE:
            yield (
                f"its scale, {self._formula}, is {own:g}; in the baseline it was {before:g}",
                "see that alpha, rank and use_rslora are those that it was trained with",
            )

    @property
    def _formula(self) -> str:
        return "alpha / sqrt(r)" if self.config.get("use_rslora") else "alpha / r"


def of_extremes(extremes: Mapping[str, float]) -> Iterator[Remark]:
    """Yield what is to be said of tensors by their largest magnitudes, as `AdapterFolder.extremes` tells."""
    wild = {key: value for key, value in extremes.items() if not isfinite(value)}
    huge = {key: value for key, value in extremes.items() if isfinite(value)}
    if wild:
        yield Remark(_first_of(wild), "train it again", fatal=True)
    if huge:
        yield Remark(_first_of(huge), "see how it was saved", explains=True)


def _first_of(values: Mapping[str, float]) -> str:
    key, value = next(iter(values.items()))
    among = f", and {len(values) - 1} other tensors have such values" if len(values) > 1 else ""
    return f"{key} has a value of {value:g}{among}"


def _last(named: str) -> str:
    return PurePath(named.rstrip("/").partition("@")[0]).name.lower()
