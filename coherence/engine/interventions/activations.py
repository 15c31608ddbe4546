"""Activated LoRA: adapters that act on a text from the tokens on that invoke them, and not before."""

from collections.abc import Iterator, Sequence

from coherence.engine.batch.layout import Layout
from coherence.engine.batch.rows import Row, Weights
from coherence.engine.interventions.lora_rows import Run
from coherence.errors import MeasurementError


class Activations:
    """The activated LoRA adapters of a model, and the token ids that invoke each (arXiv 2504.12397).

    The last such tokens of a text count. What comes before them is the base's own, residuals as well as keys
    and values, so that with every further turn the adapter begins anew.
    """

    def __init__(self) -> None:
        self._invoked: dict[str, tuple[int, ...]] = {}

    def add(self, name: str, tokens: Sequence[int]) -> None:
        """Add an adapter, and the token ids that invoke it."""
        self._invoked[name] = tuple(tokens)

    def tokens(self, name: str) -> tuple[int, ...]:
        """Token ids that invoke an adapter; none where it is not activated LoRA."""
        return self._invoked.get(name, ())

    def split(self, weights: Weights) -> tuple[Weights, Weights]:
        """Split adapters into those that act on all of a text, and those that are activated."""
        others = tuple(one for one in weights if one[0] not in self._invoked)
        return others, tuple(one for one in weights if one[0] in self._invoked)

    def begins(self, name: str, ids: Sequence[int]) -> int:
        """Return the token (from 0) from which on an adapter acts on a text.

        A MeasurementError where nothing in it invokes the adapter, which would do nothing.
        """
        invoked = self._invoked[name]
        for first in range(len(ids) - len(invoked), -1, -1):
            if tuple(ids[first : first + len(invoked)]) == invoked:
                return first
        raise MeasurementError(
            f"adapter {name!r} (activated LoRA) would do nothing: the prompt lacks the tokens that invoke it "
            f"(alora_invocation_tokens: {list(invoked)}); expected a chat template, or a prompt, that writes "
            "them, as in training"
        )

    def runs(self, rows: Sequence[Row], layout: Layout) -> Iterator[Run]:
        """Yield which tokens of a layout these adapters act on, of those that run now."""
        for index, row in enumerate(rows):
            for name, weight in self.split(row.adapters)[1]:
                begins = layout.starts[index] + self.begins(name, row.ids)
                tokens = slice(max(begins, layout.bounds[index]), layout.bounds[index + 1])
                yield Run(tokens, name, weight)
