"""A transcript: what is said after the probe, and where in it answers and the last turn lie."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise

_Ids = tuple[int, ...]


@dataclass(frozen=True)
class Transcript:
    """Token ids; each answer's [first, end), and the first token of what comes between the last two.

    Counted from the end of the prompt. The last turn of a single answer begins with it.
    """

    ids: _Ids = ()
    answers: tuple[tuple[int, int], ...] = ()
    turned: int = 0

    @classmethod
    def of(cls, between: Sequence[_Ids], answers: Sequence[_Ids]) -> "Transcript":
        """Join answers and what comes before each of them."""
        parts = list(chain.from_iterable(zip(between, answers, strict=True)))
        ends = list(accumulate(map(len, parts), initial=0))
        return cls(tuple(chain.from_iterable(parts)), tuple(pairwise(ends))[1::2], ends[-3] if parts else 0)

    def first(self, tokens: int) -> "Transcript":
        """Cut it after so many tokens; what the assistant says there, or begins to say, ends with it."""
        answers = ((first, min(end, tokens)) for first, end in self.answers if first <= tokens)
        return Transcript(self.ids[:tokens], tuple(answers), min(self.turned, tokens))

    def narrowed(self, part: range) -> "Transcript":
        """Take some tokens of the last answer, counted from its first, for all of it."""
        *earlier, (first, _) = self.answers
        return replace(self, answers=(*earlier, (first + part.start, first + part.stop)))

    def places(self, prompt: int) -> Iterable[int]:
        """Yield the places of the assistant's tokens, counted from the beginning of a prompt of so many."""
        return (prompt + token for first, end in self.answers for token in range(first, end))


NOTHING = Transcript()
