"""An executor with other models beside it, run here or asked over HTTP: judges, and users that answer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple, get_args

from coherence.engine.artefacts import keys
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import Executor, Warn
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.local_judge import LocalJudge
from coherence.engine.executors.local_user import LocalUser
from coherence.engine.executors.wrapper import Wrapper
from coherence.engine.requests.job import Job
from coherence.engine.requests.worded import said, text_of
from coherence.errors import CoherenceError, in_a_sentence
from coherence.plan import Answer, Measurement, Opinion, Others, Outcome, Reply, UserTurn
from coherence.plan.dialogue import Spoken, message_of, told_to
from coherence.plan.opinion import MOST, TOP, opinion_of, question_to
from coherence.served.dialect import Conversation
from coherence.store import Key, Store
from coherence.vocabulary import Judge, User

_Asked = dict["_Question", list[Measurement]]
_NO_THINKING = {"enable_thinking": False}


class _Question(NamedTuple):
    """What another model is asked, and how the asking of it again is told apart."""

    text: str
    turn: int = 0


class BesideModels(Wrapper):
    """Runs jobs by another executor, but for what other models say, which comes when the rest is there.

    Whatever wants to know it, one text is put to a model once: answers are stored by what it was asked.
    """

    outside = frozenset(get_args(Others))

    def __init__(self, executor: Executor, artefacts: Artefacts, store: Store, warn: Warn) -> None:
        super().__init__(executor)
        self._artefacts = artefacts
        self._store = store
        self._warn = warn
        self._held = ExitStack()
        self._users: dict[User, LocalUser] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users.clear()
        self._held.close()
        super().__exit__(kind, error, trace)

    def load(self) -> bool:
        """Load what the executor within does; another model is loaded when it is asked."""
        return self._inner.load()

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs."""
        requests: dict[Judge | User, _Asked] = {}
        unanswerable: list[tuple[Measurement, Outcome]] = []
        yield from self._inner.run(self._inside(jobs, requests, unanswerable))
        yield from unanswerable
        for model, by_question in requests.items():
            for question, outcome in self._answers(model, list(by_question)):
                for one in by_question[question]:
                    yield one, outcome

    def _inside(
        self,
        jobs: Iterable[Job],
        requests: dict[Judge | User, _Asked],
        unanswerable: list[tuple[Measurement, Outcome]],
    ) -> Iterator[Job]:
        """Yield jobs without what others are asked, and put that aside by who is asked what."""
        for job in jobs:
            own = tuple(one for one in job.measurements if not isinstance(one, Others))
            for one in job.measurements:
                if isinstance(one, Others):
                    try:
                        question = _question(one, job.known)
                    except CoherenceError as problem:
                        unanswerable.append((one, problem))
                    else:
                        requests.setdefault(_who(one), {}).setdefault(question, []).append(one)
            if own:
                yield job if len(own) == len(job.measurements) else replace(job, measurements=own)

    def _answers(
        self, model: Judge | User, questions: Sequence[_Question]
    ) -> Iterator[tuple[_Question, Outcome]]:
        """Look up what is stored, ask for the rest, and store it."""
        missing = []
        try:
            for one in questions:
                value = self._store.get(self._key(model, one))
                if value is None:
                    missing.append(one)
                else:
                    yield one, value
            for one, outcome in self._new(model, missing):
                if not isinstance(outcome, CoherenceError):
                    self._store.put(self._key(model, one), outcome)
                yield one, outcome
        except Exception as error:
            problem = in_a_sentence(error)
            yield from ((one, problem) for one in questions)

    def _key(self, model: Judge | User, question: _Question) -> Key:
        if isinstance(model, User):
            return keys.speech_key(model, question.text, self._artefacts)
        return keys.opinion_key(model, question.text, question.turn, self._artefacts)

    def _new(
        self, model: Judge | User, questions: Sequence[_Question]
    ) -> Iterator[tuple[_Question, Outcome]]:
        if not questions:
            return
        if model.url:
            client = self._artefacts.of_model(model).server.client
            yield from client.each(questions, lambda one: self._over_http(model, one.text))
            return
        by_text: dict[str, list[_Question]] = {}
        for one in questions:
            by_text.setdefault(one.text, []).append(one)
        for text, outcome in self._here(model, list(by_text)):
            yield from ((one, outcome) for one in by_text[text])

    def _here(self, model: Judge | User, texts: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
        with self._artefacts.blaming_model(model) as own:
            if isinstance(model, User):
                yield from self._user(model, own).answers(texts)
            else:
                yield from LocalJudge(model, own, self._store, self._warn).answers(texts)

    def _user(self, user: User, own: Artefacts) -> LocalUser:
        """Load a user's model once: it is asked after every turn."""
        if user not in self._users:
            executor = self._held.enter_context(LocalExecutor(own, self._store, self._warn))
            self._users[user] = LocalUser(user, executor)
        return self._users[user]

    def _over_http(self, model: Judge | User, text: str) -> Opinion | Answer:
        server = self._artefacts.of_model(model).server
        conversation = Conversation(({"role": "user", "content": text},), _NO_THINKING)
        if isinstance(model, User):
            decoding = {
                "max_tokens": model.max_new_tokens,
                "temperature": model.temperature,
                "seed": model.seed,
            }
            return Answer(message_of(model, server.reply(model.model, conversation, decoding).text), ())
        chosen = server.chosen(model.model, conversation, MOST, TOP)
        return opinion_of(model, chosen.text, chosen.likeliest)


def _who(request: Others) -> Judge | User:
    return request.user if isinstance(request, UserTurn) else request.judge


def _question(request: Others, known: Mapping[Measurement, Outcome]) -> _Question:
    """Write what is asked; a CoherenceError where something in it was not measured."""
    if isinstance(request, UserTurn):
        return _Question(told_to(request.user, _exchanges(request.after, known)))
    text = request.text if isinstance(request.text, str) else text_of(request.text, known)
    question = question_to(request.judge, request.rubric, request.probe.text, text, turned=request.turned)
    return _Question(question, request.turn)


def _exchanges(after: Reply, known: Mapping[Measurement, Outcome]) -> list[Spoken]:
    """Return what was said in a conversation: by whoever the assistant is taken to be, where it is so."""
    whole = said(after, known)
    users = [after.probe.text, *(turn.text for turn in whole.turns)]
    own = map(after.through, range(len(users)))
    taken = [*(turn.after for turn in after.turns), None]
    answers = [
        text_of(reply, known) if text is None else text for reply, text in zip(own, taken, strict=True)
    ]
    return [Spoken(*one) for one in zip(users, answers, strict=True)]
