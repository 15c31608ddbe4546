"""An utterance: what an assistant said elsewhere to one turn of a user."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from coherence.vocabulary import Probe


@dataclass(frozen=True)
class Utterance:
    """One answer of a conversation that was held elsewhere, and what the user said just before it.

    `turn` counts the assistant's turns of the conversation from 1, and `of` says how many of them there are.
    """

    line: int
    turn: int
    of: int
    time: datetime
    release: str
    persona: str
    question: str
    answer: str

    @property
    def name(self) -> str:
        """Where it is: its line and turn, and none of its words."""
        return f"line-{self.line}-turn-{self.turn}"

    @property
    def digest(self) -> str:
        """Tells it from others, and nothing of what it says."""
        said = f"{self.question}\0{self.answer}".encode("utf-8", "surrogatepass")
        return sha256(said).hexdigest()[:12]

    @property
    def probe(self) -> Probe:
        """The user's turn, as a probe is put to a model."""
        return Probe(id=self.name, text=self.question)
