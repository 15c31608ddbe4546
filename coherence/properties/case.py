"""One assertion in four parts: what it needs measured, its sample, what decides, what is shown."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic

from typing_extensions import TypeVar

from coherence.errors import CoherenceError
from coherence.plan import Measurement, Record
from coherence.vocabulary import Control, Criterion, Evidence, Figures, Part, Regime, Verdict
from coherence.vocabulary.evidence import Sampled

SampleT = TypeVar("SampleT", default=Any)
"""What a case makes of a record: frozen, with every array made once, when it is first asked for."""


class Case(ABC, Generic[SampleT]):
    """A property applied to one persona and one choice of regimes.

    `needs` says what is measured, `sample` makes arrays of it, `criteria` decides by them and `figures` shows
    them. All but `needs` are pure: the same record and seed give the same evidence.
    """

    persona: str
    slug: str
    regimes: tuple[Regime, ...]
    """Those that it holds against each other, or the one that it is about; none for a law."""

    @property
    def units(self) -> tuple[Sampled, ...]:
        """Name what its estimates run over a sample of (`Estimate.of`); nothing for a law."""
        return ("probes",)

    @property
    def part(self) -> Part:
        """Which part of replies it judges by."""
        return Part.ANSWER

    @abstractmethod
    def needs(self) -> Iterable[Measurement]:
        """List what `criteria` takes."""

    def needs_for_figures(self) -> Iterable[Measurement]:
        """List what `figures` takes beside that, such as replies to look at."""
        return ()

    def measurements(self) -> list[Measurement]:
        """List all that `judge` takes."""
        return [*self.needs(), *self.needs_for_figures()]

    @abstractmethod
    def sample(self, record: Record, seed: int) -> SampleT:
        """Take what was measured; `seed` is for what is drawn, such as halves and random directions.

        A control is judged by a record that lacks what only figures take, so a sample makes its arrays when
        they are asked for.
        """

    @abstractmethod
    def criteria(self, sample: SampleT) -> Iterator[Criterion]:
        """Yield what decides, one after the other."""

    def figures(self, sample: SampleT) -> Figures:
        """Show what a person looks at to believe it."""
        return Figures()

    def controls(self) -> Mapping[str, Sequence["Case[SampleT]"]]:
        """Name what must not pass in the persona's place, with this case about it. None for a law.

        Where a control is drawn at random there are several cases; it passes when most of them do.
        """
        return {}

    def judge(self, record: Record, seed: int) -> Evidence:
        """Put what decides beside what is shown."""
        sample = self.sample(record, seed)
        return Evidence(criteria=tuple(self.criteria(sample)), **dict(self.figures(sample)))

    def controlled(self, record: Record, seed: int) -> tuple[Control, ...]:
        """Judge every control, up to the first criterion that it does not pass: one is enough."""
        return tuple(
            _most([_control(name, case, record, seed) for case in cases])
            for name, cases in self.controls().items()
        )


def _most(drawn: Sequence[Control]) -> Control:
    """Return one that stands for most of them."""
    passing = [control for control in drawn if control.verdict is Verdict.PASS]
    others = [control for control in drawn if control.verdict is not Verdict.PASS]
    return passing[0] if len(passing) > len(others) else others[0]


def _control(name: str, case: Case[SampleT], record: Record, seed: int) -> Control:
    passed: list[Criterion] = []
    try:
        for criterion in case.criteria(case.sample(record, seed)):
            if criterion.verdict is not Verdict.PASS:
                return Control(name=name, criterion=criterion, met=tuple(passed))
            passed.append(criterion)
    except CoherenceError as problem:
        return Control(name=name, met=tuple(passed), problem=problem.sentence)
    return Control(name=name, criterion=passed[0], met=tuple(passed[1:]))
