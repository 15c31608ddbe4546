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


def misfit(expected: Tensors, found: Tensors, config: PeftConfig, vocabulary: int) -> str:
    """Say why weights are not those that are expected, by the most telling cause that there is.

    `vocabulary` is the number of rows of the base's embeddings.
    """
    causes: tuple[Callable[[], str], ...] = (
        lambda: _rank(expected, found),
        lambda: _rows(expected, found, vocabulary),
        lambda: _shape(expected, found),
        lambda: _magnitudes(expected, found, config),
        lambda: _blocks(expected, found),
        lambda: _modules(expected, found),
        lambda: _single(expected, found),
    )
    return next(cause for look in causes if (cause := look()))


def _differing(expected: Tensors, found: Tensors) -> Iterator[tuple[str, list[int], list[int]]]:
    for key in sorted(expected.keys() & found.keys()):
        here, wanted = list(found[key].shape), list(expected[key].shape)
        if here != wanted:
            yield key, here, wanted


def _rank(expected: Tensors, found: Tensors) -> str:
    """Compare ranks, where nothing else of any shape differs."""
    differing = list(_differing(expected, found))
    if not differing or not all(_of_rank(*one) for one in differing):
        return ""
    key, here, wanted = differing[0]
    axis = _rank_axis(key)
    return other_rank(key, here[axis], wanted[axis])


def other_rank(key: str, rank: int, told: int) -> str:
    """Say that weights have one rank, and the config another."""
    return (
        f"holds weights of rank {rank} ({key}), and {_CONFIG} says rank {told}; expected the config that it "
        "was trained with"
    )


def rank_in(key: str, weight: Tensor) -> int:
    """Return the rank that a weight shows; 0 where it shows none."""
    return weight.shape[_rank_axis(key)] if ".lora_" in key and weight.dim() == 2 else 0


def _of_rank(key: str, here: Sequence[int], wanted: Sequence[int]) -> bool:
    other = 1 - _rank_axis(key)
    return ".lora_" in key and len(here) == len(wanted) == 2 and here[other] == wanted[other]


def _rank_axis(key: str) -> int:
    return int(".lora_B." in key or ".lora_embedding_B" in key)


def _rows(expected: Tensors, found: Tensors, vocabulary: int) -> str:
    """Compare the rows of what is as large as the vocabulary, in places of the base and in copies of it."""
    for key in sorted(found):
        wanted = list(expected[key].shape) if key in expected else _of_copy(key, vocabulary)
        rows = max(found[key].shape, default=0)
        of_words = vocabulary in wanted and any(part in key for part in _VOCABULARY)
        if of_words and rows not in wanted and vocabulary not in found[key].shape:
            return (
                f"was trained with a vocabulary of {rows:,} tokens ({key} is {list(found[key].shape)}), and "
                f"the base has {vocabulary:,}; expected the base with its embeddings resized as in training, "
                "or an adapter without the added tokens"
            )
    return ""


def _of_copy(key: str, vocabulary: int) -> list[int]:
    """Return the rows that a copy of the base's own embeddings or head has; of anything else, none."""
    return [vocabulary] if key.endswith(".weight") and ".lora_" not in key else []


def _shape(expected: Tensors, found: Tensors) -> str:
    for key, here, wanted in _differing(expected, found):
        return f"{_OTHER_BASE}: {key} is {here}, expected {wanted}"
    return ""


def _magnitudes(expected: Tensors, found: Tensors, config: PeftConfig) -> str:
    wanted, here = _of_magnitudes(expected), _of_magnitudes(found)
    says_dora = getattr(config, "use_dora", False)
    if says_dora and wanted - here:
        return (
            f"says use_dora in {_CONFIG}, and its weights lack the magnitudes of {len(wanted - here)} of "
            f"{len(wanted)} modules ({min(wanted - here)}); expected weights saved with them, or use_dora: "
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


def _blocks(expected: Tensors, found: Tensors) -> str:
    here, wanted = _numbers(found), _numbers(expected)
    if here - wanted and wanted:
        return (
            f"{_OTHER_BASE}, or for other layers than {_CONFIG} says: it holds layer "
            f"{max(here - wanted)}, expected layers up to {max(wanted)}"
        )
    if wanted - here and here:
        return (
            f"lacks the weights of layers {_spans(wanted - here)}: it was made for a base with fewer, or "
            f"{_CONFIG} should name its layers (layers_to_transform); expected layers {_spans(wanted)}"
        )
    return ""


def _numbers(weights: Iterable[str]) -> set[int]:
    """Return the numbers of the layers that keys name: the first number of each."""
    named = (next((part for part in key.split(".") if part.isdecimal()), None) for key in weights)
    return {int(number) for number in named if number is not None}


def _spans(numbers: Iterable[int]) -> str:
    return listed([str(number) for number in sorted(numbers)], shown=8)


def _modules(expected: Tensors, found: Tensors) -> str:
    here, wanted = _owners(found), _owners(expected)
    if more := sorted(here - wanted):
        return (
            f"holds weights for {listed(more, shown=8)}, which target_modules in {_CONFIG} does not name or "
            f"this base does not have; expected weights for {listed(sorted(wanted), shown=8)}"
        )
    if less := sorted(wanted - here):
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


def _single(expected: Tensors, found: Tensors) -> str:
    """Say where keys differ of which nothing else is known."""
    more, less = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
    if more and less:
        return f"names its weights in a way that is not known: it holds {more[0]}, expected {less[0]}"
    if more:
        return f"{_OTHER_BASE}: it holds {more[0]}, for which this base has no place"
    return f"is not whole: it lacks {less[0]}, one of {len(less)} weights"
