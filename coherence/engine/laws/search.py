"""The exact laws of composition, searched by Hypothesis for the smallest example that breaks one."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from itertools import pairwise
from math import isfinite
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor

from coherence.engine.batch.layout import Layout, Padded
from coherence.engine.batch.rows import Deltas, Row, Weights
from coherence.engine.laws.examples import Counterexamples, Example, Form, name_of, written
from coherence.engine.laws.next_token import NextTokenClaim, NextTokenExamples
from coherence.engine.laws.same_position import PositionClaim, PositionExamples
from coherence.engine.running.runner import Runner
from coherence.errors import MeasurementError
from coherence.plan import ClaimName, Condition, LawName, LawOutcome, LawSearch, Seen, Way

# Shrinking runs the model as well: a search evaluates its law at most this many times per example asked for.
CALLS_PER_EXAMPLE = 6


_PAIRED = (
    LawName.VECTOR_ORDER,
    LawName.ADAPTER_ORDER,
    LawName.ADAPTER_SWAPPED,
    LawName.ADAPTER_BY_ROW,
)


class BrokenLawError(Exception):
    """An example deviates by more than the tolerance. Hypothesis looks for the smallest that raises it."""


def search(runner: Runner, wanted: LawSearch) -> LawOutcome:
    """Try examples of a law; report the largest deviation, and the smallest counterexample if there is one.

    Counterexamples of earlier searches are tried first; one that still breaks the law is the outcome, and no
    others are drawn. In any case every artefact or probe has its turn once at the end, so that the largest
    deviation is not that of an example that was made small.

    A deviation is max |a - b| / max |b| over the logits of all tokens of a row, a and b being the two sides.
    That of a claim is a KL, or a distance of positions. Logits that are not finite are a MeasurementError.
    """
    law = _posed(runner, wanted)
    tried = _Tried(law, wanted)
    kept = Counterexamples(runner.examples, law.identity, law.form)

    @seed(wanted.seed)
    @settings(
        max_examples=wanted.examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(law.examples())
    def holds(example: Example) -> None:
        assume(tried.within_budget(example))
        tried(example)

    with suppress(BrokenLawError):
        for example in kept:
            tried(example)
        holds()
    for example in law.one_of_each():
        tried.also(example)
    if tried.broken:
        kept.keep(tried.broken.example)
    return tried.outcome()


def read_example(wanted: LawSearch, text: str) -> Example:
    """Read an example of a search from JSON; a CoherenceError says how it is not one."""
    return _EXAMPLES.get(wanted.law, _Examples)(wanted).form.read(text)


def deviation(runner: Runner, wanted: LawSearch, example: Example) -> float:
    """Measure one example of a search: the deviation of `search`, which may be NaN or infinite here."""
    return _posed(runner, wanted).deviation(example)


def _posed(runner: Runner, wanted: LawSearch) -> "_Law | NextTokenClaim | PositionClaim":
    return _POSED.get(wanted.law, _Law)(runner, wanted)


class _Tried:
    """What has been tried: replays cost nothing, and the budget bounds the shrinking."""

    def __init__(self, law: "_Law | NextTokenClaim | PositionClaim", wanted: LawSearch) -> None:
        self._law = law
        self._wanted = wanted
        self._seen: dict[str, Seen] = {}
        self.broken: Seen | None = None

    def within_budget(self, example: Example) -> bool:
        budget = self._wanted.examples * CALLS_PER_EXAMPLE
        return written(example) in self._seen or len(self._seen) < budget

    def __call__(self, example: Example) -> None:
        """Try one; what Hypothesis comes back to last, the smallest, is the counterexample."""
        seen = self._measured(example)
        if self._breaks(seen):
            self.broken = seen
            raise BrokenLawError

    def also(self, example: Example) -> None:
        """Try one that is a counterexample only where there is no other."""
        seen = self._measured(example)
        if self._breaks(seen):
            self.broken = self.broken or seen

    def outcome(self) -> LawOutcome:
        for seen in self._seen.values():
            if not isfinite(seen.deviation):
                raise MeasurementError(
                    f"NaN or infinite logits while testing the law {self._wanted.law} on {seen.example}"
                )
        largest = max(self._seen.values(), key=lambda seen: seen.deviation)
        return LawOutcome(largest, len(self._seen), self.broken)

    def _measured(self, example: Example) -> Seen:
        spelled = written(example)
        if spelled not in self._seen:
            # As it is spelled, so that what is measured equals what the store gives back.
            self._seen[spelled] = Seen(json.loads(spelled), self._law.deviation(example))
        return self._seen[spelled]

    def _breaks(self, seen: Seen) -> bool:
        return not seen.deviation <= self._wanted.tolerance


class _Examples:
    """The examples of a law."""

    def __init__(self, wanted: LawSearch) -> None:
        self._name = wanted.law
        self._probes = {probe.id: probe for probe in wanted.probes}
        self._conditions = {name_of(condition): condition for condition in wanted.conditions}
        self._neutral = wanted.conditions[0].neutral

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
        fields: dict[str, st.SearchStrategy[Any]] = {"probe": st.sampled_from(list(self._probes))}
        if self._name is LawName.BATCH_MATES:
            mate = st.tuples(names, st.sampled_from(list(self._probes)))
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
        first, last = next(iter(self._probes)), list(self._probes)[-1]
        if self._name is LawName.BATCH_MATES:
            return [{"probe": first, "condition": name, "mates": [(name, last)]} for name in names]
        if self._name in _PAIRED:
            return [{"probe": first, "pair": list(pair), "weights": (1.0, 1.0)} for pair in pairwise(names)]
        return [{"probe": first, "condition": name, "weight": 1.0} for name in names]


class _Law(_Examples):
    """Examples of a law, and how far its two sides are apart on one of them."""

    def __init__(self, runner: Runner, wanted: LawSearch) -> None:
        super().__init__(wanted)
        self._runner = runner

    def deviation(self, example: Example) -> float:
        """Relative deviation of the law's two sides; not finite when a side is not."""
        sides: dict[str, Callable[[Example], tuple[Tensor, Tensor]]] = {
            LawName.VECTOR_ORDER: self._vector_order,
            LawName.VECTOR_INVERSE: self._vector_inverse,
            LawName.DOSE_ZERO: self._dose_zero,
            LawName.SCALE_ZERO: self._scale_zero,
            LawName.ADAPTER_DISABLED: self._adapter_disabled,
            LawName.ADAPTER_ORDER: self._adapter_order,
            LawName.ADAPTER_MERGED: self._adapter_merged,
            LawName.ADAPTER_UNMERGED: self._adapter_unmerged,
            LawName.ADAPTER_SWAPPED: self._adapter_swapped,
            LawName.ADAPTER_BY_ROW: self._adapter_by_row,
            LawName.BATCH_MATES: self._batch_mates,
        }
        left, right = sides[self._name](example)
        return float((left - right).abs().max() / right.abs().max())

    def _vector_order(self, example: Example) -> tuple[Tensor, Tensor]:
        first, second = (
            self._deltas(name, weight)
            for name, weight in zip(example["pair"], example["weights"], strict=True)
        )
        # Both at the first vector's site: what is under test is the order there.
        depth = next(iter(first))
        moved = {depth: next(iter(second.values()))}
        return self._logits(example, (), first, moved), self._logits(example, (), moved, first)

    def _vector_inverse(self, example: Example) -> tuple[Tensor, Tensor]:
        there = self._deltas(example["condition"], example["weight"])
        back = {depth: -delta for depth, delta in there.items()}
        return self._logits(example, (), there, back), self._logits(example, ())

    def _dose_zero(self, example: Example) -> tuple[Tensor, Tensor]:
        return self._logits(example, (), self._deltas(example["condition"], 0.0)), self._logits(example, ())

    def _scale_zero(self, example: Example) -> tuple[Tensor, Tensor]:
        return self._logits(example, self._adapters(example["condition"], 0.0)), self._logits(example, ())

    def _adapter_disabled(self, example: Example) -> tuple[Tensor, Tensor]:
        before = self._logits(example, ())
        with self._runner.host.switched(self._adapters(example["condition"], example["weight"])):
            inside = self._logits(example, ())
        return inside, before

    def _adapter_order(self, example: Example) -> tuple[Tensor, Tensor]:
        first, second = self._pair(example)
        return self._logits(example, first + second), self._logits(example, second + first)

    def _adapter_merged(self, example: Example) -> tuple[Tensor, Tensor]:
        adapters = self._adapters(example["condition"], example["weight"])
        with self._put(adapters, Way.MERGED):
            merged = self._run(example)
        return merged, self._logits(example, adapters)

    def _adapter_unmerged(self, example: Example) -> tuple[Tensor, Tensor]:
        before = self._logits(example, ())
        with self._put(self._adapters(example["condition"], example["weight"]), Way.UNMERGED):
            # No adapter is active in here: what is left is the base.
            return self._logits(example, ()), before

    def _adapter_swapped(self, example: Example) -> tuple[Tensor, Tensor]:
        first, second = self._pair(example)
        with self._runner.host.switched(first):
            before = self._run(example)
            self._logits(example, second)
            return self._run(example), before

    def _adapter_by_row(self, example: Example) -> tuple[Tensor, Tensor]:
        alone = [self._logits(example, adapters) for adapters in self._pair(example)]
        rows = [
            self._row(Condition(self._neutral, adapters=adapters), example["probe"])
            for adapters in self._pair(example)
        ]
        # What cannot act on single rows is never mixed with others.
        batches = [[row] for row in rows] if any(row.switched for row in rows) else [rows]
        return torch.cat([self._batch(batch) for batch in batches]), torch.cat(alone)

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
        self._runner.builder.mount(condition)
        return tuple((adapter, weight) for adapter, _ in condition.adapters)

    def _pair(self, example: Example) -> tuple[Weights, Weights]:
        (one, other), (weight, weight_of_other) = example["pair"], example["weights"]
        return self._adapters(one, weight), self._adapters(other, weight_of_other)

    def _put(self, adapters: Weights, way: Way) -> AbstractContextManager[None]:
        return self._runner.host.switched(*self._runner.host.fit(adapters, way))

    def _row(self, condition: Condition, probe: str) -> Row:
        return self._runner.builder.row(condition, self._probes[probe])

    def _logits(self, example: Example, adapters: Weights, *steered: Deltas) -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(self._runner.host.switched(adapters))
            for deltas in steered:
                stack.enter_context(self._runner.host.steered(deltas))
            return self._run(example)

    def _run(self, example: Example) -> Tensor:
        row = self._row(Condition(self._neutral), example["probe"])
        return self._logits_after(Padded.of([row], self._runner.host.pad, self._runner.host.device))

    def _batch(self, rows: list[Row]) -> Tensor:
        host = self._runner.host
        packed = all(row.longest <= host.packs for row in rows)
        rows = [replace(row, packed=packed) for row in rows]
        layout = host.laid_out(rows)
        with host.switched(rows[0].switched), host.put(rows, layout):
            return self._logits_after(layout)

    def _logits_after(self, layout: Layout) -> Tensor:
        return self._runner.host.logits(layout).float()


_EXAMPLES: Mapping[str, type[_Examples | NextTokenExamples | PositionExamples]] = {
    ClaimName.NEXT_TOKEN: NextTokenExamples,
    ClaimName.SAME_POSITION: PositionExamples,
}
_POSED: Mapping[str, type[_Law | NextTokenClaim | PositionClaim]] = {
    ClaimName.NEXT_TOKEN: NextTokenClaim,
    ClaimName.SAME_POSITION: PositionClaim,
}
