"""Where a reply that runs on begins a turn of the user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# What templates begin a turn of the user with that have no token for it: Llama 2 and Mistral before its third
# tokenizer, Zephyr and TinyLlama, Vicuna, Alpaca and Guanaco. Any other text may be what an answer says.
HEADERS = ("[INST]", "<|user|>", "USER:", "### Instruction:", "### Human:", "### User:")


def header_in(template: str) -> str:
    """Return the first of `HEADERS` in the text of a chat template; empty where none is there."""
    return next((header for header in HEADERS if header in template), "")


@dataclass(frozen=True)
class TurnBeginning:
    """What begins a turn of the user: tokens of the template's own, or else the text of a header."""

    tokenizer: "PreTrainedTokenizerBase"
    ids: tuple[int, ...] = ()
    header: str = ""

    @property
    def longest(self) -> int:
        """How many tokens it can be: of a text, one for each byte."""
        return len(self.ids) or len(self.header.encode())

    def at_end_of(self, ids: Sequence[int]) -> int:
        """Count the tokens that it is at the end of a reply; 0 where the reply does not end in it."""
        if self.ids:
            return len(self.ids) if tuple(ids[-len(self.ids) :]) == self.ids else 0
        if not self.header:
            return 0
        counts = range(1, min(len(ids), self.longest) + 1)
        return next((count for count in counts if self.header in self._spelled(ids[-count:])), 0)

    def _spelled(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids)))
