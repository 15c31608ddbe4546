"""A judge that is run here: a base of its own, by the executor that measures a release."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import Warn
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.requests.job import Job
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import Answer, Condition, NextToken, Opinion, Outcome, Reply
from coherence.plan.opinion import MOST, TOP, opinion_of
from coherence.store import Store
from coherence.vocabulary import Decoding, Judge, Probe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

AT_ONCE = 16  # texts, after which what is told is stored


class LocalJudge:
    """Loads the judge's model, lets it answer, and lets it go."""

    def __init__(self, judge: Judge, artefacts: Artefacts, store: Store, warn: Warn) -> None:
        self._judge = judge
        self._artefacts = artefacts
        self._store = store
        self._warn = warn

    def answers(self, texts: Sequence[str]) -> Iterator[tuple[str, Opinion | CoherenceError]]:
        """Yield what it makes of each text that it is asked, or why it makes nothing."""
        from coherence.engine.model.loading import load_tokenizer

        tokenizer = load_tokenizer(self._artefacts.base)
        self._require_numbers(tokenizer)
        with LocalExecutor(self._artefacts, self._store, self._warn) as executor:
            for text, reply, first in _together(texts, executor):
                problem = next((one for one in (reply, first) if isinstance(one, CoherenceError)), None)
                yield text, problem or self._opinion(tokenizer, reply, first)

    def _opinion(self, tokenizer: "PreTrainedTokenizerBase", reply: Outcome, first: Outcome) -> Opinion:
        assert isinstance(reply, Answer)
        assert isinstance(first, np.ndarray)
        likeliest = first.argsort()[::-1][:TOP].tolist()
        pairs = [(str(tokenizer.decode([token])), float(first[token])) for token in likeliest]
        return opinion_of(self._judge, reply.text, pairs)

    def _require_numbers(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        """Refuse a scale whose numbers the model does not write as one token each."""
        highest = str(self._judge.highest)
        if self._judge.answer == "score" and len(tokenizer.tokenize(highest)) > 1:
            raise MeasurementError(
                f"it writes {highest} digit by digit, so that its first token is no number of the scale; "
                "expected `highest: 9`, or `answer: yes-no`"
            )


def _together(texts: Sequence[str], executor: LocalExecutor) -> Iterator[tuple[str, Outcome, Outcome]]:
    """Yield texts with both measurements of each, as soon as they are there."""
    for begin in range(0, len(texts), AT_ONCE):
        pairs = {text: _measurements(text) for text in texts[begin : begin + AT_ONCE]}
        outcomes = dict(executor.run([Job(tuple(chain.from_iterable(pairs.values())), {})]))
        yield from ((text, outcomes[reply], outcomes[first]) for text, (reply, first) in pairs.items())


def _measurements(text: str) -> tuple[Reply, NextToken]:
    condition, probe = Condition(None), Probe(id=sha256(text.encode()).hexdigest(), text=text)
    return Reply(condition, probe, Decoding(max_new_tokens=MOST)), NextToken(condition, probe)
