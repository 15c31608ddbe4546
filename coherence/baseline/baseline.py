"""The baseline: a small JSON document with a criterion a line, to be committed and read in a diff."""

import json
from collections import Counter
from collections.abc import Iterable
from math import inf
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from coherence import limits
from coherence.errors import CoherenceError, Place
from coherence.files import read_file, replace_file
from coherence.results import AssertionResult, Results
from coherence.vocabulary import Criterion, Influence
from coherence.vocabulary.frozen import Statistic

FORMAT: Final = 1

_Value = TypeVar("_Value")

# Both releases are rounded alike before they are compared, so that rounding is no difference.
Rounded = Annotated[Statistic, AfterValidator(lambda value: float(f"{value:.6g}"))]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Line(_Frozen):
    """A criterion of an assertion."""

    assertion: str
    statistic: str
    value: Rounded
    low: Rounded
    high: Rounded
    n: int
    at_least: float = -inf
    at_most: float = inf
    law: bool = False
    unreliable: bool = False
    influence: Influence | None = None

    @model_validator(mode="after")
    def _is_inside(self) -> Self:
        if self.value < self.low or self.value > self.high:
            name = f"{self.statistic} of {self.assertion}"
            raise ValueError(f"{name} is {self.value:g}, outside of [{self.low:g}, {self.high:g}]")
        return self

    @classmethod
    def of(cls, result: AssertionResult) -> list[Self]:
        """Lines of an assertion; what it names twice is numbered. None where nothing was measured."""
        criteria = result.evidence.criteria if result.evidence else ()
        seen: Counter[str] = Counter()
        lines = []
        for criterion in criteria:
            name = criterion.estimate.name
            seen[name] += 1
            lines.append(
                cls._from(result.id, name if seen[name] == 1 else f"{name} ({seen[name]})", criterion)
            )
        return lines

    @classmethod
    def _from(cls, assertion: str, statistic: str, criterion: Criterion) -> Self:
        estimate = criterion.estimate
        return cls(
            assertion=assertion,
            statistic=statistic,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            at_least=criterion.at_least,
            at_most=criterion.at_most,
            law=criterion.law,
            unreliable=criterion.unreliable is not None,
            influence=estimate.influence,
        )


class SuiteLines(_Frozen):
    """What a suite asked, of which release, and what came out."""

    asked: dict[str, str]
    release: dict[str, str]
    scales: dict[str, float] = {}
    criteria: tuple[Line, ...]

    @model_validator(mode="after")
    def _are_there_once(self) -> Self:
        counts = Counter((line.assertion, line.statistic) for line in self.criteria)
        for (assertion, statistic), count in counts.items():
            if count > 1:
                raise ValueError(f"{statistic} of {assertion} is there {count} times")
        return self

    @classmethod
    def of(cls, results: Iterable[AssertionResult]) -> Self:
        """Put the assertions of one suite together, sorted."""
        several = [result for result in results if result.evidence]
        lines = (line for result in several for line in Line.of(result))
        return cls(
            asked=_together(result.asked for result in several),
            release=_together(_digests(result.release) for result in several),
            scales=_together(result.scales for result in several),
            criteria=tuple(sorted(lines, key=lambda line: (line.assertion, line.statistic))),
        )

    @property
    def text(self) -> str:
        """JSON, a criterion a line."""
        lines = ",\n".join(f"   {line.model_dump_json(exclude_defaults=True)}" for line in self.criteria)
        head = f'   "asked": {json.dumps(self.asked)},\n   "release": {_indented(self.release)},'
        if self.scales:
            head += f'\n   "scales": {json.dumps(self.scales)},'
        return f'{{\n{head}\n   "criteria": [\n{lines}\n  ]}}'


class Baseline(_Frozen):
    """Everything that a later run is compared with."""

    format: Literal[1] = FORMAT
    started: str
    versions: dict[str, str]
    suites: dict[str, SuiteLines]

    @classmethod
    def of(cls, results: Results) -> Self:
        """Take what a run came to. What it could not measure is not in it.

        A CoherenceError where it has an assertion twice: neither could be compared.
        """
        judged = sorted(
            (result for result in results.assertions if result.evidence), key=lambda one: one.suite
        )
        names = dict.fromkeys(result.suite for result in judged)
        try:
            suites = {name: SuiteLines.of(one for one in judged if one.suite == name) for name in names}
        except ValidationError as problem:
            raise CoherenceError(_worded(problem)) from None
        return cls(started=results.started, versions=results.versions, suites=suites)

    @property
    def size(self) -> int:
        """How many criteria it has."""
        return sum(len(suite.criteria) for suite in self.suites.values())

    def beyond(self, other: Self) -> list[str]:
        """Name the assertions that this one has and the other has not."""
        has = {(suite, one.assertion) for suite, lines in other.suites.items() for one in lines.criteria}
        own = ((suite, one.assertion) for suite, lines in self.suites.items() for one in lines.criteria)
        return list(dict.fromkeys(name for suite, name in own if (suite, name) not in has))

    @property
    def text(self) -> str:
        """JSON, a criterion a line."""
        suites = ",\n".join(f"  {json.dumps(name)}: {suite.text}" for name, suite in self.suites.items())
        head = f' "format": {self.format},\n "started": {json.dumps(self.started)},'
        return f'{{\n{head}\n "versions": {_indented(self.versions)},\n "suites": {{\n{suites}\n }}\n}}\n'

    def write(self, path: Path) -> None:
        """Write atomically: a reader sees the old document or the new one, never half of one."""
        replace_file(path, self.text.encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a baseline back; a CoherenceError says why it is not one."""
        try:
            return cls.model_validate_json(read_file(path, limits.DOCUMENT_BYTES))
        except OSError as problem:
            raise CoherenceError(f"cannot be read: {problem.strerror or problem}", Place(str(path))) from None
        except ValidationError as problem:
            sentence = (
                f"not a baseline of format {FORMAT}: {_worded(problem)}; `coherence bless` makes a new one"
            )
            raise CoherenceError(sentence, Place(str(path))) from None


def _worded(problem: ValidationError) -> str:
    first = problem.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the document"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def _digests(release: dict[str, str]) -> dict[str, str]:
    """Leave out where artefacts lay on the machine; the base keeps its name."""
    return {name: was if name == "base" else was.rpartition(" ")[2] for name, was in release.items()}


def _together(several: Iterable[dict[str, _Value]]) -> dict[str, _Value]:
    together = {name: value for each in several for name, value in each.items()}
    return {name: together[name] for name in sorted(together)}


def _indented(names: dict[str, str]) -> str:
    return json.dumps(names, indent=4)
