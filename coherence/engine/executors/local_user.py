"""A user that answers and is run here: a base of its own, by the executor that measures a release."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from coherence.engine.executors.executor import Executor
from coherence.engine.requests.job import Job
from coherence.errors import CoherenceError
from coherence.plan import Answer, Condition, Measurement, Outcome, Reply
from coherence.plan.dialogue import message_of
from coherence.vocabulary import Decoding, Probe, User


class LocalUser:
    """Lets a loaded model say what a user says next, which depends on the seed and the text alone."""

    def __init__(self, user: User, executor: Executor) -> None:
        self._user = user
        self._executor = executor

    def answers(self, texts: Sequence[str]) -> Iterator[tuple[str, Outcome]]:
        """Yield what it says to each text that it is told, or why it says nothing."""
        replies: dict[Measurement, str] = {self._reply(text): text for text in texts}
        for reply, outcome in self._executor.run([Job(tuple(replies), {})]):
            yield replies[reply], self._message(outcome)

    def _reply(self, text: str) -> Reply:
        probe = Probe(id=sha256(text.encode()).hexdigest(), text=text)
        user = self._user
        decoding = Decoding(max_new_tokens=user.max_new_tokens, temperature=user.temperature, seed=user.seed)
        return Reply(Condition(None), probe, decoding)

    def _message(self, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Answer):
            return outcome
        try:
            return Answer(message_of(self._user, outcome.text), ())
        except CoherenceError as problem:
            return problem
