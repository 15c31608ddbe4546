"""Checkpoints: the weights of another training of the base, in the place of the base's for whole batches."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from coherence.engine.interventions.grafts import Dial, Graft
from coherence.engine.model.folder import CONFIG
from coherence.engine.model.loading import load_model, load_skeleton, load_tokenizer
from coherence.errors import ArtefactError
from coherence.plan import CALIBRATION

KIND = "checkpoint"
# Settings that say nothing of what a model computes for a text, or only while it is trained.
_IDLE = frozenset(
    {
        *(
            "_name_or_path",
            "_model_name_or_path",
            "architectures",
            "transformers_version",
            "dtype",
            "torch_dtype",
            "use_cache",
        ),
        *("bos_token_id", "eos_token_id", "pad_token_id", "id2label", "label2id", "problem_type"),
        *(
            "return_dict",
            "output_attentions",
            "output_hidden_states",
            "chunk_size_feed_forward",
            "pretraining_tp",
        ),
    }
)
_OF_TRAINING = ("dropout", "pdrop", "initializer", "aux_loss")
_LIKE_BASE = "expected a fine-tune of the base, with its architecture, vocabulary and tokenizer"


def checkpoint(
    folder: Path, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, weights: Mapping[str, Tensor]
) -> tuple[Graft, str]:
    """Load a model folder beside its base, and keep those of its weights that are not the base's.

    `weights` are the base's own, by name. A remark says where its chat template is another. An ArtefactError
    says why it is no checkpoint of that base, or why there is no room for it.
    """
    if any(weight.is_meta for weight in weights.values()):
        raise ArtefactError("is a checkpoint, which an offloaded base cannot carry")
    if getattr(base, "is_quantized", False):
        raise ArtefactError("is a checkpoint, which a quantized base cannot carry")
    remark = check_checkpoint(folder, base, tokenizer, weights)
    dtype = next(iter(weights.values())).dtype
    trained, _ = load_model(folder, str(dtype).removeprefix("torch."))
    return Graft(KIND, {}, [], [*_changes(weights, trained)]), remark


def check_checkpoint(
    folder: Path, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, weights: Mapping[str, Tensor]
) -> str:
    """Hold a model folder against its base by their shapes alone; errors and remark as above."""
    skeleton, own = load_skeleton(folder), load_tokenizer(folder)
    _require_config(base, skeleton)
    _require_shapes(weights, skeleton)
    _require_tokenizer(tokenizer, own)
    if own.chat_template in (None, tokenizer.chat_template):
        return ""
    return "its chat template is not the base's, by which all prompts are written"


def _require_config(base: PreTrainedModel, other: PreTrainedModel) -> None:
    if type(base) is not type(other):
        raise ArtefactError(
            f"is a {type(other).__name__}, and the base a {type(base).__name__}; {_LIKE_BASE}"
        )
    own, here = dict(_settings(base.config.to_dict())), dict(_settings(other.config.to_dict()))
    for name in sorted(own.keys() | here.keys()):
        if not _same(own.get(name), here.get(name)):
            raise ArtefactError(
                f"says {name}: {here.get(name)} in {CONFIG}, and the base {own.get(name)}; {_LIKE_BASE}"
            )


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        # A GGUF file has such numbers in single precision.
        return bool(np.float32(one) == np.float32(other))
    return one == other


def _settings(config: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a config says of how a model computes, those of its parts among it."""
    for name, value in config.items():
        if name in _IDLE or any(part in name for part in _OF_TRAINING):
            continue
        if isinstance(value, Mapping):
            yield from _settings(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


def _require_shapes(weights: Mapping[str, Tensor], other: PreTrainedModel) -> None:
    trained = other.state_dict()
    for name in sorted(weights.keys() | trained.keys()):
        here, own = (list(of[name].shape) if name in of else None for of in (trained, weights))
        if here != own:
            raise ArtefactError(f"has {name} of {here}, and the base of {own}; {_LIKE_BASE}")


def _require_tokenizer(own: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase) -> None:
    words, others = own.get_vocab(), other.get_vocab()
    if apart := sorted(words.items() ^ others.items()):
        raise ArtefactError(
            f"has a tokenizer with other tokens than the base's: {len(apart)} entries differ, such as "
            f"{apart[0][0]!r}; {_LIKE_BASE}"
        )
    for probe in CALIBRATION:
        if own(probe.text)["input_ids"] != other(probe.text)["input_ids"]:
            raise ArtefactError(f"has a tokenizer that splits {probe.text!r} otherwise than the base's")


def _changes(weights: Mapping[str, Tensor], other: PreTrainedModel) -> Iterator[Dial]:
    """Yield the weights that are not the base's, each once where two names are of one."""
    state = other.state_dict(keep_vars=True)
    seen: set[Tensor] = set()
    for name, own in weights.items():
        trained = state[name].detach().to(own.device)
        if own not in seen and not trained.equal(own):
            yield Dial(own, trained, own.data)
        seen.add(own)
