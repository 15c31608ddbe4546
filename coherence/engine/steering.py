"""The steering regime: deltas added to the residual stream while a forward pass runs."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from coherence.errors import MeasurementError

Deltas = Mapping[int, Tensor]
# A bare tensor since transformers 5, before it a tuple that starts with the tensor.
_Output = Tensor | tuple[Tensor, ...]


class Steering:
    """Add `deltas[depth]`, float [lines, tokens, width] or what broadcasts to it; `Site.depth` is the key.

    Re-entrant: entering twice steers twice. Leaving removes exactly the hooks that entering added, also after
    an exception. A forward pass that some hook missed is a MeasurementError, never a silent base measurement.
    """

    def __init__(self, blocks: nn.ModuleList, deltas: Deltas) -> None:
        self._blocks = blocks
        self._deltas = deltas
        self._entered: list[list[RemovableHandle]] = []
        self._fired: set[int] = set()

    def __enter__(self) -> "Steering":
        self._fired.clear()
        self._entered.append([self._register(depth, delta) for depth, delta in self._deltas.items()])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._entered.pop():
            handle.remove()
        missed = self._deltas.keys() - self._fired
        if kind is None and missed:
            raise MeasurementError(
                f"steering at depth {min(missed)} never took effect: the block was not run"
            )

    def _register(self, depth: int, delta: Tensor) -> RemovableHandle:
        # Prepended, so that a tap at the same site sees the steered residual whatever was hooked before.
        if depth == 0:
            return self._blocks[0].register_forward_pre_hook(
                self._before(delta), with_kwargs=True, prepend=True
            )
        return self._blocks[depth - 1].register_forward_hook(self._after(depth, delta), prepend=True)

    def _before(self, delta: Tensor) -> Callable[..., Any]:
        def hook(
            module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
            self._fired.add(0)
            if args:
                return (_added(args[0], delta), *args[1:]), kwargs
            return args, kwargs | {"hidden_states": _added(kwargs["hidden_states"], delta)}

        return hook

    def _after(self, depth: int, delta: Tensor) -> Callable[..., Any]:
        def hook(module: nn.Module, args: object, output: _Output) -> _Output:
            self._fired.add(depth)
            if isinstance(output, tuple):
                return (_added(output[0], delta), *output[1:])
            return _added(output, delta)

        return hook


def _added(hidden: Tensor, delta: Tensor) -> Tensor:
    return hidden + delta.to(hidden)


def stack_deltas(rows: Sequence[Deltas], width: int) -> dict[int, Tensor]:
    """Stack the deltas of rows ([width] each): {depth: [rows, width]}, zero where a row has none."""
    depths = sorted({depth for row in rows for depth in row})
    zero = torch.zeros(width)
    return {depth: torch.stack([row.get(depth, zero) for row in rows]) for depth in depths}
