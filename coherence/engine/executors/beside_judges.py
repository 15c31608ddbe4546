"""An executor with judges beside it: other models, run here or asked over HTTP, that say what replies are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from coherence.engine.artefacts import keys
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import Executor, Warn
from coherence.engine.executors.local_judge import LocalJudge
from coherence.engine.executors.wrapper import Wrapper
from coherence.engine.requests.job import Job
from coherence.errors import CoherenceError, MeasurementError, in_a_sentence
from coherence.plan import Answer, Measurement, Opinion, Outcome, Rating
from coherence.plan.opinion import MOST, TOP, opinion_of, question_to
from coherence.served.dialect import Conversation
from coherence.store import Key, Store
from coherence.vocabulary import Judge


class _Question(NamedTuple):
    """What a judge is asked, and how the asking of it again is told apart."""

    text: str
    turn: int


class BesideJudges(Wrapper):
    """Runs jobs by another executor, but for ratings, which come when the others of these jobs are there.

    Equal texts are judged once, whatever said them: a judge's answers are stored by what it was asked.
    """

    outside = frozenset({Rating})

    def __init__(self, executor: Executor, artefacts: Artefacts, store: Store, warn: Warn) -> None:
        super().__init__(executor)
        self._artefacts = artefacts
        self._store = store
        self._warn = warn

    def load(self) -> bool:
        """Load what the executor within does; a judge is loaded when it is asked."""
        return self._inner.load()

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs."""
        ratings: dict[Judge, dict[_Question, list[Rating]]] = {}
        unanswerable: list[tuple[Measurement, Outcome]] = []
        yield from self._inner.run(self._inside(jobs, ratings, unanswerable))
        yield from unanswerable
        for judge, by_question in ratings.items():
            for question, outcome in self._answers(judge, list(by_question)):
                for rating in by_question[question]:
                    yield rating, outcome

    def _inside(
        self,
        jobs: Iterable[Job],
        ratings: dict[Judge, dict[_Question, list[Rating]]],
        unanswerable: list[tuple[Measurement, Outcome]],
    ) -> Iterator[Job]:
        """Yield jobs without their ratings, and put these aside by what is asked of whom."""
        for job in jobs:
            others = tuple(one for one in job.measurements if not isinstance(one, Rating))
            for one in job.measurements:
                if isinstance(one, Rating):
                    try:
                        question = _question(one, job.known)
                    except CoherenceError as problem:
                        unanswerable.append((one, problem))
                    else:
                        ratings.setdefault(one.judge, {}).setdefault(question, []).append(one)
            if others:
                yield job if len(others) == len(job.measurements) else replace(job, measurements=others)

    def _answers(self, judge: Judge, questions: Sequence[_Question]) -> Iterator[tuple[_Question, Outcome]]:
        """Look up what is stored, ask for the rest, and store it."""
        missing = []
        try:
            for one in questions:
                value = self._store.get(self._key(judge, one))
                if value is None:
                    missing.append(one)
                else:
                    yield one, value
            for one, outcome in self._new(judge, missing):
                if isinstance(outcome, Opinion):
                    self._store.put(self._key(judge, one), outcome)
                yield one, outcome
        except Exception as error:
            problem = in_a_sentence(error)
            yield from ((one, problem) for one in questions)

    def _key(self, judge: Judge, question: _Question) -> Key:
        return keys.opinion_key(judge, question.text, question.turn, self._artefacts)

    def _new(self, judge: Judge, questions: Sequence[_Question]) -> Iterator[tuple[_Question, Outcome]]:
        if not questions:
            return
        if judge.url:
            client = self._artefacts.of_judge(judge).server.client
            yield from client.each(questions, lambda one: self._over_http(judge, one.text))
            return
        by_text: dict[str, list[_Question]] = {}
        for one in questions:
            by_text.setdefault(one.text, []).append(one)
        with self._artefacts.blaming_judge(judge) as own:
            for text, outcome in LocalJudge(judge, own, self._store, self._warn).answers(list(by_text)):
                yield from ((one, outcome) for one in by_text[text])

    def _over_http(self, judge: Judge, text: str) -> Opinion:
        server = self._artefacts.of_judge(judge).server
        conversation = Conversation(({"role": "user", "content": text},), {"enable_thinking": False})
        chosen = server.chosen(judge.model, conversation, MOST, TOP)
        return opinion_of(judge, chosen.text, chosen.likeliest)


def _question(rating: Rating, known: Mapping[Measurement, Outcome]) -> _Question:
    """Write what is asked; a CoherenceError where there is no reply."""
    text = rating.text
    if not isinstance(text, str):
        outcome = known.get(text, MeasurementError("the reply was not measured"))
        if isinstance(outcome, CoherenceError):
            raise outcome
        assert isinstance(outcome, Answer)
        text = outcome.text
    question = question_to(rating.judge, rating.rubric, rating.probe.text, text, turned=rating.turned)
    return _Question(question, rating.turn)
