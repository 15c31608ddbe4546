"""Training data: questions with the replies that an adapter is to give, as conversations in JSON lines."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from coherence import limits
from coherence.engine.model.chat import messages
from coherence.errors import ArtefactError, Place, shortened
from coherence.files import read_file
from coherence.plan import Condition
from coherence.vocabulary import Probe

_EXPECTED = 'expected {"messages": [{"role": "user", ...}, {"role": "assistant", ...}]}'


@dataclass(frozen=True)
class Pair:
    """What a user asks, and what the persona answers."""

    question: str
    reply: str

    @property
    def probe(self) -> Probe:
        """The question, as a probe is put to a model."""
        return Probe(id="question", text=self.question)


def written_out(pairs: Iterable[Pair], bare: Condition) -> str:
    """Write each pair as a conversation under `bare`, one JSON object a line.

    That is what TRL, Axolotl and Unsloth read as well: a list `messages` of turns with `role` and `content`.
    """
    return "".join(f"{json.dumps(_conversation(pair, bare), ensure_ascii=False)}\n" for pair in pairs)


def read_pairs(path: Path, bare: Condition) -> list[Pair]:
    """Read what `written_out` wrote. An ArtefactError names the line that is none, or not under `bare`.

    An adapter must learn under the very turns that the gate asks it with: under another system turn it would
    be trained on what nobody measures.
    """
    try:
        text = read_file(path, limits.TRAINING_BYTES).decode("utf-8")
    except OSError as problem:
        raise ArtefactError(f"{path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ArtefactError(f"{path} is not UTF-8") from None
    pairs = list(_pairs(text, path, bare))
    if not pairs:
        raise ArtefactError(f"{path} is empty; expected a conversation per line")
    return pairs


def _pairs(text: str, path: Path, bare: Condition) -> Iterator[Pair]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = Place(path.as_posix(), number)
        try:
            conversation = json.loads(line)
            question, answer = conversation["messages"][-2:]
            pair = Pair(question["content"], answer["content"])
            is_pair = all(isinstance(text, str) and text.strip() for text in (pair.question, pair.reply))
        except (RecursionError, ValueError, LookupError, TypeError):
            is_pair = False
        if not is_pair:
            raise ArtefactError(f"{_EXPECTED}, found {shortened(line)}", place)
        if conversation != _conversation(pair, bare):
            raise ArtefactError(
                "the conversation has other turns than the suite's bare model is asked with; expected "
                f"{shortened(json.dumps(_conversation(pair, bare), ensure_ascii=False), 300)}",
                place,
            )
        yield pair


def _conversation(pair: Pair, bare: Condition) -> dict[str, list[dict[str, str]]]:
    return {"messages": [*messages(bare, pair.probe), {"role": "assistant", "content": pair.reply}]}
