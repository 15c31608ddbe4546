"""A chronicle: what a person reads of a persona's conversations, by turn, by script and by kind of script."""

from collections.abc import Iterator

import numpy as np

from coherence.properties.columns import POSITION, TURNS, interval_columns, interval_series, series, table
from coherence.properties.conversations.drifting import DriftSample
from coherence.properties.conversations.shifts import by_turn
from coherence.properties.criterion import over_scripts
from coherence.statistics.course import Course, Region
from coherence.statistics.intervals import wilson
from coherence.vocabulary import Curve, Figures, Kind, ProbeNote, Table, Zone

SHOWN = 3  # scripts whose answers are quoted


def chronicle(sample: DriftSample) -> Figures:
    """Draw the positions by turn, write out turns, kinds and scripts, and quote some."""
    return Figures(
        curve=_curve(sample),
        tables=tuple(_tables(sample)),
        probes=tuple(_furthest(sample)),
        notes=tuple(_notes(sample)),
    )


def _curve(sample: DriftSample) -> Curve:
    drifted, region = sample.drifted, sample.region
    lines = {
        "position": interval_series(drifted.by_turn),
        "the bare model": series(sample.bare.course.means),
    }
    if drifted.drifting.markers:
        lines["marker rate"] = series(drifted.hits.means)
    at = drifted.drifting.turns
    zone = Zone(name="region", low=(region.low,) * len(at), high=(region.high,) * len(at))
    return Curve(over=TURNS, at=at, series=lines, zone=zone, value=POSITION)


def _notes(sample: DriftSample) -> Iterator[str]:
    """Say where the region is, when it is left, and how far the last turn is from the first."""
    course, region, n = sample.drifted.course, sample.region, len(sample.drifted.scripts)
    out = course.left(region)
    yield (
        f"the region, in which {sample.coverage:.0%} of single-turn replies under {sample.regime} "
        f"are expected: {region.low:.2f} to {region.high:.2f}"
    )
    clearly = "none" if out is None else f"turn {out + 1}, {_side(course.means[out], region)}"
    yield f"first turn whose whole interval is out of the region: {clearly}"
    slope = sample.bare.course.slope()
    for name, interval in {"last turn minus first": course.total(), "slope of the bare model": slope}.items():
        yield str(over_scripts(name, interval, n, key=None).estimate)


def _furthest(sample: DriftSample) -> Iterator[ProbeNote]:
    """Quote the scripts that are furthest out of the region, or nearest to its ends."""
    drifted, values = sample.drifted, sample.drifted.course.values
    within = sample.region.within(values)
    for row in map(int, np.argsort(np.nanmin(within, axis=1), kind="stable")[:SHOWN]):
        script, turn = drifted.drifting.conversations.scripts[row], int(np.nanargmin(within[row]))
        kind, reply, position = script.turns[turn].kind, drifted.texts[row, turn], values[row, turn]
        asked = drifted.drifting.conversations.asked(drifted.record, row, turn)
        places = (place for marker in drifted.drifting.markers for place in marker.places(reply))
        where = f"turn {turn + 1}"
        yield ProbeNote(
            probe=script.id,
            note=f"{where} ({kind}) at {position:.2f}, {_side(position, sample.region)}: {asked}",
            replies={where: reply},
            marks={where: tuple(sorted(places))},
        )


def _side(position: float, region: Region) -> str:
    if position > region.high:
        return "above the region"
    return "below the region" if position < region.low else "in the region"


def _tables(sample: DriftSample) -> Iterator[Table]:
    yield _by_turn(sample)
    if sample.drifted.drifting.markers:
        there = (hits[~np.isnan(hits)] for hits in sample.drifted.hits.values.T)
        rates = [wilson(hits.sum(), len(hits)) for hits in there]
        yield by_turn("by turn: marker rate and its interval", interval_columns("rate", rates))
    yield _by_kind(sample)
    yield _by_script(sample)


def _by_turn(sample: DriftSample) -> Table:
    drifted, values = sample.drifted, sample.drifted.course.values
    inside = np.where(np.isnan(values), np.nan, sample.region.within(values) >= 0)
    shares = Course(inside, drifted.scripts).means
    name = "by turn: position, its interval, and the share of scripts in the region"
    return by_turn(name, {**interval_columns("position", drifted.by_turn), "in the region": shares})


def _by_kind(sample: DriftSample) -> Table:
    course, scripts = sample.drifted.course, sample.drifted.drifting.conversations.scripts
    rows = {kind: [row for row, script in enumerate(scripts) if script.kind is kind] for kind in Kind}
    there = {str(kind): kept for kind, kept in rows.items() if kept}
    return table(
        "by kind of script: how many, slope per turn and its interval, last turn minus first",
        there,
        {
            "scripts": map(len, there.values()),
            **interval_columns("slope", [course.among(kept).slope() for kept in there.values()]),
            "last - first": [course.totals[kept].mean() for kept in there.values()],
        },
    )


def _by_script(sample: DriftSample) -> Table:
    course, within = sample.drifted.course, sample.region.within(sample.drifted.course.values)
    out = [next((turn for turn, by in enumerate(row, 1) if by < 0), np.nan) for row in within]
    return table(
        "by script: slope per turn, last turn minus first, first turn out of the region",
        course.scripts,
        {"slope": course.slopes, "last - first": course.totals, "first out": out},
    )
