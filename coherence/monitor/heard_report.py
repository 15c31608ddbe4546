"""What a person looks at of a persona that was heard elsewhere: its averages over time, tables, turns."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from math import exp

import numpy as np

from coherence.errors import listed
from coherence.monitor.heard import Heard
from coherence.monitor.judgement import (
    COVERAGE,
    LIKELIHOOD,
    MARKERS,
    POSITION,
    RECOGNITION,
    Judgement,
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


def evidence_on(judgement: Judgement, controls: tuple[Control, ...] = ()) -> Evidence:
    """Put what decides beside what is shown."""
    criteria = tuple(judgement.criteria())
    return Evidence(criteria=criteria, controls=controls, **dict(_figures(judgement)))


def _figures(judgement: Judgement) -> Figures:
    return Figures(
        fact=_fact(judgement),
        curve=_curve(judgement),
        tables=(_by_release(judgement), _at_home(judgement)),
        probes=tuple(_noted(judgement)),
        notes=tuple(_notes(judgement)),
    )


def _fact(judgement: Judgement) -> str:
    heard = judgement.heard
    counted = f"{len(heard.turns)} turns of {heard.conversations} conversations"
    share = f"{judgement.outside.value:.0%} outside its region"
    if judgement.first is None:
        return f"{heard.persona} stays at home through {counted}, {share}"
    chart, turn = judgement.first
    began = heard.turns[chart.onset or 0]
    side = "above" if chart.averages[turn] > 0 else "below"
    return (
        f"{heard.persona} is {side} its home by {chart.name} at {heard.turns[turn]}, on the way since "
        f"{began}; of {counted}, {share}"
    )


def _curve(judgement: Judgement) -> Curve:
    """Draw the averages; of many turns the furthest of each stretch."""
    total = len(judgement.heard.turns)
    bounds = np.linspace(0, total, min(total, _PLACES) + 1).astype(int)
    stretches = list(pairwise(bounds))
    lines = {
        chart.name: Series(values=column(_furthest(chart.averages[first:end]) for first, end in stretches))
        for chart in judgement.charts
    }
    return Curve(
        over=Abscissa(title="turn"),
        at=tuple(str(end) for _, end in stretches),
        series=lines,
        value="moving average of normal scores",
        thresholds=tuple(_thresholds(judgement)),
    )


def _furthest(stretch: Array) -> float:
    return float(stretch[np.abs(stretch).argmax()])


def _thresholds(judgement: Judgement) -> Iterator[Threshold]:
    for chart in judgement.charts[:2]:  # all but the first have one limit
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


def _by_release(judgement: Judgement) -> Table:
    """Sum up what was heard of each release, and beside them the persona's own replies to the probes."""
    heard = judgement.heard
    releases = np.array([turn.release or "no release" for turn in heard.turns])
    rows = list(dict.fromkeys(releases.tolist()))
    among = [heard.values[releases == row] for row in rows]
    columns = {
        "turns": [float(len(values)) for values in among],
        "outside": [
            float(
                (judgement.out & (releases == row)).sum()
                / max(1, (judgement.placed & (releases == row)).sum())
            )
            for row in rows
        ],
        **{name: [summary(values) for values in among] for name, summary in _SUMMARIES.items()},
    }
    return table("what was heard, by release", rows, columns)


def _at_home(judgement: Judgement) -> Table:
    home = judgement.home
    columns = {name: [summary(home)] for name, summary in _SUMMARIES.items()}
    return table(
        "the persona's own replies to the probes", ["prompt"], {"replies": [float(len(home))], **columns}
    )


def _noted(judgement: Judgement) -> Iterator[ProbeNote]:
    """Yield the first alarm of each chart, then the turns that stand furthest outside."""
    heard, told = judgement.heard, set()
    for chart in judgement.charts:
        if chart.alarm is not None:
            told.add(chart.alarm)
            average = f"moving average {number(chart.averages[chart.alarm])}, limit {number(chart.limit)}"
            yield _note(heard, chart.alarm, f"first alarm of {chart.name}: {average}")
    within = judgement.region.within(heard.values[:, POSITION])
    for turn in np.argsort(np.where(np.isnan(within), np.inf, within), kind="stable")[:_SHOWN]:
        if int(turn) not in told and judgement.out[turn]:
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


def _notes(judgement: Judgement) -> Iterator[str]:
    heard, limits, region = judgement.heard, judgement.limits, judgement.region
    yield f"heard from {heard.turns[0].time} to {heard.turns[-1].time}"
    outside = judgement.outside
    yield (
        f"outside the region, {number(region.low)} to {number(region.high)}, where one more of its replies "
        f"to a probe is with {COVERAGE:.0%}: {ranged(outside.value, outside.low, outside.high)} of turns"
    )
    bounds = ", ".join(f"{chart.name} {number(chart.limit)}" for chart in judgement.charts)
    yield (
        f"moving averages weigh the newest conversation with {ewma.WEIGHT:g}; limits {bounds}: each is "
        f"passed falsely in {limits.level:.2%} of runs over {limits.conversations} conversations that are at "
        f"home, as known by {limits.home} replies"
    )
    for chart in judgement.charts:
        if chart.alarm is not None:
            began = heard.turns[chart.onset or 0]
            share = chart.alarms.mean()
            yield (
                f"{chart.name}: first alarm at {heard.turns[chart.alarm]}, on the way since {began}; beyond "
                f"the limit after {share:.0%} of turns"
            )
    if MARKERS not in kinds_of(judgement.home):
        yield "markers are in none of the persona's own replies to the probes: they decide nothing"
    if heard.unread:
        reasons = [f"{name}: {problem}" for name, problem in heard.unread.items()]
        yield f"{len(reasons)} turns could not be read: {listed(reasons, 3)}"
