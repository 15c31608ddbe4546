"""One assertion in four parts: what it needs measured, its sample, what decides, what is shown."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Generic, NamedTuple

from typing_extensions import TypeVar

from coherence.errors import CoherenceError, UnmeasuredError
from coherence.plan import AbsentError, Measurement, Record
from coherence.properties.asking import Asking, settled, together
from coherence.vocabulary import Control, Criterion, Evidence, Figures, Part, Regime, Verdict
from coherence.vocabulary.evidence import Sampled

SampleT = TypeVar("SampleT", default=Any)
"""What a case makes of a record: frozen, with every array made once, when it is first asked for."""

AHEAD = 2  # draws; where so many more have failed than passed, a control is taken to fail


class Earlier(NamedTuple):
    """A claim about the first of its probes, and the level of a look at its controls there."""

    case: "Case"
    level: float


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

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Yield the same in the order in which `criteria` takes it: so a control is measured, step by step.

        It ends with the first criterion that it does not pass, and what comes after that is not measured. So
        what takes little should come first. All at once, unless a property knows better.
        """
        yield self.needs()

    def needs_for_figures(self) -> Iterable[Measurement]:
        """List what `figures` takes beside that, such as replies to look at."""
        return ()

    def needs_to_explain(self) -> Iterable[Measurement]:
        """List what `figures` takes to tell why the claim is not as expected: measured of such a claim only.

        So figures are made of records without it, too.
        """
        return ()

    def measurements(self) -> list[Measurement]:
        """List all that `judge` takes of a claim that is as expected."""
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

    def screens(self, sample: SampleT) -> Iterator[Criterion]:
        """Yield what a control is held against first: what fails one fails a criterion too, and takes less.

        Nothing where the criteria in their order are as cheap.
        """
        yield from ()

    def figures(self, sample: SampleT) -> Figures:
        """Show what a person looks at to believe it."""
        return Figures()

    def controls(self) -> Mapping[str, Sequence["Case[SampleT]"]]:
        """Name what must not pass in the persona's place, with this case about it. None for a law.

        Where a control is drawn at random there are several cases; it passes when most of them do. They are
        judged one after the other, until that is known or two more have failed than passed.
        """
        return {}

    def judge(self, record: Record, seed: int) -> Evidence:
        """Put what decides beside what is shown."""
        sample = self.sample(record, seed)
        return Evidence(criteria=tuple(self.criteria(sample)), **dict(self.figures(sample)))

    def begun_controls(self) -> Iterator[Measurement]:
        """Yield what every control takes: the first step, of draws those that are always judged."""
        for cases in self.controls().values():
            for case in cases[:AHEAD]:
                yield from next(case.steps(), ())

    def controlled(self, record: Record, seed: int) -> tuple[Control, ...]:
        """Judge every control, up to the first criterion that it does not pass: one is enough."""
        return settled(self.controlling(seed), record)

    def controlling(self, seed: int, earlier: Sequence[Earlier] = ()) -> Asking[tuple[Control, ...]]:
        """Judge every control, and ask for what that takes as it is needed.

        What clearly fails about fewer probes, `earlier`, is not measured further.
        """
        before = [(one.case.controls(), one.level) for one in earlier]
        voting = []
        for name, cases in self.controls().items():
            looks = [[Earlier(one[name][turn], level) for one, level in before] for turn in range(len(cases))]
            voting.append(_voted(name, list(map(_Draw, cases, looks)), seed))
        return tuple((yield from together(voting)))


class _Draw(NamedTuple):
    """A control, and the same about fewer probes."""

    case: Case
    earlier: Sequence[Earlier]


def _voted(name: str, draws: Sequence[_Draw], seed: int) -> Asking[Control]:
    """Judge as many draws as decide."""
    drawn = yield from together([_drawn(name, draw, seed) for draw in draws[:AHEAD]])
    for draw in draws[AHEAD:]:
        if _is_decided(drawn, len(draws)):
            break
        drawn.append((yield from _drawn(name, draw, seed)))
    return _most(drawn)


def _is_decided(drawn: Sequence[Control], cases: int) -> bool:
    passing = sum(control.verdict is Verdict.PASS for control in drawn)
    others = len(drawn) - passing
    return others - passing >= AHEAD or max(passing, others) > cases / 2


def _drawn(name: str, draw: _Draw, seed: int) -> Asking[Control]:
    """Judge one draw, step by step and look by look, until there is all that its verdict takes."""
    absent: AbsentError | None = None
    steps = [one.case.steps() for one in draw.earlier]
    for wanted in draw.case.steps():
        for early, each in zip(draw.earlier, steps, strict=True):
            record = yield tuple(next(each, ()))
            if failing := _clearly_failing(early, record, seed):
                return Control(name=name, criterion=failing)
        record = yield tuple(wanted)
        try:
            return _control(name, draw.case, record, seed)
        except AbsentError as problem:
            absent = problem
    raise absent or AbsentError(f"{name} asks for nothing")


def _clearly_failing(early: Earlier, record: Record, seed: int) -> Criterion | None:
    """Give a criterion that fails at the level of the look. What goes wrong there shows again at the last."""
    with suppress(Exception):
        sample = early.case.sample(record, seed)
        for criterion in chain(early.case.screens(sample), early.case.criteria(sample)):
            if criterion.is_decided(Verdict.FAIL, early.level):
                return criterion
    return None


def _most(drawn: Sequence[Control]) -> Control:
    """Return one that stands for most of them."""
    passing = [control for control in drawn if control.verdict is Verdict.PASS]
    others = [control for control in drawn if control.verdict is not Verdict.PASS]
    return passing[0] if len(passing) > len(others) else others[0]


def _control(name: str, case: Case[SampleT], record: Record, seed: int) -> Control:
    passed: list[Criterion] = []
    try:
        sample = case.sample(record, seed)
        screened = (one for one in case.screens(sample) if one.verdict is not Verdict.PASS)
        for criterion in chain(screened, case.criteria(sample)):
            if criterion.verdict is not Verdict.PASS:
                return Control(name=name, criterion=criterion, met=tuple(passed))
            passed.append(criterion)
    except UnmeasuredError:
        raise  # the budget is spent: that says nothing of the control
    except CoherenceError as problem:
        return Control(name=name, met=tuple(passed), problem=problem.sentence)
    return Control(name=name, criterion=passed[0], met=tuple(passed[1:]))
