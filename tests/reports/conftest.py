"""A made-up run with every outcome, on realistic evidence."""

from itertools import product

import pytest
from worlds.results import assertion as made_up

from coherence.results import Results
from coherence.vocabulary import (
    REGIMES,
    Abscissa,
    Adjusted,
    Control,
    Criterion,
    Curve,
    Estimate,
    Evidence,
    Point,
    Policy,
    ProbeNote,
    Regime,
    Scatter,
    Series,
    Verdict,
)

DEPTHS = 30
PIRATE = "Arr, matey! Yer treasure be on the ship, and the sea be rough, but ye shall have it by the morrow."
PLAIN = "I'm sorry to hear that. Could you tell me your order number, so that I can look it up for you?"


def cosine(value, half, n=24, name="cosine", at_least=0.5, unreliable=None):
    estimate = Estimate(name=name, value=value, low=value - half, high=value + half, n=n)
    return Criterion(estimate=estimate, at_least=at_least, unreliable=unreliable)


def margin(value, half):
    return cosine(value, half, name="margin over foreign", at_least=0.1)


def evidence(*criteria, text=PIRATE):
    raw = tuple(0.15 + 0.75 * depth / DEPTHS for depth in range(DEPTHS))
    specific = (None, *(0.8 - ((depth - 21) / 20) ** 2 for depth in range(1, DEPTHS)))
    curve = Curve(
        over=Abscissa(title="blocks passed"),
        at=tuple(f"resid_post.{block}" for block in range(DEPTHS)),
        series={
            "raw": Series(values=raw),
            "specific": Series(values=specific),
            "ceiling": Series(values=tuple(0.95 for _ in range(DEPTHS))),
        },
    )
    replies = {"bare": PLAIN, "prompt": text, "adapter": text, "steering": PLAIN}
    probes = (
        ProbeNote(probe="lost-parcel", note="cosine -0.31", replies=replies),
        ProbeNote(probe="broken-lamp", note="cosine -0.12"),
    )
    return Evidence(
        criteria=criteria, curve=curve, probes=probes, notes=("top 3 dimensions hold 12 % of energy",)
    )


def regimes(slug):
    """Those of a pair such as `prompt-adapter`; a law has none."""
    pair = slug.split("-")
    return tuple(map(Regime.parse, pair)) if pair[0] in map(str, REGIMES) else ()


def assertion(name, verdict, expect="pass", found=None, error=None, seconds=0.25, tolerated=False):
    release = {"base": "reference sha256:aa", f"adapter.{name.split('.')[0]}": "adapters/pirate sha256:bb"}
    judged = {"expect": expect, "regimes": regimes(name.split(".")[-1]), "release": release}
    return made_up(name, verdict, found, error, seconds=seconds, tolerated=tolerated, **judged)


@pytest.fixture(scope="session")
def in_a_space(results):
    """The same run, one of whose assertions shows places in a space of three axes."""
    named = product(("pirate", "counsel"), ("prompt", "adapter"))
    space = Scatter(
        x="assistant axis: roles 0, default 1",
        y="first component, in lengths of the axis",
        points=tuple(
            Point(name=name, group=group, x=place, y=-place) for place, (name, group) in enumerate(named)
        ),
        further={"second component, in lengths of the axis": (0.0, 1.0, 0.0, 1.0)},
    )
    first, *rest = results.assertions
    found = first.evidence.model_copy(update={"curve": None, "scatter": space})
    shown = first.model_copy(update={"evidence": found})
    return results.model_copy(update={"assertions": (shown, *rest)})


@pytest.fixture(scope="session")
def results():
    """Two personas, six outcomes."""
    good = evidence(cosine(0.81, 0.06), cosine(0.30, 0.1, name="margin over foreign", at_least=0.0))
    bad = evidence(cosine(0.125, 0.075), cosine(0.30, 0.1, name="margin over foreign", at_least=0.0))
    unsure = evidence(cosine(0.48, 0.1))
    error = "the hook at resid_post.14 did not fire"
    return Results(
        started="2026-01-02T03:04:05Z",
        seconds=12.34,
        seed=7,
        versions={"coherence": "0.1.0", "torch": "2.13.0"},
        assertions=(
            assertion("pirate.collinearity.prompt-adapter", Verdict.PASS, found=good, seconds=0.1),
            assertion("pirate.collinearity.prompt-steering", Verdict.FAIL, found=bad, seconds=0.2),
            assertion(
                "counsel.collinearity.prompt-adapter", Verdict.INCONCLUSIVE, found=unsure, seconds=0.00001
            ),
            assertion("pirate.collinearity.adapter-steering", Verdict.FAIL, "fail", bad, seconds=1 / 3),
            assertion("counsel.collinearity.prompt-steering", Verdict.PASS, "fail", good),
            assertion("counsel.laws.dose-zero", Verdict.ERROR, error=error, seconds=0.0),
        ),
    )


@pytest.fixture(scope="session")
def undecided():
    """A fail that the number of claims explains, and an open question that the policy lets pass."""
    alone = cosine(0.125, 0.3).model_copy(update={"p": 0.01, "adjusted": Adjusted(p=0.12, among=96)})
    narrowed = alone.estimate.model_copy(update={"low": 0.05, "high": 0.2})
    many = evidence(cosine(0.48, 0.1), alone.model_copy(update={"estimate": narrowed}))
    name = "pirate.collinearity"
    return Results(
        started="2026-01-02T03:04:05Z",
        seconds=1.0,
        seed=7,
        policy=Policy(inconclusive="warn"),
        versions={},
        assertions=(
            assertion(f"{name}.prompt-adapter", Verdict.INCONCLUSIVE, "fail", many),
            assertion(
                f"{name}.prompt-steering",
                Verdict.INCONCLUSIVE,
                found=evidence(cosine(0.48, 0.1)),
                tolerated=True,
            ),
        ),
    )


@pytest.fixture(scope="session")
def controlled():
    """A pass that a control gets as well, beside some that do not and one that was not measured."""
    controls = (
        Control(name="counsel by adapter", criterion=cosine(0.1, 0.05)),
        Control(name="support by adapter", criterion=margin(-0.2, 0.05), met=(cosine(0.55, 0.02),)),
        Control(name="random vectors", criterion=cosine(0.62, 0.05), met=(margin(0.3, 0.05),)),
        Control(name="a neutral prompt", problem="the prompt is too long\x1b"),
    )
    good = evidence(cosine(0.81, 0.06), margin(0.4, 0.1)).model_copy(update={"controls": controls})
    return Results(
        started="2026-01-02T03:04:05Z",
        seconds=1.0,
        seed=7,
        versions={},
        assertions=(assertion("pirate.collinearity.prompt-adapter", Verdict.INCONCLUSIVE, found=good),),
    )
