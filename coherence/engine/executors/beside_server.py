"""An executor with a server beside it: what the server is asked, it measures over HTTP, several at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import Executor
from coherence.engine.executors.wrapper import Wrapper
from coherence.engine.model.folder import json_told
from coherence.engine.requests.job import Job
from coherence.errors import MeasurementError, NotExposedError, in_a_sentence
from coherence.plan import (
    AdapterNumbers,
    Answer,
    Likelihood,
    Measurement,
    Outcome,
    Outside,
    PromptIds,
    Refusal,
    Served,
    Stated,
    Value,
)
from coherence.plan.record import Array
from coherence.served.dialect import Conversation, Said
from coherence.served.server import Server
from coherence.vocabulary import Decoding, Part
from coherence.vocabulary.decoding import FILTERS, SHIPPED

if TYPE_CHECKING:
    from coherence.engine.model.chat import Chat

_OUTSIDE = get_args(Outside)
_At = tuple[Server, str]


class _Request(NamedTuple):
    """A measurement, and what asks the server for it."""

    measurement: Measurement
    ask: Callable[[], Value]


class BesideServer(Wrapper):
    """Runs jobs by another executor, but for what is outside of its model.

    The server is asked when all others have what they can run. Prompts are written here, one after the other.
    """

    outside = frozenset(_OUTSIDE)

    def __init__(self, executor: Executor, artefacts: Artefacts) -> None:
        super().__init__(executor)
        self._artefacts = artefacts

    def load(self) -> bool:
        """Load nothing ahead: it may be that only the server is asked."""
        return False

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs."""
        outside: list[Job] = []
        yield from self._inner.run(_inside(jobs, outside))
        requests: list[_Request] = []
        for job in outside:
            for measurement in job.measurements:
                try:
                    requests.append(_Request(measurement, self._asking(measurement, job.known)))
                except Exception as problem:
                    yield measurement, in_a_sentence(problem)
        # What is asked again comes after all that was asked in between.
        ordered = sorted(requests, key=lambda one: getattr(one.measurement, "turn", 0))
        together, alone = (
            [one for one in ordered if getattr(one.measurement, "alone", False) is is_alone]
            for is_alone in (False, True)
        )
        for asked in filter(None, (together, *([one] for one in alone))):
            for request, outcome in self._artefacts.server.client.each(asked, lambda one: one.ask()):
                yield request.measurement, outcome

    @cached_property
    def _chat(self) -> "Chat":
        # Imported here because transformers takes seconds, and a run that finds all stored needs none.
        from coherence.engine.model.chat import Chat
        from coherence.engine.model.loading import load_tokenizer

        with self._artefacts.blaming("base"):
            return Chat(load_tokenizer(self._artefacts.base), self._artefacts.templating)

    def _asking(self, measurement: Measurement, known: Mapping[Measurement, Outcome]) -> Callable[[], Value]:
        if isinstance(measurement, PromptIds):
            ids = self._chat.encode(measurement.condition, measurement.probe)
            return partial(_given, Answer(self._chat.spelled(ids), tuple(ids)))
        if isinstance(measurement, AdapterNumbers):
            ((name, _),) = measurement.condition.adapters
            return partial(_given, _numbers(self._artefacts.adapter(name)))
        if isinstance(measurement, Refusal):
            return lambda: np.array([self._artefacts.server.refuses()], np.float32)
        assert isinstance(measurement, Served)
        return self._served(measurement, known)

    def _served(self, measurement: Served, known: Mapping[Measurement, Outcome]) -> Callable[[], Value]:
        at = self._artefacts.at_server(measurement.condition)
        of = measurement.of
        if isinstance(of, Likelihood):
            return self._likelihood(at, of, known)
        conversation = self._chat.conversation(of.condition, of.probe)
        if isinstance(of, PromptIds):
            return partial(self._prompt, at, conversation)
        if of.turns:
            raise MeasurementError("a server is asked for the answer to a probe, and for no further turns")
        return partial(self._reply, at, conversation, self._decoded(at[0], of.decoding, measurement.told))

    def _likelihood(
        self, at: _At, likelihood: Likelihood, known: Mapping[Measurement, Outcome]
    ) -> Callable[[], Value]:
        reply = known[likelihood.text]
        if isinstance(reply, Exception):
            raise reply
        assert isinstance(reply, Answer)
        if reply.reasoning or likelihood.part is not Part.ANSWER or likelihood.text.turns:
            raise MeasurementError("a server is asked for the likelihood of plain answers alone")
        if not reply.ids:
            raise MeasurementError(f"the reply to probe {likelihood.probe.id!r} is empty")
        prompt = self._chat.encode(likelihood.condition, likelihood.probe)
        server, model = at
        return lambda: server.log_probs(model, prompt, reply.ids)

    def _prompt(self, at: _At, conversation: Conversation) -> Value:
        server, model = at
        try:
            ids = server.prompt_ids(model, conversation)
        except NotExposedError:
            counted = server.reply(model, conversation, {"max_tokens": 1}).prompt_tokens
            if counted is None:
                raise
            return np.array([counted], np.float32)
        return Answer(self._chat.spelled(ids), ids)

    def _reply(self, at: _At, conversation: Conversation, decoding: Mapping[str, Any]) -> Value:
        server, model = at
        reply: Said = server.reply(model, conversation, decoding)
        return Answer(reply.text.strip(), reply.ids or ())

    def _decoded(self, server: Server, written: Decoding, told: Stated) -> dict[str, Any]:
        """Say a decoding in the words of the protocol, as far as the server is told."""
        decoding = self._artefacts.decoding(written)
        most: dict[str, Any] = {"max_tokens": decoding.max_new_tokens}
        if told is Stated.NOTHING:
            return most
        most |= {"temperature": decoding.temperature, "seed": decoding.seed}
        if told is Stated.TEMPERATURE:
            return most
        stated = {name: getattr(decoding, name) for name in SHIPPED}
        fields = Decoding.model_fields
        # Servers of plain OpenAI refuse a penalty by name, and older ones of vLLM filters that do nothing.
        unsaid = FILTERS if server.dialect.kind != "openai" else SHIPPED
        settings = {
            name: value
            for name, value in stated.items()
            if name not in unsaid or value != fields[name].default
        }
        return most | settings


def _inside(jobs: Iterable[Job], outside: list[Job]) -> Iterator[Job]:
    """Yield jobs with what a model is run for, and put the rest aside."""
    for job in jobs:
        here, there = _split(job.measurements)
        if there:
            outside.append(replace(job, measurements=there))
        if here:
            yield replace(job, measurements=here) if there else job


def _split(measurements: Sequence[Measurement]) -> tuple[tuple[Measurement, ...], tuple[Measurement, ...]]:
    there = tuple(one for one in measurements if isinstance(one, _OUTSIDE))
    return tuple(one for one in measurements if not isinstance(one, _OUTSIDE)), there


def _numbers(folder: Path) -> Array:
    """Read rank, alpha and scale off an adapter's config; NaN where it has none, as kinds beside LoRA."""
    config = json_told(folder / "adapter_config.json")
    rank, alpha = (config.get(key) for key in ("r", "lora_alpha"))
    if not (isinstance(rank, int | float) and isinstance(alpha, int | float) and rank > 0):
        return np.full(3, np.nan, np.float32)
    scale = alpha / sqrt(rank) if config.get("use_rslora") else alpha / rank
    return np.array([rank, alpha, scale], np.float32)


def _given(value: Value) -> Value:
    return value
