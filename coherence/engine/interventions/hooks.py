"""Hooks of the residual stream: functions of it, put where it passes while a forward pass runs."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from coherence.errors import MeasurementError

Edit = Callable[[Tensor], Tensor]
# A bare tensor since transformers 5, before it a tuple that starts with the tensor.
_Output = Tensor | tuple[Tensor, ...]


class Hooks:
    """Replace the residuals [lines, tokens, width] at each depth by what its edit makes of them.

    Re-entrant: entering twice edits twice. Leaving removes exactly the hooks that entering added, also after
    an exception. A forward pass that some hook missed is a MeasurementError, never a silent base measurement.
    """

    name: ClassVar[str]
    # Whether it comes before what is hooked already.
    first: ClassVar[bool] = False

    def __init__(self, blocks: nn.ModuleList, edits: Mapping[int, Edit]) -> None:
        self._blocks = blocks
        self._edits = edits
        self._entered: list[list[RemovableHandle]] = []
        self._fired: set[int] = set()

    def __enter__(self) -> Self:
        self._fired.clear()
        self._entered.append([self._register(depth, edit) for depth, edit in self._edits.items()])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._entered.pop():
            handle.remove()
        missed = self._edits.keys() - self._fired
        if kind is None and missed:
            raise MeasurementError(
                f"{self.name} at depth {min(missed)} never took effect: the block was not run"
            )

    def _register(self, depth: int, edit: Edit) -> RemovableHandle:
        if depth == 0:
            return self._blocks[0].register_forward_pre_hook(
                self._before(edit), with_kwargs=True, prepend=self.first
            )
        return self._blocks[depth - 1].register_forward_hook(self._after(depth, edit), prepend=self.first)

    def _before(self, edit: Edit) -> Callable[..., Any]:
        def hook(
            module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
            self._fired.add(0)
            if args:
                return (edit(args[0]), *args[1:]), kwargs
            return args, kwargs | {"hidden_states": edit(kwargs["hidden_states"])}

        return hook

    def _after(self, depth: int, edit: Edit) -> Callable[..., Any]:
        def hook(module: nn.Module, args: object, output: _Output) -> _Output:
            self._fired.add(depth)
            if isinstance(output, tuple):
                return (edit(output[0]), *output[1:])
            return edit(output)

        return hook
