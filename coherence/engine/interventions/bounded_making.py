"""A bound on the tensors that PEFT makes by what the config of an adapter says, before memory is taken."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from coherence.errors import ArtefactError


class BoundedMaking(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses, inside, to make a tensor of more than `most` values: an ArtefactError says how many.

    Every kind of adapter has sizes of its own in its config, and PEFT believes them all.
    """

    def __init__(self, most: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._most = most

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        values = _values(args)
        if values > self._most:
            raise ArtefactError(
                f"has a config that asks for a tensor of {values:,} values; expected no more than the "
                f"{self._most:,} that base and adapter have together"
            )
        return func(*args, **(kwargs or {}))


def _values(args: Sequence[Any]) -> int:
    """Count the values of a tensor that is made by its shape; 0 where an operation takes none."""
    shape = args[0] if args else None
    return prod(shape) if isinstance(shape, list | tuple) and all(type(one) is int for one in shape) else 0
