"""The exact laws of composition: their examples, and how far the two sides of each are apart."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from coherence.engine.batch.layout import Layout
from coherence.engine.batch.rows import Arrangement, Deltas, Row, Weights
from coherence.engine.laws.examples import Example, Form, name_of
from coherence.engine.running.runner import Runner
from coherence.plan import Condition, LawName, LawSearch, Way

_PAIRED = (
    LawName.VECTOR_ORDER,
    LawName.ADAPTER_ORDER,
    LawName.ADAPTER_SWAPPED,
    LawName.ADAPTER_BY_ROW,
)

Sides = Callable[["Law", Example], tuple[Tensor, Tensor]]
_SIDES: dict[str, Sides] = {}


def _sides(name: LawName) -> Callable[[Sides], Sides]:
    """Register what measures the two sides of a law on an example."""

    def register(measure: Sides) -> Sides:
        _SIDES[name] = measure
        return measure

    return register


class LawExamples:
    """The examples of a law."""

    def __init__(self, law_search: LawSearch) -> None:
        self._name = law_search.law
        self._probes = {probe.id: probe for probe in law_search.probes}
        self._drawn_from = [probe.id for probe in law_search.asked]
        self._conditions = {name_of(condition): condition for condition in law_search.conditions}
        first = law_search.conditions[0]
        self._bare = Condition(first.neutral, thinking=first.thinking)

    @property
    def identity(self) -> list[str]:
        """What stays the same from release to release."""
        return [self._name, *sorted(self._conditions)]

    @property
    def form(self) -> Form:
        """The keys, probes and conditions that an example may name, to read one that was written down."""
        return Form(self.one_of_each()[0], self._probes, self._conditions)

    def examples(self) -> st.SearchStrategy[Example]:
        """Hypothesis strategy: smaller means earlier probes, doses nearer 0, fewer batch mates."""
        doses = st.floats(-1, 1, width=16).map(lambda dose: round(dose, 3))
        names = st.sampled_from(sorted(self._conditions))
        fields: dict[str, st.SearchStrategy[Any]] = {"probe": st.sampled_from(self._drawn_from)}
        if self._name is LawName.BATCH_MATES:
            mate = st.tuples(names, st.sampled_from(self._drawn_from))
            fields |= {"condition": names, "mates": st.lists(mate, min_size=1, max_size=3)}
        elif self._name in _PAIRED:
            fields |= {
                "pair": st.lists(names, min_size=2, max_size=2, unique=True),
                "weights": st.tuples(doses, doses),
            }
        else:
            fields |= {"condition": names, "weight": doses}
        return st.fixed_dictionaries(fields)

    def one_of_each(self) -> list[Example]:
        """Examples in which every artefact takes part at full weight, however few are drawn at random."""
        names = sorted(self._conditions)
        first, last = self._drawn_from[0], self._drawn_from[-1]
        if self._name is LawName.BATCH_MATES:
            return [{"probe": first, "condition": name, "mates": [(name, last)]} for name in names]
        if self._name in _PAIRED:
            return [{"probe": first, "pair": list(pair), "weights": (1.0, 1.0)} for pair in pairwise(names)]
        return [{"probe": first, "condition": name, "weight": 1.0} for name in names]


class Law(LawExamples):
    """Examples of a law, and how far its two sides are apart on one of them."""

    def __init__(self, runner: Runner, law_search: LawSearch) -> None:
        super().__init__(law_search)
        self._runner = runner
        self._reads = law_search.reads
        self._of_base: dict[str, Tensor] = {}

    def deviation(self, example: Example) -> float:
        """Relative deviation of the law's two sides; not finite when a side is not."""
        left, right = _SIDES[self._name](self, example)
        return float((left - right).abs().max() / right.abs().max())

    @_sides(LawName.VECTOR_ORDER)
    def _vector_order(self, example: Example) -> tuple[Tensor, Tensor]:
        first, second = (
            self._deltas(name, weight)
            for name, weight in zip(example["pair"], example["weights"], strict=True)
        )
        # Both at the first vector's site: what is under test is the order there.
        depth = next(iter(first))
        moved = {depth: next(iter(second.values()))}
        return self._logits(example, (), first, moved), self._logits(example, (), moved, first)

    @_sides(LawName.VECTOR_INVERSE)
    def _vector_inverse(self, example: Example) -> tuple[Tensor, Tensor]:
        there = self._deltas(example["condition"], example["weight"])
        back = {depth: -delta for depth, delta in there.items()}
        return self._logits(example, (), there, back), self._base(example)

    @_sides(LawName.DOSE_ZERO)
    def _dose_zero(self, example: Example) -> tuple[Tensor, Tensor]:
        return self._logits(example, (), self._deltas(example["condition"], 0.0)), self._base(example)

    @_sides(LawName.SCALE_ZERO)
    def _scale_zero(self, example: Example) -> tuple[Tensor, Tensor]:
        return self._logits(example, self._adapters(example["condition"], 0.0)), self._base(example)

    @_sides(LawName.ADAPTER_DISABLED)
    def _adapter_disabled(self, example: Example) -> tuple[Tensor, Tensor]:
        before = self._base(example)
        with self._runner.host.switched(self._adapters(example["condition"], example["weight"])):
            inside = self._logits(example, ())
        return inside, before

    @_sides(LawName.ADAPTER_ORDER)
    def _adapter_order(self, example: Example) -> tuple[Tensor, Tensor]:
        first, second = self._pair(example)
        return self._logits(example, first + second), self._logits(example, second + first)

    @_sides(LawName.ADAPTER_MERGED)
    def _adapter_merged(self, example: Example) -> tuple[Tensor, Tensor]:
        adapters = self._adapters(example["condition"], example["weight"])
        with self._put(adapters, Way.MERGED):
            merged = self._run(example)
        return merged, self._logits(example, adapters)

    @_sides(LawName.ADAPTER_UNMERGED)
    def _adapter_unmerged(self, example: Example) -> tuple[Tensor, Tensor]:
        # Anew for each example: what merging rounds adds up over them.
        before = self._logits(example, ())
        with self._put(self._adapters(example["condition"], example["weight"]), Way.UNMERGED):
            # No adapter is active in here: what is left is the base.
            return self._logits(example, ()), before

    @_sides(LawName.ADAPTER_SWAPPED)
    def _adapter_swapped(self, example: Example) -> tuple[Tensor, Tensor]:
        first, second = self._pair(example)
        with self._runner.host.switched(first):
            before = self._run(example)
            self._logits(example, second)
            return self._run(example), before

    @_sides(LawName.ADAPTER_BY_ROW)
    def _adapter_by_row(self, example: Example) -> tuple[Tensor, Tensor]:
        alone = [self._logits(example, adapters) for adapters in self._pair(example)]
        rows = [
            self._row(replace(self._bare, adapters=adapters), example["probe"])
            for adapters in self._pair(example)
        ]
        # What cannot act on single rows is never mixed with others.
        batches = [[row] for row in rows] if any(row.switched for row in rows) else [rows]
        return torch.cat([self._batch(batch) for batch in batches]), torch.cat(alone)

    @_sides(LawName.BATCH_MATES)
    def _batch_mates(self, example: Example) -> tuple[Tensor, Tensor]:
        row = self._row(self._conditions[example["condition"]], example["probe"])
        mates = [self._row(self._conditions[name], probe) for name, probe in example["mates"]]
        # An adapter that cannot act on single rows is the whole batch's.
        mates = [replace(mate, switched=row.switched) for mate in mates]
        return self._batch([row, *mates])[:1], self._batch([row])

    def _deltas(self, name: str, weight: float) -> dict[int, Tensor]:
        deltas = self._runner.builder.deltas(self._conditions[name])
        return {depth: weight * delta for depth, delta in deltas.items()}

    def _adapters(self, name: str, weight: float) -> Weights:
        condition = self._conditions[name]
        self._runner.builder.mounted.mount(condition)
        return tuple((adapter, weight) for adapter, _ in condition.adapters)

    def _pair(self, example: Example) -> tuple[Weights, Weights]:
        (one, other), (weight, weight_of_other) = example["pair"], example["weights"]
        return self._adapters(one, weight), self._adapters(other, weight_of_other)

    def _put(self, adapters: Weights, way: Way) -> AbstractContextManager[None]:
        return self._runner.host.switched(*self._runner.host.fit(adapters, way))

    def _row(self, condition: Condition, probe: str) -> Row:
        row = self._runner.builder.row(condition, self._probes[probe])
        if self._reads is None:
            return row
        ids = row.ids[-self._reads :]
        # Under one condition these begin otherwise than its prompts do.
        return replace(row, ids=ids, answers=((len(ids), len(ids)),), group=None)

    def _base(self, example: Example) -> Tensor:
        """Logits of the base model, which all examples with the same probe share."""
        if example["probe"] not in self._of_base:
            self._of_base[example["probe"]] = self._logits(example, ())
        return self._of_base[example["probe"]]

    def _logits(self, example: Example, adapters: Weights, *steered: Deltas) -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(self._runner.host.switched(adapters))
            for deltas in steered:
                stack.enter_context(self._runner.host.steered(deltas))
            return self._run(example)

    def _run(self, example: Example) -> Tensor:
        row = self._row(self._bare, example["probe"])
        host = self._runner.host
        return self._logits_after(host.laid_out([replace(row, arrangement=host.unpacked)]))

    def _batch(self, rows: list[Row]) -> Tensor:
        host = self._runner.host
        plainest = max(host.arranged(row).arrangement for row in rows)
        rows = [replace(row, arrangement=plainest) for row in rows]
        batches = [[row] for row in rows] if plainest is Arrangement.ALONE else [rows]
        return torch.cat([self._together(batch) for batch in batches])

    def _together(self, rows: list[Row]) -> Tensor:
        host = self._runner.host
        layout = host.laid_out(rows)
        with host.switched(rows[0].switched), host.put(rows, layout):
            return self._logits_after(layout)

    def _logits_after(self, layout: Layout) -> Tensor:
        return self._runner.host.logits(layout).float()
