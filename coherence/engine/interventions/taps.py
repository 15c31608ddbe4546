"""Read the residual stream at every depth, pooled over chosen tokens as it passes."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from coherence.errors import MeasurementError

# A token whose norm is this many times the base's median at that depth is an attention sink.
SINK_RATIO = 100.0

Pool = Callable[[Tensor, int], Tensor]


class Taps:
    """Collect `pool(hidden, depth)` before the first block, and after every one of `blocks`.

    `pool` maps [lines, tokens, width] to [spans, ...]. Enter after any `Steering`, to read steered residuals.
    """

    def __init__(self, blocks: nn.ModuleList, pool: Pool) -> None:
        self._blocks = blocks
        self._pool = pool
        self._handles: list[RemovableHandle] = []
        self._pooled: dict[int, Tensor] = {}

    def __enter__(self) -> "Taps":
        self._pooled.clear()
        self._handles.append(self._blocks[0].register_forward_pre_hook(self._before, with_kwargs=True))
        for block, module in enumerate(self._blocks):
            self._handles.append(module.register_forward_hook(self._after(block + 1)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._pooled[0] = self._pool(args[0] if args else kwargs["hidden_states"], 0)

    def _after(self, depth: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: object, output: Tensor | tuple[Tensor, ...]) -> None:
            self._pooled[depth] = self._pool(output[0] if isinstance(output, tuple) else output, depth)

        return hook

    def stacked(self) -> Tensor:
        """Return what the last forward pass gave, [spans, blocks + 1, ...] on the CPU.

        A tap that never fired is a MeasurementError.
        """
        missed = set(range(len(self._blocks) + 1)) - self._pooled.keys()
        if missed:
            raise MeasurementError(f"the tap at depth {min(missed)} never fired: the block was not run")
        return torch.stack([self._pooled[depth].cpu() for depth in sorted(self._pooled)], dim=1)


def sum_over(spans: Sequence[range], sinks: Tensor) -> Pool:
    """Pool to fp32 sums over `spans` of the tokens, counted line after line: [spans, width + 1].

    Tokens whose norm exceeds `sinks` [depths] are left out: one of them makes any two directions look alike.
    The last column counts the tokens that were summed. What is not finite is kept, for others to find.
    """
    places = torch.tensor([place for span in spans for place in span])
    owners = torch.tensor([owner for owner, span in enumerate(spans) for _ in span])

    def pool(hidden: Tensor, depth: int) -> Tensor:
        values = hidden.flatten(0, 1)[places.to(hidden.device)].float()
        norms = values.norm(dim=-1)
        # Left out, not weighted: 0 * NaN would carry what is wrong with one token into the sum.
        kept = ~(norms.isfinite() & (norms > float(sinks[depth])))
        counted = torch.cat([values.masked_fill(~kept[:, None], 0.0), kept[:, None]], dim=1)
        return counted.new_zeros(len(spans), counted.shape[1]).index_add_(
            0, owners.to(hidden.device), counted
        )

    return pool


def median_norm(spans: Sequence[range]) -> Pool:
    """Pool to the median token norm of each span, [spans, 1], without its first token, the attention sink.

    Of an even number of tokens it is the mean of the two middle norms; `torch.nanmedian` gives the lower one.
    """

    def pool(hidden: Tensor, depth: int) -> Tensor:
        norms = hidden.flatten(0, 1).float().norm(dim=-1)
        return torch.stack([norms[span.start + 1 : span.stop].nanquantile(0.5) for span in spans])[:, None]

    return pool
