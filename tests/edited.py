"""Documents as somebody who edits them leaves them: one place each, changed at random."""

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

from coherence.results import AssertionResult, Results, sentence_of
from coherence.vocabulary import (
    Abscissa,
    Adjusted,
    Arrows,
    Change,
    Comparison,
    Control,
    Criterion,
    Curve,
    Difference,
    Estimate,
    Evidence,
    Influence,
    ProbeNote,
    Regime,
    Series,
    Table,
    Verdict,
    Zone,
)

_STRANGE: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    "NaN",
    "inf",
    "-inf",
    "",
    "x",
    "no such thing.",
    [],
    {},
    [None],
    {"x": 1},
)
_NAME = "pirate.collinearity.prompt-adapter"


def document() -> Results:
    """Return a document with everything that one may hold."""
    influence = Influence(clusters={"a": 0.01, "b": -0.02}, freedom=1.0)
    estimate = Estimate(name="cosine", value=0.4, low=0.3, high=0.45, n=24, influence=influence)
    alone = Criterion(
        estimate=estimate, at_least=0.5, key="min_cosine", p=0.01, adjusted=Adjusted(p=0.2, among=96)
    )
    met = Criterion(estimate=Estimate(name="margin", value=0.4, low=0.3, high=0.5, n=24), at_most=0.9)
    unsure = Criterion(estimate=Estimate(name="ratio", value=0.5, low=0.3, high=0.7, n=8), at_least=0.6)
    curve = Curve(
        over=Abscissa(title="dose", diagonal="a linear response"),
        at=("0.0", "0.5", "1.0"),
        series={"raw": Series(values=(0.1, None, 0.3), low=(0.0, None, 0.2), high=(0.2, None, 0.4))},
        zone=Zone(name="region", low=(0.0, 0.0, 0.0), high=(1.0, 1.0, 1.0)),
    )
    arrows = Arrows(
        x="pirate", y="counsel", begins="at release", ends="at the end",
        start={"one": (0.1, 0.2), "two": (0.5, 0.5)}, end={"one": (0.0, None), "two": (1.0, 1.0)},
    )  # fmt: skip
    probe = ProbeNote(
        probe="lost-parcel", note="cosine -0.31", replies={"prompt": "Arr, matey!"},
        marks={"prompt": ((0, 3), (5, 10))}, example='{"probe": "lost-parcel"}',
    )  # fmt: skip
    figures: dict[str, Any] = {
        "curve": curve,
        "arrows": arrows,
        "tables": (Table(name="effects", rows=("a", "b"), columns=("x",), cells=((1.0,), (None,))),),
        "probes": (probe,),
        "notes": ("three dimensions hold 12 % of energy",),
    }
    claims = {
        _NAME: Evidence(criteria=(met, alone), **figures),
        "pirate.collinearity.adapter-steering": Evidence(
            criteria=(met,),
            controls=(
                Control(name="nothing", criterion=unsure, met=(met,)),
                Control(name="noise", problem="no"),
            ),
        ),
        "counsel.dose.steering": Evidence(criteria=(unsure, met)),
    }
    change = Change(
        suite="a.coherence.yaml", assertion=_NAME, statistic="cosine", kind="regressed", alone="regressed",
        before=0.6, now=0.4, difference=Difference(value=-0.2, low=-0.3, high=-0.1, paired=True), p=0.001,
    )  # fmt: skip
    return Results(
        started="2026-01-02T03:04:05Z",
        seconds=12.3,
        seed=7,
        versions={"coherence": "0.1.0", "torch": "2.13.0"},
        commit="0" * 40,
        device="cpu",
        assertions=(
            *(_judged(name, found) for name, found in claims.items()),
            _judged("oncall.dose.cap", None),
        ),
        comparison=Comparison(
            baseline="b.json", started="2026-01-01T00:00:00Z", tolerance=0.05, changes=(change,)
        ),
    )


def _judged(name: str, evidence: Evidence | None) -> AssertionResult:
    persona, stated, slug = name.split(".")
    verdict = evidence.verdict if evidence else Verdict.ERROR
    return AssertionResult(
        id=name, persona=persona, property=stated, slug=slug, regimes=(Regime.parse("prompt"),),
        family="collinearity", suite="a.coherence.yaml", line=3, verdict=verdict,
        raw_verdict=evidence.raw_verdict if evidence else verdict,
        sentence=sentence_of(name, verdict, "pass", evidence, "no hook"), evidence=evidence,
        replay="coherence replay a.coherence.yaml", release={"base": "tiny 12ab"}, asked={"probes": "1"},
    )  # fmt: skip


def edited(written: str, random: Random) -> str:
    """Change one place of a JSON document: another value, one less, one more, or two that are swapped."""
    told = json.loads(written)
    holder, key = random.choice(list(_places(told)))
    edit = random.randrange(4)
    if edit == 0:
        del holder[key]
    elif edit == 1 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif edit == 2 and isinstance(holder[key], int | float):
        holder[key] *= random.choice((-1, 0, 1000))
    else:
        holder[key] = deepcopy(random.choice((*_STRANGE, random.choice([one for _, one in _values(told)]))))
    return json.dumps(told)


def _places(told: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in _values(told):
        yield key
        if isinstance(value, dict | list):
            yield from _places(value)


def _values(told: Any) -> Iterator[tuple[tuple[Any, Any], Any]]:
    items = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for key, value in items:
        yield (told, key), value
