"""Made-up releases, whose criteria are real statistics of made-up probes."""

import numpy as np

from coherence.properties.criterion import held
from coherence.results import AssertionResult, Results, sentence_of
from coherence.statistics.jackknife import Jackknife
from coherence.vocabulary import Evidence

NAMES = [f"q{number}" for number in range(24)]


def mean(values, name="cosine", clusters=None, at_least=0.5, **bounds):
    """A criterion on the mean of what each probe has."""
    jackknife = Jackknife(clusters or NAMES[: len(values)])
    found = jackknife.around(float(np.mean(values)), jackknife.weights @ np.asarray(values)).interval
    return held(name, found, len(values), at_least=at_least, **bounds, key=None)


def judged(*criteria, name="pirate.cosine.adapter", suite="a.yaml", **given):
    evidence = Evidence(criteria=criteria) if criteria else None
    verdict = evidence.verdict if evidence else "error"
    given = {"release": {"base": "tiny 12ab"}, "asked": {"probes": "1", "decoding": "2"}} | given
    return AssertionResult(
        id=name, persona="pirate", family="collinearity", suite=suite, line=3, verdict=verdict,
        raw_verdict=verdict, sentence=sentence_of(name, verdict, "pass", evidence, "no hook"),
        evidence=evidence, **given,
    )  # fmt: skip


def run(*results, versions=None):
    return Results(
        started="2026-01-02T03:04:05Z", seconds=1, seed=0, versions=versions or {}, assertions=results
    )
