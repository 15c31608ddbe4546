"""What was heard of one persona, in the order of time, without its words unless these are kept."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from coherence.monitor.utterance import Utterance
from coherence.monitor.yardstick import STATISTICS
from coherence.statistics.intervals import Array


@dataclass(frozen=True)
class HeardTurn:
    """Where and when something was said, by which release; its words only where they are kept."""

    line: int
    turn: int
    of: int
    time: str
    release: str
    digest: str
    said: tuple[str, str] | None

    @classmethod
    def of_utterance(cls, one: Utterance, keep_text: bool) -> "HeardTurn":
        """Leave out the words, unless they are to be kept."""
        said = (one.question, one.answer) if keep_text else None
        time = one.time.isoformat(timespec="seconds").replace("+00:00", "Z")
        return cls(one.line, one.turn, one.of, time, one.release, one.digest, said)

    @property
    def name(self) -> str:
        """Where it is."""
        return f"line-{self.line}-turn-{self.turn}"

    def __str__(self) -> str:
        return f"turn {self.turn} of line {self.line}, {self.time}"


@dataclass(eq=False)
class Heard:
    """The turns of one persona, and their statistics."""

    persona: str
    turns: list[HeardTurn] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    _rows: list[Array] = field(default_factory=list, repr=False)

    def add(self, turn: HeardTurn, values: Array) -> None:
        """Take in one more, with its statistics."""
        self.turns.append(turn)
        self._rows.append(values)

    @cached_property
    def values(self) -> Array:
        """Statistics of every turn, [turns, statistics]."""
        return np.array(self._rows).reshape(-1, len(STATISTICS))

    @property
    def conversations(self) -> int:
        """How many conversations they are of."""
        return len({turn.line for turn in self.turns})

    @property
    def members(self) -> list[int]:
        """How many turns the conversation of each has, [turns]."""
        return [turn.of for turn in self.turns]
