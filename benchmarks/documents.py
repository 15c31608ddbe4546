"""Documents of made-up runs, with everything that a results document can hold."""

import sys
from functools import cache

from work import ROOT

from coherence.baseline.baseline import Baseline
from coherence.baseline.differences import ComparisonTerms, compare
from coherence.results import AssertionResult, Results
from coherence.vocabulary import (
    Abscissa,
    Adjusted,
    Control,
    Criterion,
    Curve,
    Estimate,
    Evidence,
    Incoherence,
    Influence,
    ProbeNote,
    Regime,
    Series,
    Verdict,
)
from coherence.vocabulary.figures import Arrows, Table, Zone

sys.path.insert(0, str(ROOT / "tests"))
from worlds.results import assertion

_PLACES = 5


@cache
def runs() -> tuple[Results, ...]:
    """Make two runs; the second is compared with a baseline of the first."""
    first, second = _run(0.8), _run(0.3)
    comparison = compare("baseline.json", Baseline.of(first), Baseline.of(second), ComparisonTerms())
    return first, second.model_copy(update={"comparison": comparison})


def _run(value: float) -> Results:
    return Results(
        started="2026-01-02T03:04:05Z",
        seconds=1.5,
        seed=7,
        versions={"coherence": "0.1.0", "torch": "2.13.0"},
        commit="0123abc",
        device="cpu",
        assertions=(
            _assertion("pirate.collinearity.prompt-adapter", _evidence(value)),
            _assertion("pirate.markers.prompt-steering", _evidence(0.2), Incoherence(fail=("min_cosine",))),
            _assertion("counsel.laws.dose-zero", None),
        ),
    )


def _assertion(name: str, evidence: Evidence | None, expect: "Incoherence | str" = "pass") -> AssertionResult:
    return assertion(
        name,
        evidence.verdict if evidence else Verdict.ERROR,
        evidence,
        "a hook did not fire",
        expect=expect,
        property=name.split(".")[1],
        regimes=[Regime.PROMPT, Regime.ADAPTER],
        replay="coherence replay a.coherence.yaml",
        release={"base": "reference aa", "adapter pirate": "adapters/pirate bb"},
        asked={"probes": "0123", "dtype": "float32"},
    )


def _criterion(value: float, name: str = "cosine") -> Criterion:
    influence = Influence(clusters={"who": 0.03, "why": -0.04}, freedom=7.0)
    estimate = Estimate(name=name, value=value, low=value - 0.1, high=value + 0.1, n=8, influence=influence)
    adjusted = Adjusted(p=0.12, among=9, families=2)
    return Criterion(estimate=estimate, at_least=0.5, key="min_cosine", p=0.01, adjusted=adjusted)


def _evidence(value: float) -> Evidence:
    rising = tuple(value + 0.01 * place for place in range(_PLACES))
    return Evidence(
        criteria=(_criterion(value), _criterion(value + 0.1, "margin")),
        controls=(
            Control(name="counsel by adapter", criterion=_criterion(0.1)),
            Control(name="a neutral prompt", problem="too long"),
        ),
        curve=Curve(
            over=Abscissa(title="dose", diagonal="linear"),
            at=tuple(f"0.{place}" for place in range(_PLACES)),
            series={
                "a": Series(values=rising, low=rising, high=rising),
                "b": Series(values=(None,) * _PLACES),
            },
            zone=Zone(name="at home", low=rising, high=rising),
        ),
        arrows=Arrows(
            x="x", y="y", begins="here", ends="there", start={"a": (0.0, 1.0)}, end={"a": (0.5, None)}
        ),
        tables=(Table(name="how far", rows=("a", "b"), columns=("c", "d"), cells=((0.1, None), (1.0, 2.0))),),
        probes=(
            ProbeNote(
                probe="who",
                note="far",
                replies={"prompt": "Arr, matey", "bare": "Hello"},
                marks={"prompt": ((0, 3),)},
                example='{"dose": 0}',
            ),
        ),
        notes=("a note",),
    )
