"""Keys of adapter weights as trainers write them, and those that PEFT gives them on this base."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from coherence.errors import ArtefactError, listed

Tensors = Mapping[str, Tensor]
_Segments = tuple[str, ...]
_Prefixes = tuple[_Segments, _Segments]

# What torch.compile, FSDP, activation checkpointing and data parallelism put around modules.
_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"})
# Parts of a network whose layers may have the shapes of those of its text model, and are others.
_OTHER_PARTS = ("vision", "visual", "image", "audio", "speech", "video", "encoder", "mtp", "draft")
_PARAMETERS = frozenset({"weight", "bias"})
# An adapter may name layers and heads by prefixes of their own; more ways are no way of naming.
_MOST_PREFIXES = 3


@dataclass(frozen=True)
class Named:
    """Weights by the keys that PEFT gives them, and a remark where they were written by others."""

    weights: dict[str, Tensor]
    remark: str = ""


def named_as_expected(expected: Tensors, weights: Tensors, by_peft: Callable[[Tensors], Tensors]) -> Named:
    """Name weights as PEFT expects them: as they are, as PEFT converts them, or by what trainers add.

    Weights are mapped only where all of them find a place of their shape and none stays empty; what fits in
    no way is returned as far as it is understood, for an error to say why. An ArtefactError names several
    adapters in one file.
    """
    for read in (weights, by_peft(weights)):
        if fits(expected, read):
            return Named(dict(read))
    plain = _plain(expected, weights)
    for read in (plain, by_peft(plain)):
        mapped = _mapped(expected, read)
        if fits(expected, mapped):
            return Named(mapped, _remark(weights, mapped))
    return Named(_mapped(expected, plain))


def fits(expected: Tensors, weights: Tensors) -> bool:
    """Whether each weight has a place of its shape, and each place a weight."""
    return expected.keys() == weights.keys() and all(
        expected[key].shape == tensor.shape for key, tensor in weights.items()
    )


def _remark(weights: Tensors, mapped: Tensors) -> str:
    written, place = (min(one.keys() - other.keys()) for one, other in ((weights, mapped), (mapped, weights)))
    return (
        f"its weights are named as {written}, expected {place}: all {len(mapped)} were taken for those; "
        "other programs may pass over them, save it again by PEFT's save_pretrained"
    )


def _plain(expected: Tensors, weights: Tensors) -> dict[str, Tensor]:
    """Take off what wrappers add to keys, and the name of the adapter."""
    known = {segment for key in expected for segment in key.split(".")}
    wrappers = _WRAPPERS - known
    tails = {_tail(tuple(key.split("."))) for key in expected}
    names: set[str] = set()
    plain: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        segments = tuple(segment for segment in key.split(".") if segment not in wrappers)
        unnamed, name = _unnamed(segments, tails)
        names |= {name} - {""}
        short = ".".join(unnamed)
        plain[key if short in plain else short] = tensor
    if len(names) > 1:
        raise ArtefactError(
            f"holds the weights of {len(names)} adapters ({listed(sorted(names))}); expected one"
        )
    return plain


def _tail(segments: _Segments) -> _Segments:
    """Return what comes behind the module: `lora_A.weight`."""
    return segments[-2:] if segments[-1] in _PARAMETERS else segments[-1:]


def _unnamed(segments: _Segments, tails: set[_Segments]) -> tuple[_Segments, str]:
    """Return a key without the name of its adapter, and that name; as it is where it has none."""
    heads = {tail[0] for tail in tails}
    at = next((index for index, segment in enumerate(segments) if segment in heads), None)
    if at is None or segments[at:] in tails:
        return segments, ""
    module, (head, *rest) = segments[:at], segments[at:]
    parameter = [segment for segment in rest[-1:] if segment in _PARAMETERS]
    # DoRA's magnitudes have `weight` behind them in a model, and not in a file.
    for kept in (parameter, []):
        if (head, *kept) in tails:
            return (*module, head, *kept), ".".join(rest[: len(rest) - len(parameter)])
    return segments, ""


def _mapped(expected: Tensors, weights: Tensors) -> dict[str, Tensor]:
    """Put expected prefixes in the place of others, as far as that finds empty places of the same shape."""
    names = {key: key for key in weights}
    for _ in range(_MOST_PREFIXES):
        lost = [key for key, name in names.items() if name not in expected]
        if not lost:
            break
        taken = {name for name in names.values() if name in expected}
        free = {key: tensor for key, tensor in expected.items() if key not in taken}
        ways = [_moved(lost, prefixes, free, weights) for prefixes in _prefixes(lost, free)]
        most = max(map(len, ways), default=0)
        best = [way for way in ways if len(way) == most]
        if not most or any(way != best[0] for way in best):
            break
        names |= best[0]
    return {name: weights[key] for key, name in names.items()}


def _prefixes(lost: Sequence[str], free: Tensors) -> Iterator[_Prefixes]:
    """Yield what may stand for what before a common end, one of each for the longest common ends."""
    keys = [tuple(key.split(".")) for key in free]
    seen: set[_Prefixes] = set()
    for key in {_unnumbered(key): key for key in lost}.values():
        segments = tuple(key.split("."))
        for other in keys:
            prefixes = _apart(segments, other)
            if prefixes not in seen and _may_stand_for(prefixes) and _same_module(segments, prefixes[0]):
                seen.add(prefixes)
                yield prefixes


def _same_module(key: _Segments, before: _Segments) -> bool:
    """Whether a module's own name is in what is the same, and not only that of a weight in it."""
    return len(key) - len(before) > len(_tail(key))


def _unnumbered(key: str) -> _Segments:
    return tuple(segment for segment in key.split(".") if not segment.isdecimal())


def _apart(one: _Segments, other: _Segments) -> _Prefixes:
    """Return what two keys have before their longest common end."""
    same = 0
    while same < min(len(one), len(other)) and one[-1 - same] == other[-1 - same]:
        same += 1
    return one[: len(one) - same], other[: len(other) - same]


def _may_stand_for(prefixes: _Prefixes) -> bool:
    """Whether two prefixes may name one module: neither says which layer, nor another part of the network."""
    numbered = any(segment.isdecimal() for prefix in prefixes for segment in prefix)
    one, other = ({part for part in _OTHER_PARTS if part in ".".join(prefix)} for prefix in prefixes)
    return not numbered and one == other


def _moved(lost: Sequence[str], prefixes: _Prefixes, free: Tensors, weights: Tensors) -> dict[str, str]:
    before, after = ("".join(f"{segment}." for segment in prefix) for prefix in prefixes)
    moved = {key: after + key.removeprefix(before) for key in lost if key.startswith(before)}
    return {
        key: name for key, name in moved.items() if name in free and free[name].shape == weights[key].shape
    }
