"""Why adapter weights do not fit: what the weights hold, and what config and base have them be."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from peft import PeftConfig
from torch import Tensor

from coherence.engine.interventions.adapter_keys import Tensors
from coherence.errors import listed

_CONFIG = "adapter_config.json"
_MAGNITUDE = "lora_magnitude_vector"
_VOCABULARY = ("embed", "lm_head", "wte", "output_layer")
_OTHER_BASE = "was made for another base"


def misfit(expected: Tensors, weights: Tensors, config: PeftConfig, vocabulary: int) -> str:
    """Say why weights are not those that are expected, by the most telling cause that there is.

    `vocabulary` is the number of rows of the base's embeddings.
    """
    causes: tuple[Callable[[], str], ...] = (
        lambda: _rank(expected, weights),
        lambda: _rows(expected, weights, vocabulary),
        lambda: _shape(expected, weights),
        lambda: _magnitudes(expected, weights, config),
        lambda: _blocks(expected, weights),
        lambda: _modules(expected, weights),
        lambda: _single(expected, weights),
    )
    return next(cause for look in causes if (cause := look()))


def _differing(expected: Tensors, weights: Tensors) -> Iterator[tuple[str, list[int], list[int]]]:
    for key in sorted(expected.keys() & weights.keys()):
        here, there = list(weights[key].shape), list(expected[key].shape)
        if here != there:
            yield key, here, there


def _rank(expected: Tensors, weights: Tensors) -> str:
    """Compare ranks, where nothing else of any shape differs."""
    differing = list(_differing(expected, weights))
    if not differing or not all(_of_rank(*one) for one in differing):
        return ""
    key, here, there = differing[0]
    axis = _rank_axis(key)
    return other_rank(key, here[axis], there[axis])


def other_rank(key: str, rank: int, told: int) -> str:
    """Say that weights have one rank, and the config another."""
    return (
        f"holds weights of rank {rank} ({key}), and {_CONFIG} says rank {told}; expected the config that it "
        "was trained with"
    )


def rank_in(key: str, weight: Tensor) -> int:
    """Return the rank that a weight shows; 0 where it shows none."""
    return weight.shape[_rank_axis(key)] if ".lora_" in key and weight.dim() == 2 else 0


def _of_rank(key: str, here: Sequence[int], there: Sequence[int]) -> bool:
    other = 1 - _rank_axis(key)
    return ".lora_" in key and len(here) == len(there) == 2 and here[other] == there[other]


def _rank_axis(key: str) -> int:
    return int(".lora_B." in key or ".lora_embedding_B" in key)


def _rows(expected: Tensors, weights: Tensors, vocabulary: int) -> str:
    """Compare the rows of what is as large as the vocabulary, in places of the base and in copies of it."""
    for key in sorted(weights):
        there = list(expected[key].shape) if key in expected else _of_copy(key, vocabulary)
        rows = max(weights[key].shape, default=0)
        of_words = vocabulary in there and any(part in key for part in _VOCABULARY)
        if of_words and rows not in there and vocabulary not in weights[key].shape:
            return (
                f"was trained with a vocabulary of {rows:,} tokens ({key} is {list(weights[key].shape)}), "
                f"and the base has {vocabulary:,}; expected the base with its embeddings resized as in "
                "training, or an adapter without the added tokens"
            )
    return ""


def _of_copy(key: str, vocabulary: int) -> list[int]:
    """Return the rows that a copy of the base's own embeddings or head has; of anything else, none."""
    return [vocabulary] if key.endswith(".weight") and ".lora_" not in key else []


def _shape(expected: Tensors, weights: Tensors) -> str:
    for key, here, there in _differing(expected, weights):
        return f"{_OTHER_BASE}: {key} is {here}, expected {there}"
    return ""


def _magnitudes(expected: Tensors, weights: Tensors, config: PeftConfig) -> str:
    there, here = _of_magnitudes(expected), _of_magnitudes(weights)
    says_dora = getattr(config, "use_dora", False)
    if says_dora and there - here:
        return (
            f"says use_dora in {_CONFIG}, and its weights lack the magnitudes of {len(there - here)} of "
            f"{len(there)} modules ({min(there - here)}); expected weights saved with them, or use_dora: "
            "false if it was trained as plain LoRA"
        )
    if here and not says_dora:
        return (
            f"holds magnitudes of DoRA ({min(here)}), and {_CONFIG} does not say use_dora; expected "
            "use_dora: true"
        )
    return ""


def _of_magnitudes(weights: Tensors) -> set[str]:
    return {key for key in weights if _MAGNITUDE in key}


def _blocks(expected: Tensors, weights: Tensors) -> str:
    here, there = _numbers(weights), _numbers(expected)
    if here - there and there:
        return (
            f"{_OTHER_BASE}, or for other layers than {_CONFIG} says: it holds layer "
            f"{max(here - there)}, expected layers up to {max(there)}"
        )
    if there - here and here:
        return (
            f"lacks the weights of layers {_spans(there - here)}: it was made for a base with fewer, or "
            f"{_CONFIG} should name its layers (layers_to_transform); expected layers {_spans(there)}"
        )
    return ""


def _numbers(weights: Iterable[str]) -> set[int]:
    """Return the numbers of the layers that keys name: the first number of each."""
    named = (next((part for part in key.split(".") if part.isdecimal()), None) for key in weights)
    return {int(number) for number in named if number is not None}


def _spans(numbers: Iterable[int]) -> str:
    return listed([str(number) for number in sorted(numbers)], shown=8)


def _modules(expected: Tensors, weights: Tensors) -> str:
    here, there = _owners(weights), _owners(expected)
    if more := sorted(here - there):
        # PEFT before 0.21 mounts beside another adapter what names no module of the base.
        found = listed(sorted(there), shown=8) or "modules that both have"
        return (
            f"holds weights for {listed(more, shown=8)}, which target_modules in {_CONFIG} does not name or "
            f"this base does not have; expected weights for {found}"
        )
    if less := sorted(there - here):
        return (
            f"lacks weights for {listed(less, shown=8)}, which target_modules in {_CONFIG} names; expected "
            "the whole adapter, or a config that names what was trained"
        )
    return ""


def _owners(weights: Iterable[str]) -> set[str]:
    """Return the names of the modules that adapters are put on, such as `q_proj`."""
    return {owner for key in weights if (owner := _owner(key.split(".")))}


def _owner(segments: Sequence[str]) -> str:
    at = next((index for index, segment in enumerate(segments) if segment.startswith("lora_")), 0)
    return segments[at - 1] if at else ".".join(segments[-2:-1])


def _single(expected: Tensors, weights: Tensors) -> str:
    """Say where keys differ of which nothing else is known."""
    more, less = sorted(weights.keys() - expected.keys()), sorted(expected.keys() - weights.keys())
    if more and less:
        return f"names its weights in a way that is not known: it holds {more[0]}, expected {less[0]}"
    if more:
        return f"{_OTHER_BASE}: it holds {more[0]}, for which this base has no place"
    return f"is not whole: it lacks {less[0]}, one of {len(less)} weights"
