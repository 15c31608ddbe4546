"""A run beside a baseline: what regressed, improved, appeared and vanished."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

import numpy as np

from coherence.baseline.baseline import Baseline, Line, SuiteLines
from coherence.baseline.difference import Gain
from coherence.errors import CoherenceError
from coherence.statistics.multiplicity import holm
from coherence.vocabulary import Change, Comparison
from coherence.vocabulary.comparison import Failing, Kind
from coherence.vocabulary.evidence import FAMILY_WISE

_ORDER: tuple[Kind, ...] = ("regressed", "vanished", "unclear", "improved", "appeared", "level")
_ENGINE = ("torch", "transformers", "peft")

Key: TypeAlias = tuple[str, str]  # of an assertion and its statistic
Lines: TypeAlias = dict[Key, Line]


@dataclass(frozen=True)
class ComparisonTerms:
    """How two releases are compared."""

    tolerance: float = 0.05
    fails_on: Failing = "regressed"
    adjusted: bool = True
    anyway: bool = False


def compare(name: str, before: Baseline, now: Baseline, terms: ComparisonTerms) -> Comparison:
    """Compare a run with the baseline of this name.

    Raises CoherenceError where the two did not put the same probes to the same model in the same way, unless
    the terms say `anyway`, or where they have no criterion in common.
    """
    if not _keys(before) & _keys(now):
        raise CoherenceError(_nothing_in_common(before, now))
    obstacles = list(_obstacles(before, now))
    if obstacles and not terms.anyway:
        raise CoherenceError(f"{'; '.join(obstacles)}: that is no comparison of releases")
    changes = _among_all(list(_changes(before, now, terms)), terms)
    return Comparison(
        baseline=name,
        started=before.started,
        tolerance=terms.tolerance,
        fails_on=terms.fails_on,
        notes=(*obstacles, *_notes(before, now)),
        changes=tuple(sorted(changes, key=_worst_first)),
    )


def _keys(baseline: Baseline) -> set[tuple[str, str, str]]:
    return {(suite, *key) for suite, lines in baseline.suites.items() for key in _by_key(lines)}


def _by_key(lines: SuiteLines | None) -> Lines:
    return {(line.assertion, line.statistic): line for line in lines.criteria} if lines else {}


def _nothing_in_common(before: Baseline, now: Baseline) -> str:
    theirs, ours = (", ".join(one.suites) or "no suite" for one in (before, now))
    return (
        f"a baseline of other suites: it has no criterion of this run (it is of {theirs}; this run of {ours})"
    )


def _obstacles(before: Baseline, now: Baseline) -> Iterator[str]:
    for suite, lines in now.suites.items():
        if suite in before.suites:
            yield from _differing(suite, before.suites[suite], lines)


def _differing(suite: str, before: SuiteLines, now: SuiteLines) -> Iterator[str]:
    bases = [lines.release.get("base", "?") for lines in (before, now)]
    if bases[0].split()[-1:] != bases[1].split()[-1:]:
        yield f"{suite} was judged on the base {bases[0]} and is now on {bases[1]}"
    others = [what for what in now.asked if before.asked.get(what, now.asked[what]) != now.asked[what]]
    if others:
        yield f"{suite} asks with other {' and other '.join(others)} than the baseline{_probes(before, now)}"


def _probes(before: SuiteLines, now: SuiteLines) -> str:
    one, two = (
        {name for line in lines.criteria if line.influence for name in line.influence.clusters}
        for lines in (before, now)
    )
    edits = [
        f"{word} {_named(names)}" for word, names in (("added", two - one), ("gone", one - two)) if names
    ]
    return f" ({', '.join(edits)})" if edits else ""


def _named(names: Iterable[str]) -> str:
    several = sorted(names)
    return ", ".join(several[:3]) + (f" and {len(several) - 3} more" if len(several) > 3 else "")


def _notes(before: Baseline, now: Baseline) -> Iterator[str]:
    for library in _ENGINE:
        was, is_now = before.versions.get(library), now.versions.get(library)
        if was and is_now and was != is_now:
            yield f"measured with {library} {was}, now {is_now}"


def _changes(before: Baseline, now: Baseline, terms: ComparisonTerms) -> Iterator[Change]:
    for suite in dict.fromkeys((*before.suites, *now.suites)):
        one, two = _by_key(before.suites.get(suite)), _by_key(now.suites.get(suite))
        for was, is_now in _restated(one, two):
            yield _of_another_statistic(suite, one.pop(was), two.pop(is_now))
        for key in dict.fromkeys((*one, *two)):
            yield _change(suite, key, one.get(key), two.get(key), terms)


def _restated(before: Lines, now: Lines) -> list[tuple[Key, Key]]:
    """Pair what vanished with what appeared in its place: the only ones of an assertion with these bounds.

    Recovery names the worse regime; older documents have Gwet's AC1 where now there is Cohen's kappa.
    """
    gone, new = _by_bounds(before, before.keys() - now.keys()), _by_bounds(now, now.keys() - before.keys())
    pairs = [(gone[bounds], new[bounds]) for bounds in gone if bounds in new]
    return [(was[0], is_now[0]) for was, is_now in pairs if len(was) == len(is_now) == 1]


def _by_bounds(lines: Lines, keys: Iterable[Key]) -> dict[tuple[str, float, float], list[Key]]:
    grouped: dict[tuple[str, float, float], list[Key]] = {}
    for key in keys:
        grouped.setdefault((key[0], lines[key].at_least, lines[key].at_most), []).append(key)
    return grouped


def _of_another_statistic(suite: str, before: Line, now: Line) -> Change:
    return Change(
        suite=suite,
        assertion=now.assertion,
        statistic=f"{now.statistic}, was {before.statistic}",
        kind="unclear",
        alone="unclear",
        before=before.value,
        now=now.value,
    )


def _change(suite: str, key: Key, before: Line | None, now: Line | None, terms: ComparisonTerms) -> Change:
    change: Mapping[str, object]
    if before is None or now is None:
        change = _of_kind("appeared" if before is None else "vanished")
    elif now.law:
        change = _of_kind(_kept(before, now))
    elif before.unreliable or now.unreliable:
        change = _of_kind("unclear")
    else:
        change = _gained(Gain.of(before, now), terms.tolerance)
    values = {"before": before and before.value, "now": now and now.value}
    return Change.model_validate(
        {"suite": suite, "assertion": key[0], "statistic": key[1], **values, **change}
    )


def _of_kind(kind: Kind) -> dict[str, object]:
    return {"kind": kind, "alone": kind}


def _kept(before: Line, now: Line) -> Kind:
    """Say whether a law still holds: how far from its bound is rounding."""
    held = [now.at_least <= line.value <= now.at_most for line in (before, now)]
    return "level" if held[0] == held[1] else "improved" if held[1] else "regressed"


def _gained(gain: Gain, tolerance: float) -> dict[str, object]:
    interval = gain.interval
    if not (isfinite(interval.value) and (isfinite(interval.low) or isfinite(interval.high))):
        return _of_kind("unclear")
    kind: Kind = "level"
    p = None
    if abs(interval.value) > tolerance:
        bound = tolerance if interval.value > 0 else -tolerance
        p = min(1.0, 2 * interval.doubt(bound))
        kind = "level" if p > FAMILY_WISE else "improved" if interval.value > 0 else "regressed"
    return {**_of_kind(kind), "difference": gain.difference, "p": p}


def _among_all(changes: Sequence[Change], terms: ComparisonTerms) -> list[Change]:
    """Keep what is told apart among all that were compared (Holm 1979), as verdicts do."""
    if not terms.adjusted:
        return list(changes)
    compared = [change for change in changes if change.difference]
    adjusted = holm(np.array([1.0 if change.p is None else change.p for change in compared]))
    chance = {id(one) for one, p in zip(compared, adjusted, strict=True) if p > FAMILY_WISE}
    return [
        change.model_copy(update={"kind": "level"}) if id(change) in chance else change for change in changes
    ]


def _worst_first(change: Change) -> tuple[int, int, str, str, str]:
    return (
        _ORDER.index(change.kind),
        _ORDER.index(change.alone),
        change.suite,
        change.assertion,
        change.statistic,
    )
