"""From a model folder to a model on its devices: whether it fits, where it goes, how it attends."""

import copy
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil, prod
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import psutil
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MULTIMODAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.quantizers.auto import AutoHfQuantizer
from transformers.utils import logging as transformers_logging

from coherence import limits
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.blocks import blocks_of
from coherence.engine.model.chat import Chat
from coherence.engine.model.config_counts import check_counts, check_size
from coherence.engine.model.folder import CONFIG, VOCABULARIES, is_gguf, tensors, weight_files
from coherence.engine.model.gguf_header import GgufHeader
from coherence.engine.model.quantization import Quantization
from coherence.engine.model.source import Source
from coherence.errors import ArtefactError, CoherenceError, did_you_mean, reason
from coherence.pickled import code_refused, unsafe_to_load
from coherence.plan import CALIBRATION

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_CGROUP = Path("/sys/fs/cgroup")
_TOKENIZER_FILES = ("tokenizer.json", "tekken.json", "vocab.*", *VOCABULARIES)
_FLOATS = ("F64", "F32", "F16", "BF16")
_SMALL_FLOATS = ("F8_E4M3", "F8_E5M2")
# Of what kinds pack weights of a few bits into; all others have one.
_BYTES = {"I16": 2, "U16": 2, "I32": 4, "U32": 4, "I64": 8, "U64": 8}
# What accelerate leaves free on a device for activations, too.
_SHARE_FOR_WEIGHTS = 0.9
_PROMPTS_THAT_MAY_OVERFLOW = CALIBRATION[:4]
# Classes for what reads and writes text, some of which see or hear as well.
_CLASSES: tuple[tuple[type[Any], Any], ...] = (
    (AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING),
    (AutoModelForImageTextToText, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING),
    (AutoModelForMultimodalLM, MODEL_FOR_MULTIMODAL_LM_MAPPING),
)


def load_model(folder: Path, dtype: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal LM and its tokenizer on the best devices there are, or on COHERENCE_DEVICE.

    `folder` is that of the model, or its GGUF file.

    An ArtefactError says why that cannot be done, or why its numbers would be wrong in that dtype.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # It says in every layer of every pass that it computes in float16.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    _cap_threads()
    _require_safe(weight_files(folder))
    with _in_one_sentence(), Source.of(folder) as source:
        config = _config(source)
        made_by, implementation = _class_for(config), attention(config)
        tokenizer = _tokenizer(source)
        device = room(folder, dtype)
        # Before its parameters are made: those that no weights fill would be made up in any size.
        check_size(_empty(made_by, config, implementation), weight_files(folder))
        loaded: Any = made_by.from_pretrained(
            source.folder,
            dtype=DTYPES[dtype],
            device_map=device,
            attn_implementation=implementation,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
            # Else it says that they are, and not which.
            ignore_mismatched_sizes=True,
            **source.named,
            **source.dequantized,
        )
    model, info = loaded
    _check_keys(model, info)
    if Quantization.of(config.to_dict()):
        _check_dtype(model, dtype)
    if dtype == "float16":
        _check_overflow(model, tokenizer)
    return model, tokenizer


def load_skeleton(folder: Path) -> PreTrainedModel:
    """Make the model of a folder without its weights, on the meta device, where it takes no memory.

    An ArtefactError says why that folder is no causal LM with a tokenizer.
    """
    weight_files(folder)
    with _in_one_sentence(), Source.of(folder) as source:
        config = _config(source)
        made_by, implementation = _class_for(config), attention(config)
        _tokenizer(source)
        model = _empty(made_by, config, implementation)
        check_size(model, weight_files(folder))
    return model


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a base's folder or GGUF file; an ArtefactError when there is none."""
    with Source.of(folder) as source:
        return _tokenizer(source)


def _empty(made_by: type[Any], config: PreTrainedConfig, implementation: str) -> PreTrainedModel:
    with torch.device("meta"):
        model: PreTrainedModel = made_by.from_config(
            copy.deepcopy(config), attn_implementation=implementation, trust_remote_code=False
        )
    return model


def room(folder: Path, dtype: str) -> str:
    """Return the device map for the weights of a folder; an ArtefactError when they do not fit."""
    needed = weights_size(folder, dtype)
    device = placement(needed)
    check_memory(needed, _free(device), dtype)
    return device


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except CoherenceError:
        raise
    except Exception as problem:  # transformers raises nearly anything for a folder that it did not write
        if "trust_remote_code" in str(problem):
            raise ArtefactError(
                "brings code of its own, which is never run; expected a model type that transformers knows"
            ) from problem
        if isinstance(problem, UnpicklingError):
            state = code_refused(problem) or "are no whole files of tensors"
            raise ArtefactError(f"cannot be loaded: its weights {state}") from problem
        raise ArtefactError(f"cannot be loaded: {reason(problem, SafetensorError)}") from problem


def _require_safe(files: Iterable[Path]) -> None:
    for path in files:
        if path.suffix == ".bin" and (unsafe := unsafe_to_load(path, limits.HEADER_BYTES)):
            raise ArtefactError(f"cannot be loaded: {path.name}: {unsafe}")


def _config(source: Source) -> PreTrainedConfig:
    check_counts(source.path, weight_files(source.path))
    config: PreTrainedConfig = AutoConfig.from_pretrained(
        source.folder, trust_remote_code=False, **source.named
    )
    quantized: Any = getattr(config, "quantization_config", None)
    # transformers warns of one that it does not know, and takes the weights as they are.
    quantizers: Any = AutoHfQuantizer
    if quantized and not quantizers.supports_quant_method(quantized):
        named = quantized.get("quant_method")
        raise ArtefactError(
            f"cannot be loaded: its {CONFIG} names the quantization {named!r}, which transformers does not "
            "know"
        )
    if kind := Quantization.of(config.to_dict()):
        kind.require()
    return config


def _check_keys(model: PreTrainedModel, info: Mapping[str, Any]) -> None:
    """Refuse weights that do not fill the model, or that it has no place for among those it has."""
    if info["missing_keys"]:
        # transformers fills them with random numbers, and warns.
        raise ArtefactError(f"cannot be loaded: its weights lack {min(info['missing_keys'])}")
    if info["mismatched_keys"]:
        key, shape, expected = min(info["mismatched_keys"])
        raise ArtefactError(
            f"cannot be loaded: {key} is {list(shape)}, expected {list(expected)} by {CONFIG}"
        )
    homeless = [key for key in sorted(info["unexpected_keys"]) if _is_within(model, key)]
    if homeless:
        raise ArtefactError(
            f"cannot be loaded: its weights hold {homeless[0]}, for which a model of this {CONFIG} has no "
            "place; expected the two to be of one model"
        )


def _check_dtype(model: PreTrainedModel, dtype: str) -> None:
    """Refuse weights of another type than the one that every value would be reported in."""
    embeddings: Any = model.get_input_embeddings()
    stored = str(embeddings.weight.dtype).removeprefix("torch.")
    if stored != dtype:
        raise ArtefactError(
            f"is computed in {stored}, and not in {dtype}: weights that are not quantized keep the type "
            f"that they are stored in; expected dtype: {stored}"
        )


def _is_within(model: PreTrainedModel, key: str) -> bool:
    """Whether a tensor belongs to a block or layer of the model, and not to a part that it does without.

    Towers for images and heads for other tasks are such parts: text is answered without them.
    """
    module: nn.Module = model
    for name in key.split("."):
        if isinstance(module, nn.ModuleList) or not any(module.children()):
            return True
        if name not in dict(module.named_children()):
            return False
        module = module.get_submodule(name)
    return True


def _tokenizer(source: Source) -> PreTrainedTokenizerBase:
    # Without them transformers makes an empty tokenizer for some families, and says nothing.
    if not source.named and not any(
        file.is_file() for name in _TOKENIZER_FILES for file in source.folder.glob(name)
    ):
        raise ArtefactError("has no tokenizer; expected tokenizer.json beside the weights")
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        source.folder, padding_side="left", trust_remote_code=False, **source.named
    )
    tokenizer.name_or_path = str(source.path)
    return tokenizer


def attention(config: PreTrainedConfig) -> str:
    """Return `sdpa`, or `eager` for a family without it, such as Gemma 2, which caps attention logits."""
    # Not eager wherever the two differ: the eager Falcon of transformers 5 adds its alibi twice.
    family = _families(config)[_class_for(config)]
    return "sdpa" if family._supports_sdpa else "eager"


def _class_for(config: PreTrainedConfig) -> type[Any]:
    """Return the auto class that makes the model which a config names, or the first that has one for it."""
    families = _families(config)
    if not families:
        raise ArtefactError(f"is of the type {config.model_type}; expected a causal language model")
    told = config.architectures if isinstance(config.architectures, list) else []
    named = (auto for auto, family in families.items() if family.__name__ in told)
    return next(named, next(iter(families)))


def _families(config: PreTrainedConfig) -> dict[type[Any], Any]:
    """Map auto classes to the model class that each has for a config."""
    matches = ((auto, mapping.get(type(config), None)) for auto, mapping in _CLASSES)
    families = {auto: family for auto, family in matches if family is not None}
    # Of an encoder and a decoder the causal class is the decoder alone; the others are no language models.
    decodes = AutoModelForCausalLM in families or not config.get_text_config().is_encoder_decoder
    return families if decodes else {}


def placement(needed: int) -> str:
    """Return the device map for weights of `needed` bytes: `cpu`, `cuda`, `cuda:N`, or `auto` over several.

    The environment variable COHERENCE_DEVICE decides where it is set.
    """
    count = torch.cuda.device_count()
    device = os.environ.get("COHERENCE_DEVICE")
    if device:
        options = ["cpu", "auto", *(["cuda"] if count else []), *(f"cuda:{index}" for index in range(count))]
        if device not in options:
            raise ArtefactError(
                f"COHERENCE_DEVICE is {device!r}, which this machine does not have"
                f"{did_you_mean(device, options)}"
            )
        return device
    if not count:
        return "cpu"
    return "cuda" if count == 1 and needed <= _free("cuda") else "auto"


def _free(device: str) -> int:
    """Bytes that weights may take on a device; `auto` is all of them together."""
    if device == "cpu":
        return available_memory()
    if device == "auto":
        return available_memory() + sum(_free(f"cuda:{index}") for index in range(torch.cuda.device_count()))
    return int(_SHARE_FOR_WEIGHTS * torch.cuda.mem_get_info(device)[0])


def weights_size(folder: Path, dtype: str) -> int:
    """Bytes that the weights of a folder need in a dtype; quantized ones keep the type that they are in."""
    size = DTYPES[dtype].itemsize
    files = weight_files(folder)
    if is_gguf(folder):
        return GgufHeader.of(folder).parameters * size
    if files[0].suffix == ".bin":
        return sum(path.stat().st_size for path in files)
    parts = (part for path in files for part in tensors(path).values())
    # transformers has no kernels for them elsewhere, and dequantizes.
    plain = _FLOATS if torch.cuda.is_available() else (*_FLOATS, *_SMALL_FLOATS)
    return sum(
        prod(part.shape) * (size if part.dtype in plain else _BYTES.get(part.dtype, 1)) for part in parts
    )


def check_memory(needed: int, available: int, dtype: str) -> None:
    """Raise an ArtefactError when weights of `needed` bytes do not fit into `available` bytes."""
    if needed > available:
        smaller = "dtype: bfloat16, " if dtype == "float32" else ""
        raise ArtefactError(
            f"needs {needed / 1e9:.1f} GB in {dtype}, but {available / 1e9:.1f} GB are free; "
            f"expected a smaller base, {smaller}or a machine with more memory"
        )


def available_memory(cgroup: Path = _CGROUP) -> int:
    """Bytes of main memory that are free, within the limit of the container (cgroup v2) if it has one."""
    machine: int = psutil.virtual_memory().available
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
        parts = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no cgroup v2, or the limit is `max`
        return machine
    # The files that were read to get here are counted as used, and given back when memory is wanted.
    reclaimable = int(parts["inactive_file"]) + int(parts["active_file"])
    return min(machine, max(0, limit - used + reclaimable))


def cpu_quota(text: str) -> int | None:
    """Cores that the text of a cgroup v2 `cpu.max` allows, rounded up; None when it sets no limit."""
    quota, _, period = text.strip().partition(" ")
    return None if quota == "max" else max(1, ceil(int(quota) / int(period or 100_000)))


def _cap_threads(cgroup: Path = _CGROUP) -> None:
    try:
        quota = cpu_quota((cgroup / "cpu.max").read_text())
    except OSError:
        return
    # torch counts the cores of the host: threads beyond the quota only wait for each other.
    if quota and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(quota, torch.get_num_threads()))


def _check_overflow(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise an ArtefactError that names the first site whose values are not finite on ordinary prompts."""
    blocks = blocks_of(model)
    core: Any = model.get_decoder()  # type: ignore[no-untyped-call]
    chat = Chat(tokenizer)
    for probe in _PROMPTS_THAT_MAY_OVERFLOW:
        ids = torch.tensor([chat.calibrate(probe)], device=model.device)
        with torch.inference_mode(), Taps(blocks, _finite) as taps:
            core(input_ids=ids, use_cache=False)
        overflown = (~taps.stacked()[0]).nonzero()
        if len(overflown):
            depth = int(overflown[0])
            site = f"resid_post.{depth - 1}" if depth else "resid_pre.0"
            raise ArtefactError(f"overflows in float16 at {site}; expected dtype: bfloat16 or float32")


def _finite(hidden: Tensor, depth: int) -> Tensor:
    return hidden.isfinite().flatten(1).all(dim=1)
