"""The watch: transcripts read by the yardsticks of a suite's personas, and a verdict on each persona."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.executor import MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT, Progress, Silent
from coherence.errors import CoherenceError
from coherence.gate.outcomes import asked_of, results_of
from coherence.monitor.chart import Limits
from coherence.monitor.heard import Heard, HeardTurn
from coherence.monitor.heard_report import evidence_on
from coherence.monitor.portions import Portions
from coherence.monitor.standing import Standing, kinds_of
from coherence.monitor.transcripts import Transcripts
from coherence.monitor.yardstick import BARE, Marked, Yardstick
from coherence.plan import Plan, Record, stream
from coherence.properties.eligibility import require_probes
from coherence.results import AssertionResult, Results, sentence_of
from coherence.store import Store
from coherence.suite import Suite
from coherence.suite.document import shown
from coherence.vocabulary import Control, Evidence, Policy, Site, Verdict

LEAST_PROBES = 8
_READING = "turns"


@dataclass(frozen=True)
class Rules:
    """How often a run over what is at home may alarm, and the largest share outside of a region, if any."""

    false_alarm: float = 0.05
    max_outside: float | None = None
    keep_text: bool = False


@dataclass(frozen=True)
class Census:
    """How many conversations and turns there are of each persona, before any is read by a model."""

    conversations: Mapping[str, int]
    turns: int

    @classmethod
    def of(cls, transcripts: Transcripts) -> "Census":
        """Read a file through once; whatever is wrong with it is an error now."""
        counted: dict[str, int] = {}
        turns, last = 0, 0
        for utterance in transcripts:
            turns += 1
            counted[utterance.persona] = counted.get(utterance.persona, 0) + (utterance.line != last)
            last = utterance.line
        return cls(counted, turns)


@dataclass(frozen=True, eq=False)
class Watch:
    """What there is to watch: a suite's personas at a site, and transcripts of what they said."""

    suite: Suite
    transcripts: Transcripts
    site: Site
    rules: Rules = Rules()

    def seen(
        self, store: Store, progress: Progress = SILENT, executor: MakeExecutor = LocalExecutor
    ) -> tuple[Results, list[Standing]]:
        """Read all of it, and judge; a CoherenceError says what cannot be read.

        Nothing of what was said is stored, and no more than a portion of it is held at a time.
        """
        started, began = datetime.now(UTC), monotonic()
        scene = self.suite.scene
        require_probes(scene, LEAST_PROBES, "monitor")
        census = Census.of(self.transcripts)
        for persona in census.conversations:
            self.transcripts.naming.required(scene, persona)
        artefacts = Artefacts.of(scene, self.suite.places)
        with Engine(artefacts, store, progress, executor) as engine:
            yardsticks = [Yardstick(scene, name, self.site) for name in census.conversations]
            record = Record(engine.measure(Plan(need for one in yardsticks for need in one.needs())))
            marked = {one.persona: Marked(one, record) for one in yardsticks}
            problems = dict(_problems(marked))
        usable = {name: one for name, one in marked.items() if name not in problems}
        with Engine(artefacts, store, _Unshown(progress), executor) as engine:
            portions = Portions(engine, store, artefacts, usable)
            heard = self._heard(portions, census, progress)
            judged = list(self._judged(heard, usable, census))
            evidence = {one.heard.persona: self._evidence(one, engine) for one in judged}
        seconds = (monotonic() - began) / max(1, len(marked))
        results = [
            self._result(name, evidence.get(name), problems.get(name), artefacts, seconds) for name in marked
        ]
        used = artefacts.files_in([]) if evidence else []
        document = results_of(results, started, scene.seed, Policy(adjust="none"), used)
        return document, judged

    def _heard(self, portions: Portions, census: Census, progress: Progress) -> dict[str, Heard]:
        heard = {name: Heard(name) for name in portions.marked}
        done = 0

        def tell(read: int) -> None:
            nonlocal done
            done += read
            progress(_READING, done, census.turns)

        usable = (one for one in self.transcripts if one.persona in heard)
        for portion in portions(usable, tell):
            for place, utterance in enumerate(portion.utterances):
                mine = heard[utterance.persona]
                turn = HeardTurn.of_utterance(utterance, self.rules.keep_text)
                mine.add(turn, portion.values[place])
                if place in portion.problems:
                    mine.unread[turn.name] = portion.problems[place]
        return heard

    def _judged(
        self, heard: Mapping[str, Heard], marked: Mapping[str, Marked], census: Census
    ) -> Iterator[Standing]:
        """Divide the level among all charts of the run, so that an alarm of any is as rare as stated."""
        charts = sum(len(kinds_of(one.home)) for one in marked.values())
        for name in heard:
            yield self._standing(heard[name], marked[name], census, charts)

    def _standing(self, heard: Heard, marked: Marked, census: Census, charts: int) -> Standing:
        seed = stream(self.suite.scene.seed, "limits of charts")
        level = self.rules.false_alarm / charts
        limits = Limits(len(marked.home), census.conversations[heard.persona], level, seed)
        return Standing(marked, heard, limits, self.rules.max_outside)

    def _evidence(self, standing: Standing, engine: Engine) -> Evidence:
        """Hold what passes against what others reply: a chart that they pass too tells nothing."""
        evidence = evidence_on(standing)
        if evidence.verdict is not Verdict.PASS:
            return evidence
        return evidence_on(standing, tuple(self._controls(standing, engine)))

    def _controls(self, standing: Standing, engine: Engine) -> Iterator[Control]:
        yardstick = standing.marked.yardstick
        others = [name for name in yardstick.cast if name not in (yardstick.persona, BARE)]
        for name in (BARE, *others[:1]):
            outcomes = engine.measure(Plan(yardstick.needs_of(name)))
            told = "the bare model" if name == BARE else f"{name} in its place"
            try:
                yield standing.control(told, standing.marked.others(name, Record(outcomes)))
            except CoherenceError as problem:
                yield Control(name=told, problem=problem.sentence)

    def _result(
        self,
        persona: str,
        evidence: Evidence | None,
        problem: CoherenceError | None,
        artefacts: Artefacts,
        seconds: float,
    ) -> AssertionResult:
        name = f"{persona}.monitor.turns"
        verdict = evidence.verdict if evidence else Verdict.ERROR
        day = None
        with suppress(CoherenceError):
            day = artefacts.day
        return AssertionResult(
            id=name,
            persona=persona,
            property="monitor",
            slug="turns",
            family="attractor",
            suite=shown(self.suite.path),
            line=1,
            verdict=verdict,
            raw_verdict=evidence.raw_verdict if evidence else Verdict.ERROR,
            sentence=sentence_of(name, verdict, "pass", evidence, str(problem) if problem else None),
            evidence=evidence,
            release={one.name: one.said for one in artefacts.files_in([])},
            asked=asked_of(self.suite.scene, day),
            seconds=round(seconds, 3),
        )


def _problems(marked: Mapping[str, Marked]) -> Iterator[tuple[str, CoherenceError]]:
    """Find the personas of which nothing can be told."""
    for name, one in marked.items():
        try:
            _ = one.home
        except CoherenceError as problem:
            yield name, problem


class _Unshown(Silent):
    """Shows only what a user should know: portions are many, and how far they are is told beside them.

    Nor does it count arithmetic, for which the engine would keep what was said.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def warn(self, sentence: str) -> None:
        """Pass it on."""
        self._progress.warn(sentence)

    def wait(self, sentence: str) -> None:
        """Pass it on."""
        self._progress.wait(sentence)
