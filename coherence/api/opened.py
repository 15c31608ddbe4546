"""The open suite: what it can be asked, and how properties that are stated in Python are judged."""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from coherence.api.direction import Direction
from coherence.api.kept import Kept
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.executor import MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import Silent
from coherence.errors import Place, SuiteError, did_you_mean
from coherence.gate import Gate
from coherence.plan import Condition, Measurement, Plan, Record, Reply, Scene
from coherence.plan.record import Array
from coherence.properties import Property
from coherence.properties.reading import Readings
from coherence.reports.grounds import explain
from coherence.results import AssertionResult
from coherence.statistics.generic import basis, outside
from coherence.store import Store
from coherence.suite import Suite
from coherence.suite.document import shown
from coherence.suite.load import assertions_of
from coherence.suite.written import properties_of
from coherence.vocabulary import ArtefactFiles, Part, Policy, Position, Regime, Site

Stated = Property | Mapping[str, Any]
"""A property, or its keys as a suite writes them."""

_Read = TypeVar("_Read")
_Word = TypeVar("_Word", bound=StrEnum)

_LEAST_OTHERS = 2
_POLICY = Policy()


class _Warnings(Silent):
    """Says what a user should know about the machine as Python's warnings; progress is not shown."""

    def warn(self, sentence: str) -> None:
        """Hand the sentence to Python's warnings."""
        warnings.warn(sentence, stacklevel=2)


def _nobody(result: AssertionResult) -> None:
    """Let a result pass where nobody listens for each as it comes."""


class OpenSuite:
    """A suite to measure and judge in Python; all is measured once, by the engine and store of the gate.

    The model is loaded when it is first needed, and kept until `close` or the end of a `with` block. What
    cannot be measured raises a CoherenceError, a sentence; a `judge`d property has the verdict `error`.
    """

    def __init__(
        self,
        suite: Suite,
        store: Store,
        executor: MakeExecutor = LocalExecutor,
        policy: Policy = _POLICY,
        heard: Callable[[AssertionResult], None] = _nobody,
    ) -> None:
        self._suite = suite
        self._store = store
        self._executor = Kept(executor)
        self._policy = policy
        self._heard = heard
        self._artefacts: dict[tuple[str, str], ArtefactFiles] = {}

    @property
    def artefacts(self) -> tuple[ArtefactFiles, ...]:
        """What took part in what was judged so far, with a digest of every file, each once."""
        return tuple(self._artefacts.values())

    @property
    def scene(self) -> Scene:
        """Personas, probes, release and the rest, as properties see them; its conditions can be measured."""
        return self._suite.scene

    def replies(self, persona: str, regime: str | Regime, part: str | Part = Part.ANSWER) -> dict[str, str]:
        """Let the model answer every probe under a regime: texts by probe id.

        Of a base that reasons first, a part of what it says; an answer is empty where it did not come to one.
        """
        which = _part(part)
        condition = self._condition(persona, _regime(regime))
        needs = [Reply(condition, probe, self.scene.decoding) for probe in self.scene.probes]
        record = self.measure(needs)
        return {reply.probe.id: record.reply(reply, which) for reply in needs}

    def residuals(
        self,
        persona: str,
        regime: str | Regime,
        site: str | Site,
        position: str | Position = Position.PROMPT_LAST,
    ) -> Array:
        """Read the residuals of all probes, float32 [probes, width].

        In the response every regime reads what the bare model said, so that they can be compared.
        """
        condition = self._condition(persona, _regime(regime))
        readings = Readings(self.scene, _position(position))
        bare = readings.of(self.scene.bare)[0]
        record = self.measure([bare, *readings.of(condition)])
        return np.asarray(readings.residuals(record, condition, readings.depths(record, [_site(site)]))[0])

    def direction(
        self,
        persona: str,
        regime: str | Regime,
        site: str | Site,
        position: str | Position = Position.PROMPT_LAST,
        among: Sequence[str] | None = None,
    ) -> Direction:
        """Find which way a persona moves the model, outside of what other personas share in the regime.

        The others are those of `among`, by default all that the regime can put into the model, which must be
        two; with none, the shared part stays, and any two directions are alike. `Collinearity` takes out what
        they share in its other regime as well.
        """
        regime, place = _regime(regime), _site(site)
        condition = self._condition(persona, regime)
        others = self._among(persona, regime) if among is None else among
        personas = tuple(other for other in others if other != persona)
        conditions = [condition, *(self._condition(other, regime) for other in personas)]
        readings = Readings(self.scene, _position(position))
        record = self.measure(one for each in (self.scene.bare, *conditions) for one in readings.of(each))
        _, moved = readings.displaced(record, conditions, readings.depths(record, [place]))
        by_probe = moved[0, 0]
        if personas:
            by_probe = outside(by_probe, basis(moved[1:, 0].mean((0, 1), dtype=np.float64)[None]))
        return Direction(persona, regime, place, readings.position, personas, by_probe)

    def measure(self, measurements: Iterable[Measurement]) -> Record:
        """Measure anything that can be planned, in one batch; what failed raises when it is asked for."""
        artefacts = Artefacts.of(self.scene, self._suite.places)
        engine = Engine(artefacts, self._store, _Warnings(), self._executor)
        return Record(engine.measure(Plan(measurements)))

    def judge(self, *properties: Stated) -> tuple[AssertionResult, ...]:
        """Judge properties in one batch: a result for each of their assertions, whatever it comes to.

        Fails are adjusted for the number of claims among them. A SuiteError says what is wrong with one.
        """
        place = _caller()
        stated = [(one, place) for one in properties_of(properties, place)]
        assertions = assertions_of(stated, self.scene)
        suite = replace(self._suite, assertions=assertions)
        gate = Gate({suite: assertions}, self._store, _Warnings(), self._executor, self._policy)
        results = [gate.judge(suite, assertion) for assertion in assertions]
        self._artefacts |= {(one.name, one.said): one for one in gate.artefacts}
        # `coherence replay` finds an assertion in a suite, and these are in none.
        return tuple(result.model_copy(update={"replay": None}) for result in results)

    def require(self, *properties: Stated) -> tuple[AssertionResult, ...]:
        """Judge properties that must hold: an AssertionError shows the evidence of what is not as expected.

        In a run of the gate the results are in its reports.
        """
        __tracebackhide__ = True
        results = self.judge(*properties)
        for result in results:
            self._heard(result)
        if red := [explain(result) for result in results if not result.green]:
            raise AssertionError("\n\n".join(red))
        return results

    def close(self) -> None:
        """Let the model go. What is asked afterwards loads it again where the store lacks something."""
        self._executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _condition(self, persona: str, regime: Regime) -> Condition:
        return self.scene.condition(persona, regime)

    def _among(self, persona: str, regime: Regime) -> tuple[str, ...]:
        kin = self.scene.kin_of(persona)
        able = (name for name in self.scene.personas if self.scene.supports(name, regime))
        others = tuple(name for name in able if name not in kin and name != persona)
        if len(others) < _LEAST_OTHERS:
            raise SuiteError(
                f"the direction of {persona!r} needs two other personas that {regime} can put into the "
                "model, to take out what all of them have in common; found "
                f"{', '.join(others) or 'none'}; with among=() it stays in"
            )
        return others


def _regime(written: str | Regime) -> Regime:
    return _read(Regime.parse, written)


def _site(written: str | Site) -> Site:
    return _read(Site.parse, written)


def _position(written: str | Position) -> Position:
    return _one_of(Position, written, "a position")


def _part(written: str | Part) -> Part:
    return _one_of(Part, written, "a part of a reply")


def _one_of(words: type[_Word], written: str, what: str) -> _Word:
    known = [word.value for word in words]
    if written not in known:
        raise SuiteError(f"{written!r} is not {what}{did_you_mean(written, known)}")
    return words(written)


def _read(read: Callable[[object], _Read], written: object) -> _Read:
    try:
        return read(written)
    except ValueError as problem:
        raise SuiteError(str(problem)) from None


def _caller() -> Place:
    """Find the line outside of this file that asked."""
    frame = sys._getframe()
    while frame.f_back and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return Place(shown(Path(frame.f_code.co_filename)), frame.f_lineno)
