"""From what a healthy release and its controls show to what can be proposed."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil, isfinite

from pydantic import ValidationError

from coherence.thresholds.proposal import (
    CalibrationTerms,
    ControlEstimate,
    Criteria,
    Proposal,
    Trial,
    percent,
)
from coherence.thresholds.several import Several
from coherence.thresholds.side import Side, decimals, outward, sides
from coherence.thresholds.written_claim import Entry
from coherence.vocabulary import Verdict
from coherence.vocabulary.evidence import number


def proposals(tried: Iterable[Trial], terms: CalibrationTerms) -> Iterator[Proposal]:
    """Propose every threshold of every entry: one that all of its assertions pass, in all releases."""
    in_order = sorted(tried, key=lambda trial: trial.entry.index)
    for _, group in groupby(in_order, key=lambda trial: trial.entry.index):
        trials = [*group]
        for key in dict.fromkeys(key for trial in trials for criteria in trial.whole for key in criteria):
            having = [trial for trial in trials if trial.criteria(key)]
            entry, criterion = having[0].entry, having[0].criteria(key)[0]
            for item, side in enumerate(sides(criterion, getattr(entry.asserted, key))):
                yield _Weighing(entry, key, item, side, having, terms).proposal()


class _Weighing:
    """One threshold, the healthy assertions that must pass it, and the controls that must not."""

    def __init__(
        self, entry: Entry, key: str, item: int, side: Side, trials: Sequence[Trial], terms: CalibrationTerms
    ) -> None:
        self._entry, self._key, self._item, self._side, self._terms = entry, key, item, side, terms
        self._rate = terms.false_alarm / len(entry.numbers(key))  # either end of a range may be missed
        self._current = entry.numbers(key)[item]
        self._places = decimals(self._current)
        self._trials = trials
        self._shown = {trial.name: trial.healthy(key, side) for trial in trials}
        self._healthy = {
            name: Several({each.release: self._shown[each.name] for each in trials if each.id == name})
            for name in dict.fromkeys(trial.id for trial in trials)
        }
        self._control = self._best_control(self._controls())
        self._rival = self._best_control(self._controls(stopped=False))

    def proposal(self) -> Proposal:
        weakest = min(self._healthy, key=lambda name: self._healthy[name].threshold(self._rate))
        proposed, reason = self._decided()
        release = self._healthy[weakest].weakest(self._rate)
        needed = {name: shown.needed(self._now, self._terms.power) for name, shown in self._shown.items()}
        neediest = max(needed, key=needed.__getitem__)
        lacking = self._lacking(neediest, needed[neediest])
        return Proposal(
            entry=self._entry,
            key=self._key,
            item=self._item,
            side=self._side,
            current=self._current,
            proposed=proposed,
            weakest=weakest,
            release=release,
            estimate=self._healthy[weakest].each[release].estimate,
            control=self._control,
            needed=needed[neediest],
            notes=tuple(filter(None, (reason, lacking))),
        )

    @property
    def _now(self) -> float:
        return self._side.reach_of(self._current)

    def _decided(self) -> tuple[float | None, str | None]:
        undecided = self._undecided()
        if undecided:
            return None, undecided
        lenient = min(healthy.threshold(self._rate) for healthy in self._healthy.values())
        raised, reason = self._above_control(outward(lenient, self._places))
        if raised is None:
            return None, reason
        threshold = self._side.reach_of(raised)
        refused = _refused(self._entry, self._key, self._item, threshold)
        return (None, refused) if refused else (threshold, reason)

    def _undecided(self) -> str | None:
        for trial in self._trials:
            reason = trial.criteria(self._key)[0].unreliable
            if reason:
                return f"{trial.name}: {reason}"
            if not self._shown[trial.name].known:
                estimate = self._shown[trial.name].estimate
                return f"{trial.name}: on most halves of the {estimate.of}, there is no {estimate.name}"
        return None

    def _above_control(self, reach: float) -> tuple[float | None, str | None]:
        """Keep the reach, or raise it until no control passes; None where healthy releases fail it too.

        A control that something else of the claim stops is no reason: it does not pass the claim.
        """
        if self._rival is None or self._side.reach(self._rival.estimate) < reach:
            return reach, None
        passes = f"the control passes too: {self._rival}"
        passed = outward(self._side.reach(self._rival.estimate), self._places)
        raised = round(passed + 10.0**-self._places, self._places)
        if all(healthy.end >= raised for healthy in self._healthy.values()):
            risk = max(healthy.false_alarm(raised) for healthy in self._healthy.values())
            return raised, f"raised because at {number(self._side.reach_of(reach))} {passes}; " + (
                f"a healthy release misses it with probability {number(risk)}"
            )
        apart = max(
            healthy.needed(self._side.expected(self._rival.estimate), self._terms.power)
            for healthy in self._healthy.values()
        )
        estimate = self._shown[self._trials[0].name].estimate
        probes = (
            f"{estimate.n} {estimate.of}; {ceil(apart)} tell them apart"
            if isfinite(apart)
            else f"no number of {estimate.of} helps"
        )
        return None, f"{passes}, so nothing is proposed ({probes})"

    def _lacking(self, name: str, needed: float) -> str | None:
        estimate = self._shown[name].estimate
        if needed <= estimate.n or not self._shown[name].known:
            return None
        aim = f"{estimate.name} {self._side} {self._current:g}"
        if isfinite(needed):
            power = percent(self._terms.power)
            return f"{name}: {estimate.n} {estimate.of}; {ceil(needed)} needed for {aim} at {power} power"
        return f"{name}: no number of {estimate.of} is enough for {aim}, for it is {number(estimate.value)}"

    def _best_control(self, controls: Iterable[ControlEstimate]) -> ControlEstimate | None:
        return max(controls, key=lambda control: self._side.reach(control.estimate), default=None)

    def _controls(self, stopped: bool = True) -> Iterator[ControlEstimate]:
        """Yield controls that this criterion judges; `stopped` ones fail something else as it stands."""
        for trial in self._trials:
            for who, criteria in trial.controls.items():
                if self._key not in criteria or criteria[self._key].unreliable is not None:
                    continue
                if stopped or not self._stops(criteria):
                    yield ControlEstimate(who, trial.id, trial.release, criteria[self._key].estimate)

    def _stops(self, criteria: Criteria) -> bool:
        """Tell whether another criterion, or the other end of this one's range, stops a control."""
        others = (criterion for key, criterion in criteria.items() if key != self._key)
        failing = any(other.raw_verdict is Verdict.FAIL for other in others)
        return failing or self._side.other_fails(criteria[self._key])


def _refused(entry: Entry, key: str, item: int, threshold: float) -> str | None:
    """Say why a key does not take a threshold, if it does not."""
    numbers = [*entry.numbers(key)]
    numbers[item] = threshold
    written = {key: tuple(numbers) if len(numbers) > 1 else threshold}
    try:
        type(entry.asserted).model_validate(dict(entry.asserted) | written)
    except ValidationError as problem:
        reason = problem.errors()[0]["msg"]
        return f"healthy releases pass {threshold:g} only, which {key} does not take ({reason})"
    return None
