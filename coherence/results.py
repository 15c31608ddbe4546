"""The results of a run: one versioned JSON document, the source of every report."""

import builtins
from collections import Counter
from collections.abc import Iterator
from math import isinf
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError, model_validator

from coherence import limits
from coherence.errors import CoherenceError, Place
from coherence.files import read_file, replace_file
from coherence.older_results import FORMATS, upgraded
from coherence.vocabulary import (
    ArtefactFiles,
    Cause,
    Comparison,
    Criterion,
    Evidence,
    Expectation,
    Incoherence,
    Policy,
    Regime,
    Verdict,
)
from coherence.vocabulary.evidence import UNTOLD
from coherence.vocabulary.frozen import Frozen, Text
from coherence.vocabulary.tier import Tier

FORMAT: Final = 5


class AssertionResult(Frozen):
    """One assertion: what it asked, what was found, and whether that was expected."""

    id: str = Field(
        description="`<persona>.<property>.<slug>`; stable, the node id, JUnit name and baseline key."
    )
    persona: str
    property: str | None = Field(
        None, description="What is asserted, as suites call it; absent where a suite cannot be read."
    )
    slug: str | None = Field(
        None, description="Which of the property's assertions about the persona it is; absent as well."
    )
    regimes: tuple[Regime, ...] = Field(
        (), description="Those that are held against each other, or the one that it is about."
    )
    family: str
    suite: str = Field(
        description="Path of the suite file, as errors name it: relative when below the current directory."
    )
    line: int
    verdict: Verdict = Field(description="What gates: adjusted for the number of claims in the run.")
    raw_verdict: Verdict = Field(description="What the assertion's verdict would be if it were the only one.")
    expect: Expectation = "pass"
    tier: Tier = "full"
    tolerated: bool = Field(
        False,
        description="Inconclusive, by itself too, which the run's policy lets pass with a warning.",
    )
    sentence: Text = Field(description="The verdict with its numbers, in one line: see `sentence_of`.")
    evidence: Evidence | None = Field(
        None, description="Absent when the verdict is an error, or the budget was spent before."
    )
    cause: Cause | None = Field(
        None, description="The artefact that it is likely red because of, where one was found not to fit."
    )
    replay: Text | None = Field(
        None, description="The command that measures the counterexample again, as a shell reads it."
    )
    release: dict[str, str] = Field(
        default_factory=dict, description="Artefact name to what it was and its digest."
    )
    scales: dict[str, float] = Field(
        default_factory=dict, description="Adapter name to what its low-rank product is multiplied by."
    )
    asked: dict[str, str] = Field(
        default_factory=dict,
        description="What must be the same for two releases to be compared: probes, neutral prompt and "
        "decoding by their digests, the type of the weights, and what is told to the chat template.",
    )
    seconds: float = 0.0

    @builtins.property
    def green(self) -> bool:
        """Whether the verdict is the expected one, or tolerated."""
        if self.tolerated:
            return True
        if isinstance(self.expect, Incoherence):
            return self.evidence is not None and self.expect.met(self.evidence.criteria)
        return self.verdict == Verdict(self.expect)

    @builtins.property
    def seen(self) -> str | None:
        """What was seen, in plain words; None where nothing was measured."""
        if self.evidence is None or self.verdict is Verdict.ERROR:
            return None
        if control := self.evidence.passing_control:
            passed = control.criterion or self.evidence.decisive
            return f"the control passes too: {control.name}, {passed.plainly}"
        _, criterion = _claim(self.verdict, self.expect, self.evidence)
        seen = self.evidence.fact or criterion.plainly
        if criterion.verdict is not Verdict.INCONCLUSIVE:
            return seen
        return f"{seen} ({criterion.unreliable or _wanting(criterion, self.evidence)})"

    @builtins.property
    def headline(self) -> str:
        """The verdict with what was seen: ASCII, one line. The sentence where nothing was measured."""
        if self.evidence is None or self.seen is None:
            return self.sentence
        claim, _ = _claim(self.verdict, self.expect, self.evidence)
        return _one_line(f"{self.id} {claim} {self.seen}", 400)

    @builtins.property
    def likely_cause(self) -> str | None:
        """What makes it red, as far as files and measurements tell; None of a green one."""
        if self.green or self.evidence is None:
            return None
        return str(self.cause) if self.cause else self.evidence.cause

    @builtins.property
    def numbers(self) -> str | None:
        """What the verdict hangs on, with interval, n and p; None where nothing was measured."""
        if self.evidence is None or self.verdict is Verdict.ERROR:
            return None
        return _hangs_on(_claim(self.verdict, self.expect, self.evidence)[1], self.evidence)

    @builtins.property
    def unmeasured(self) -> bool:
        """Whether the budget of the run was spent before it could be judged."""
        return self.evidence is None and self.verdict is Verdict.INCONCLUSIVE

    @builtins.property
    def outcome(self) -> str:
        """The verdict, or what it comes to: `tolerated`, `expected fail`, `unexpected pass`."""
        if self.tolerated:
            return "tolerated"
        if self.expect == "pass":
            return self.verdict.value
        if self.verdict is Verdict.PASS:
            return "unexpected pass"
        return "expected fail" if self.green else self.verdict.value


class Results(Frozen):
    """Everything a report shows."""

    format: Literal[5] = Field(
        FORMAT,
        description="Of the document. Older ones are read: 2 lacks what a baseline needs, and is compared "
        "without pairs; before 4 an expected fail names no criterion; before 5 a property goes by its id.",
    )
    started: str = Field(description="ISO 8601, UTC.")
    seconds: float
    seed: int
    policy: Policy = Policy()
    versions: dict[str, str]
    commit: Text | None = Field(
        None, description="Of the suites' repository, with `-dirty` where it was changed; absent without one."
    )
    device: Text | None = Field(
        None, description="What measured: `cpu`, or names of GPUs. Absent where everything was stored."
    )
    command: Text | None = Field(
        None, description="The command that ran it, as a shell reads it; absent where it was the gate."
    )
    remarks: tuple[Text, ...] = Field(
        (), description="What of the artefacts does not go together, said before they were measured."
    )
    assertions: tuple[AssertionResult, ...]
    artefacts: tuple[ArtefactFiles, ...] = Field(
        (), description="What evidence is about, with a digest of every file; absent in older documents."
    )
    comparison: Comparison | None = Field(None, description="With a baseline, where there is one.")

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What the weights were computed in, in order of first appearance."""
        dtypes = (result.asked.get("dtype") for result in self.assertions)
        return tuple(dict.fromkeys(dtype for dtype in dtypes if dtype))

    def by_persona(self) -> dict[str, list[AssertionResult]]:
        """Group the assertions, personas in order of first appearance."""
        groups: dict[str, list[AssertionResult]] = {}
        for assertion in self.assertions:
            groups.setdefault(assertion.persona, []).append(assertion)
        return groups

    @property
    def green(self) -> bool:
        """Whether something was judged, all of it is as expected, and nothing failed against a baseline."""
        failing = self.comparison and self.comparison.failing
        return bool(self.assertions) and not failing and all(result.green for result in self.assertions)

    @model_validator(mode="before")
    @classmethod
    def _of_now(cls, document: object) -> object:
        """Read an older format."""
        if isinstance(document, dict) and document.get("format") in FORMATS:
            return upgraded(document)
        return document

    def write(self, path: Path) -> None:
        """Write atomically: a reader sees the old document or the new one, never half of one."""
        replace_file(path, self.model_dump_json(indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read a results document back; a CoherenceError says why it is not one."""
        return cls.parse(cls.content(path), path)

    @classmethod
    def content(cls, path: Path) -> bytes:
        """Return the bytes of a document; a CoherenceError says why they cannot be read."""
        try:
            return read_file(path, limits.DOCUMENT_BYTES)
        except OSError as problem:
            raise CoherenceError(f"cannot be read: {problem.strerror or problem}", Place(str(path))) from None

    @classmethod
    def parse(cls, content: bytes, path: Path) -> "Results":
        """Take what was read from a file for a results document; a CoherenceError says why it is not one."""
        try:
            results = cls.model_validate_json(content)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the document"
            sentence = f"not a results document of format {FORMAT} to {FORMATS[0]}: {where}: {first['msg']}"
            raise CoherenceError(sentence, Place(str(path))) from None
        if edited := next(_edited(results), None):
            raise CoherenceError(f"not what a run wrote: {edited}", Place(str(path)))
        return results


def _edited(results: Results) -> Iterator[str]:
    """Find what no run writes: an assertion that is judged twice."""
    ids = Counter((result.suite, result.id) for result in results.assertions if result.evidence)
    yield from (
        f"{name} of {suite} is there {times} times" for (suite, name), times in ids.items() if times > 1
    )


_CLAIMS: dict[tuple[Verdict, bool], str] = {
    (Verdict.PASS, True): "passes:",
    (Verdict.PASS, False): "passes although expect: {} says that it should not;",
    (Verdict.INCONCLUSIVE, True): "is inconclusive:",
    (Verdict.INCONCLUSIVE, False): "is inconclusive although expect: {} says that it should fail;",
    (Verdict.FAIL, True): "fails:",
    (Verdict.FAIL, False): "fails, as expect: {} says;",
}


def sentence_of(
    assertion: str, verdict: Verdict, expect: Expectation, evidence: Evidence | None, error: str | None = None
) -> str:
    """Say a verdict with its numbers: ASCII, one line, at most 240 characters.

    `assertion` is its id. `error` says why it was not measured; otherwise `evidence` is there.
    An error is said nowhere else, and paths make it long: it has 600 characters.
    """
    if evidence is None or verdict is Verdict.ERROR:
        unmeasured = verdict is Verdict.INCONCLUSIVE
        claim = "is inconclusive: not measured:" if unmeasured else "could not be measured:"
        return _one_line(f"{assertion} {claim} {error}", 600)
    claim, criterion = _claim(verdict, expect, evidence)
    return _one_line(f"{assertion} {claim} {_hangs_on(criterion, evidence)}", 240)


def _hangs_on(criterion: Criterion, evidence: Evidence) -> str:
    control = evidence.passing_control
    return f"the control passes too: {control}" if control else _grounds(criterion, evidence)


def _claim(verdict: Verdict, expect: Expectation, evidence: Evidence) -> tuple[str, Criterion]:
    """Say the verdict beside what was expected, and return the criterion that this hangs on."""
    if isinstance(expect, Incoherence) and verdict is Verdict.FAIL:
        if unnamed := expect.unnamed(evidence.criteria):
            return f"fails in more than expect: {expect} says;", unnamed
        if spared := next(expect.spared(evidence.criteria), None):
            return f"fails in less than expect: {expect} says;", spared
        if absent := expect.absent(evidence.criteria):
            return f"has no criterion {' and '.join(absent)}, as expect: {expect} says;", evidence.decisive
    return _CLAIMS[verdict, expect == "pass"].format(expect), evidence.decisive


def _grounds(criterion: Criterion, evidence: Evidence) -> str:
    estimate = criterion.estimate
    if criterion.verdict is not Verdict.INCONCLUSIVE:
        return f"{criterion} ({_joined(f'n = {estimate.n}', criterion.among_all)})"
    if criterion.unreliable:
        return f"{criterion} (n = {estimate.n}; unreliable: {criterion.unreliable})"
    wanting = _wanting(criterion, evidence)
    if criterion.fails_only_alone:
        return f"{criterion} ({_joined(wanting, criterion.among_all)})"
    if criterion.nearest is None:
        return f"{criterion} ({wanting})"
    return f"{estimate} straddles {criterion.nearest:g} ({wanting})"


def _wanting(criterion: Criterion, evidence: Evidence) -> str:
    """Say how many a criterion needs, and what another needs beyond that: the count is the assertion's."""
    other, wanting = evidence.neediest, criterion.wanting
    if other.needed <= criterion.needed or other.needed == UNTOLD:
        return wanting
    if isinf(other.needed):
        return f"{wanting}, and more do not help {other.estimate.name}"
    about = "over" if other.needed >= 1000 else "about"
    return f"{wanting}, and {about} {other.needed:.0f} for {other.estimate.name}"


def _joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))


def _one_line(text: str, most: int) -> str:
    printable = (
        c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in " ".join(text.split())
    )
    line = "".join(printable)
    return line if len(line) <= most else f"{line[: most - 4]} ..."
