"""Transcripts: conversations that were held elsewhere, one a line, read without keeping them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from coherence import limits
from coherence.errors import CoherenceError, Place, SuiteError, UnknownNameError, did_you_mean, shortened
from coherence.monitor.naming import Naming
from coherence.monitor.utterance import Utterance

_KEYS = {"messages", "time", "release", "model", "persona"}
_UNHEARD = {"system", "developer", "tool", "function"}
_EXPECTED = '{"time": ..., "release": ..., "messages": [{"role": "user", "content": ...}, ...]}'

_Object = dict[str, object]


@dataclass(frozen=True)
class Transcripts:
    """A file of conversations in the order of their times.

    With `last` only the last answer of each is read: where every call of a server is a line, and has the
    conversation so far. No error says anything of what was said.
    """

    path: Path
    naming: Naming
    last: bool = False

    def __iter__(self) -> Iterator[Utterance]:
        """Yield what assistants said, line by line; an error names the line that cannot be read.

        A SuiteError where a line is none, an UnknownNameError where it is nobody's.
        """
        before, spoke = None, False
        for number, line in self._lines():
            place = Place(self.path.as_posix(), number)
            try:
                said, spoken = self._conversation(number, _object(line)), False
                for utterance in said:
                    if before is not None and utterance.time < before:
                        raise SuiteError(
                            f"its time, {utterance.time.isoformat()}, is before that of the line before, "
                            f"{before.isoformat()}; expected the order of time"
                        )
                    before = utterance.time
                    spoke = spoken = True
                    yield utterance
                if not spoken:
                    raise SuiteError("no assistant answers a user in it; expected a turn that does")
            except UnknownNameError as problem:
                raise UnknownNameError(problem.sentence, place) from None
            except SuiteError as problem:
                raise SuiteError(problem.sentence, place) from None
        if not spoke:
            raise SuiteError(f"is empty; expected a conversation per line: {_EXPECTED}", self._place)

    @property
    def _place(self) -> Place:
        return Place(self.path.as_posix())

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            if not self.path.is_file():
                raise CoherenceError("is no file; expected conversations, one a line", self._place)
            with self.path.open("rb") as file:
                yield from enumerate(self._cut(file), start=1)
        except OSError as problem:
            raise CoherenceError(f"cannot be read: {problem.strerror or problem}", self._place) from None

    def _cut(self, file: BinaryIO) -> Iterator[bytes]:
        number = 0
        while line := file.readline(limits.CONVERSATION_BYTES + 1):
            number += 1
            if len(line) > limits.CONVERSATION_BYTES:
                raise SuiteError(
                    f"is longer than {limits.CONVERSATION_BYTES:,} bytes; expected one conversation",
                    Place(self.path.as_posix(), number),
                )
            yield line

    def _conversation(self, number: int, line: _Object | None) -> list[Utterance]:
        if line is None:
            raise SuiteError(f"is an empty line; expected {_EXPECTED}")
        _require_known(line)
        release = _text(line, "release" if "release" in line else "model") or ""
        persona = _text(line, "persona")
        if not (release or persona):
            raise SuiteError("says neither `release` nor `persona`; expected who spoke, to hold it against")
        whose, time = self.naming.persona(persona, release), _time(line.get("time"))
        exchanges = list(_exchanges(_messages(line)))
        heard = exchanges[-1:] if self.last else exchanges
        first = len(exchanges) - len(heard) + 1
        return [
            Utterance(number, turn, len(heard), time, release, whose, question, answer)
            for turn, (question, answer) in enumerate(heard, first)
        ]


def _object(line: bytes) -> _Object | None:
    if not line.strip():
        return None
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise SuiteError("is not UTF-8") from None
    except (ValueError, RecursionError):
        raise SuiteError(f"is not JSON; expected {_EXPECTED}") from None
    if not isinstance(value, dict):
        raise SuiteError(f"is {_kind(value)}; expected {_EXPECTED}")
    return value


def _require_known(line: _Object) -> None:
    if "messages" not in line:
        near = next((f"{key!r}{hint}" for key in line if (hint := _hint(key))), "none")
        raise SuiteError(f"has no `messages`: found {near}; expected {_EXPECTED}")


def _hint(key: str) -> str:
    hint = did_you_mean(key, _KEYS)
    return hint if "did you mean" in hint else ""


def _text(line: _Object, key: str) -> str | None:
    value = line.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > limits.NAME:
        raise SuiteError(f"`{key}` is {_kind(value)}; expected a name of 1 to {limits.NAME} characters")
    return value


def _time(value: object) -> datetime:
    if value is None:
        raise SuiteError("has no `time`; expected one, such as 2026-03-01T12:00:00Z")
    try:
        if not isinstance(value, str):
            raise ValueError
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SuiteError(
            f"`time` is {shortened(value, 40)}; expected ISO 8601, such as 2026-03-01T12:00:00Z"
        ) from None


def _messages(line: _Object) -> Sequence[object]:
    value = line["messages"]
    if not isinstance(value, list):
        raise SuiteError(f"`messages` is {_kind(value)}; expected a list of turns")
    return value


def _exchanges(messages: Iterable[object]) -> Iterator[tuple[str, str]]:
    """Yield each answer with all that the user has said since the one before."""
    questions: list[str] = []
    for place, message in enumerate(messages, start=1):
        role, text = _turn(message, place)
        if role == "user":
            questions += [] if text is None else [text]
        elif role == "assistant" and text is not None and questions:
            yield "\n\n".join(questions), text
            questions = []


def _turn(message: object, place: int) -> tuple[str, str | None]:
    if not isinstance(message, dict) or not isinstance(role := message.get("role"), str):
        raise SuiteError(f'message {place} is {_kind(message)}; expected {{"role": ..., "content": ...}}')
    if role in _UNHEARD:
        return role, None
    if role not in ("user", "assistant"):
        roles = ("user", "assistant", *_UNHEARD)
        raise SuiteError(f"message {place} has the role {shortened(role, 40)}{did_you_mean(role, roles)}")
    text = _content(message.get("content"), place)
    # A user who says nothing asks nothing; an assistant that does has answered with nothing.
    return role, text if role == "assistant" or (text and text.strip()) else None


def _content(value: object, place: int) -> str | None:
    """Return the text of a message: its content, or the texts among the parts of that."""
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
        value = "\n\n".join(part for part in parts if isinstance(part, str)) if parts else None
    if value is not None and not isinstance(value, str):
        raise SuiteError(f"`content` of message {place} is {_kind(value)}; expected a text")
    # A lone surrogate is in no text, and no tokenizer takes it.
    return None if value is None else value.encode("utf-8", "backslashreplace").decode()


def _kind(value: object) -> str:
    """Say what was found without a word of it."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
