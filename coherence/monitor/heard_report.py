"""What a person looks at of a persona that was heard elsewhere: its averages over time, tables, turns."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from math import exp

import numpy as np

from coherence.errors import listed
from coherence.monitor.heard import Heard
from coherence.monitor.standing import (
    COVERAGE,
    LIKELIHOOD,
    MARKERS,
    POSITION,
    RECOGNITION,
    Standing,
    kinds_of,
)
from coherence.properties.columns import column, table
from coherence.statistics import ewma
from coherence.statistics.intervals import Array
from coherence.vocabulary import (
    Abscissa,
    Control,
    Curve,
    Evidence,
    Figures,
    ProbeNote,
    Series,
    Table,
    Threshold,
)
from coherence.vocabulary.evidence import number, ranged

_PLACES = 120  # of a curve: more cannot be told apart in a report
_SHOWN = 5


def evidence_on(standing: Standing, controls: tuple[Control, ...] = ()) -> Evidence:
    """Put what decides beside what is shown."""
    criteria = tuple(standing.criteria())
    return Evidence(criteria=criteria, controls=controls, **dict(_figures(standing)))


def _figures(standing: Standing) -> Figures:
    return Figures(
        fact=_fact(standing),
        curve=_curve(standing),
        tables=(_by_release(standing), _at_home(standing)),
        probes=tuple(_noted(standing)),
        notes=tuple(_notes(standing)),
    )


def _fact(standing: Standing) -> str:
    heard = standing.heard
    counted = f"{len(heard.turns)} turns of {heard.conversations} conversations"
    share = f"{standing.outside.value:.0%} outside its region"
    if standing.first is None:
        return f"{heard.persona} stays at home through {counted}, {share}"
    chart, turn = standing.first
    began = heard.turns[chart.onset or 0]
    side = "above" if chart.averages[turn] > 0 else "below"
    return (
        f"{heard.persona} is {side} its home by {chart.name} at {heard.turns[turn]}, on the way since "
        f"{began}; of {counted}, {share}"
    )


def _curve(standing: Standing) -> Curve:
    """Draw the averages; of many turns the furthest of each stretch."""
    total = len(standing.heard.turns)
    bounds = np.linspace(0, total, min(total, _PLACES) + 1).astype(int)
    stretches = list(pairwise(bounds))
    lines = {
        chart.name: Series(values=column(_furthest(chart.averages[first:end]) for first, end in stretches))
        for chart in standing.charts
    }
    return Curve(
        over=Abscissa(title="turn"),
        at=tuple(str(end) for _, end in stretches),
        series=lines,
        value="moving average of normal scores",
        thresholds=tuple(_thresholds(standing)),
    )


def _furthest(stretch: Array) -> float:
    return float(stretch[np.abs(stretch).argmax()])


def _thresholds(standing: Standing) -> Iterator[Threshold]:
    for chart in standing.charts[:2]:  # all but the first have one limit
        yield Threshold(series=chart.name, value=-round(chart.limit, 2), kind="at least")
        if chart.two_sided:
            yield Threshold(series=chart.name, value=round(chart.limit, 2), kind="at most")


_SUMMARIES: Mapping[str, Callable[[Array], float]] = {
    "position": lambda values: _mean(values[:, POSITION]),
    "recognised": lambda values: float((values[:, RECOGNITION] > 0).mean()),
    "likelihood": lambda values: _mean(values[:, LIKELIHOOD]),
    "with markers": lambda values: float((values[:, MARKERS] > 0).mean()),
}


def _mean(values: Array) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else np.nan


def _by_release(standing: Standing) -> Table:
    """Sum up what was heard of each release, and beside them the persona's own replies to the probes."""
    heard = standing.heard
    releases = np.array([turn.release or "no release" for turn in heard.turns])
    rows = list(dict.fromkeys(releases.tolist()))
    among = [heard.values[releases == row] for row in rows]
    columns = {
        "turns": [float(len(values)) for values in among],
        "outside": [
            float(
                (standing.out & (releases == row)).sum() / max(1, (standing.placed & (releases == row)).sum())
            )
            for row in rows
        ],
        **{name: [summary(values) for values in among] for name, summary in _SUMMARIES.items()},
    }
    return table("what was heard, by release", rows, columns)


def _at_home(standing: Standing) -> Table:
    home = standing.home
    columns = {name: [summary(home)] for name, summary in _SUMMARIES.items()}
    return table(
        "the persona's own replies to the probes", ["prompt"], {"replies": [float(len(home))], **columns}
    )


def _noted(standing: Standing) -> Iterator[ProbeNote]:
    """Yield the first alarm of each chart, then the turns that stand furthest outside."""
    heard, told = standing.heard, set()
    for chart in standing.charts:
        if chart.alarm is not None:
            told.add(chart.alarm)
            average = f"moving average {number(chart.averages[chart.alarm])}, limit {number(chart.limit)}"
            yield _note(heard, chart.alarm, f"first alarm of {chart.name}: {average}")
    within = standing.region.within(heard.values[:, POSITION])
    for turn in np.argsort(np.where(np.isnan(within), np.inf, within), kind="stable")[:_SHOWN]:
        if int(turn) not in told and standing.out[turn]:
            yield _note(heard, int(turn), "far outside the region")


def _note(heard: Heard, turn: int, why: str) -> ProbeNote:
    one = heard.turns[turn]
    asked, answered = one.said or (None, None)
    return ProbeNote(
        probe=one.name,
        note=f"{why}; {told_of(heard.values[turn])}; {one.time}, digest {one.digest}",
        question=asked,
        replies={} if answered is None else {one.release or "heard": answered},
    )


def told_of(values: Array) -> str:
    """Say the statistics of a turn."""
    position, odds, likelihood, markers = values
    belongs = 1 / (1 + exp(-max(-700.0, odds)))
    return (
        f"position {number(position)}, recognised {belongs:.0%}, likelihood {number(likelihood)}, "
        f"markers {markers:.0f}"
    )


def _notes(standing: Standing) -> Iterator[str]:
    heard, limits, region = standing.heard, standing.limits, standing.region
    yield f"heard from {heard.turns[0].time} to {heard.turns[-1].time}"
    outside = standing.outside
    yield (
        f"outside the region, {number(region.low)} to {number(region.high)}, where one more of its replies "
        f"to a probe is with {COVERAGE:.0%}: {ranged(outside.value, outside.low, outside.high)} of turns"
    )
    bounds = ", ".join(f"{chart.name} {number(chart.limit)}" for chart in standing.charts)
    yield (
        f"moving averages weigh the newest conversation with {ewma.WEIGHT:g}; limits {bounds}: each is "
        f"passed falsely in {limits.level:.2%} of runs over {limits.conversations} conversations that are at "
        f"home, as known by {limits.home} replies"
    )
    for chart in standing.charts:
        if chart.alarm is not None:
            began = heard.turns[chart.onset or 0]
            share = chart.alarms.mean()
            yield (
                f"{chart.name}: first alarm at {heard.turns[chart.alarm]}, on the way since {began}; beyond "
                f"the limit after {share:.0%} of turns"
            )
    if MARKERS not in kinds_of(standing.home):
        yield "markers are in none of the persona's own replies to the probes: they decide nothing"
    if heard.unread:
        reasons = [f"{name}: {problem}" for name, problem in heard.unread.items()]
        yield f"{len(reasons)} turns could not be read: {listed(reasons, 3)}"
