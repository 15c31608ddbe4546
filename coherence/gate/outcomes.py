"""What assertions came to, as results: each by itself, and a run of them as one document."""

import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from coherence.errors import CoherenceError, UnmeasuredError
from coherence.plan import Scene
from coherence.results import AssertionResult, Results, sentence_of
from coherence.suite import Assertion, Suite
from coherence.vocabulary import ArtefactFiles, Evidence, Policy, ProbeNote, Verdict

_LIBRARIES = ("pytest-coherence", "torch", "transformers", "peft", "numpy", "scipy", "hypothesis")
_DEFAULT = Policy()


def results_of(
    assertions: Iterable[AssertionResult],
    started: datetime,
    seed: int,
    policy: Policy = _DEFAULT,
    artefacts: Iterable[ArtefactFiles] = (),
) -> Results:
    """Put the verdicts of a run into one document, in the order of the suites whatever order they came in.

    Of the artefacts it has those that evidence is about.
    """
    ordered = sorted(assertions, key=lambda result: (result.suite, result.line, result.id))
    named = {pair for result in ordered if result.evidence for pair in result.release.items()}
    used = {(one.name, one.said): one for one in artefacts if (one.name, one.said) in named}
    return Results(
        started=started.isoformat(timespec="seconds"),
        seconds=round((datetime.now(UTC) - started).total_seconds(), 1),
        seed=seed,
        policy=policy,
        versions={library: version(library) for library in _LIBRARIES},
        assertions=tuple(ordered),
        artefacts=tuple(used[pair] for pair in sorted(used, key=lambda pair: (pair[0] != "base", pair))),
    )


def unjudged(assertion: Assertion, why: str) -> AssertionResult:
    """Say of an assertion that came to no verdict why: an error in the place of one."""
    return AssertionResult(
        **stated(assertion),
        verdict=Verdict.ERROR,
        raw_verdict=Verdict.ERROR,
        sentence=sentence_of(assertion.id, Verdict.ERROR, assertion.expect, None, why),
    )


def stated(assertion: Assertion) -> dict[str, Any]:
    """Return what a result says of its assertion, whatever became of it."""
    return {
        "id": assertion.id,
        "persona": assertion.case.persona,
        "property": assertion.property.word(),
        "slug": assertion.case.slug,
        "regimes": assertion.case.regimes,
        "family": assertion.family,
        "suite": assertion.place.file,
        "line": assertion.place.line or 1,
        "expect": assertion.expect,
        "tier": assertion.tier,
    }


def verdict_of(
    assertion: Assertion, evidence: Evidence | None, problem: CoherenceError | None, policy: Policy
) -> dict[str, Any]:
    """Return what a result says of its assertion and of the verdict on it."""
    unmeasured = isinstance(problem, UnmeasuredError)
    without = Verdict.INCONCLUSIVE if unmeasured else Verdict.ERROR
    verdict, raw = (evidence.verdict, evidence.raw_verdict) if evidence else (without, without)
    # A known incoherence that was looked for and not shown is no longer known, and a fail stays one: else
    # claims beside it that cannot fail would turn the gate green.
    undecided = unmeasured or (raw is Verdict.INCONCLUSIVE and assertion.expect == "pass")
    return stated(assertion) | {
        "verdict": verdict,
        "raw_verdict": raw,
        "tolerated": undecided and policy.inconclusive == "warn",
        "sentence": sentence_of(assertion.id, verdict, assertion.expect, evidence, str(problem)),
        "evidence": evidence,
    }


def replay_of(suite: Suite, assertion: Assertion, evidence: Evidence) -> str | None:
    """Write the command that measures the counterexample of an assertion again, if it has one."""
    example = next((probe.example for probe in evidence.probes if probe.example), None)
    if example is None:
        return None
    arguments = [assertion.place.file, assertion.id, example, *suite.overrides.options]
    return shlex.join(["coherence", "replay", *arguments])


def questioned(notes: Iterable[ProbeNote], scene: Scene) -> tuple[ProbeNote, ...]:
    """Put beside each probe or script that is noted what it asks, whole; what is neither stays as it is."""
    questions = {script.id: "\n".join(map(str, script.turns)) for script in scene.scripts}
    questions |= {probe.id: probe.text for probe in scene.probes}
    return tuple(note.model_copy(update={"question": questions.get(note.probe)}) for note in notes)


def asked_of(scene: Scene, day: str | None) -> dict[str, str]:
    """Say what was asked of the release, in digests, and how it was put."""
    written = {
        "probes": "\n".join(probe.model_dump_json() for probe in scene.probes),
        "neutral prompt": "no system turn" if scene.neutral is None else scene.neutral,
        "decoding": scene.sampling.model_dump_json(),
    }
    digests = {name: sha256(text.encode()).hexdigest()[:12] for name, text in written.items()}
    templating = {
        "dtype": str(scene.release.dtype),
        "system": "folded" if scene.templating.fold else "auto",
        "thinking": scene.thinking,
    }
    return digests | templating | ({"date": day} if day else {})
