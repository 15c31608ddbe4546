"""What a suite says to a base, written by its chat template without the base: as the gate writes it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from coherence.engine.model.chat import Chat
from coherence.plan import CALIBRATION, Condition, Measurement, Reading, Reply, Way, conditions_of
from coherence.vocabulary import Position, Probe

_Written = tuple[Condition, tuple[str, ...], Position]
"""Who is prompted, what the user says after the first answer, and where in the last turn is read."""


def written_prompts(chat: Chat, measurements: Iterable[Measurement], probe: Probe) -> str:
    """Write every kind of prompt that measurements take, each with this probe; return how many there are.

    An ArtefactError says what the template refuses, or leaves out.
    """
    chat.calibrate(CALIBRATION[0])
    kinds = dict.fromkeys(kind for measurement in measurements for kind in _kinds(measurement))
    for condition, turns, position in kinds:
        chat.encode(condition, probe)
        if turns:
            chat.turns_after(condition, probe, turns)
        if place := _PLACES.get(position):
            place(chat, condition, probe, turns)
    written = f"writes the suite's prompts, {len(kinds)} kind{'s' if len(kinds) > 1 else ''} of them"
    folded = "; it refuses a system turn, whose text stands in the first turn of the user"
    return f"{written}{folded if chat.refuses_system else ''}"


_PLACES: dict[Position, Callable[[Chat, Condition, Probe, tuple[str, ...]], object]] = {
    Position.TURN_LAST: Chat.turn_last,
    Position.USER_LAST: Chat.user_tokens,
    Position.USER_MEAN: Chat.user_tokens,
}


def _kinds(measurement: Measurement) -> Iterator[_Written]:
    text = measurement.text if isinstance(measurement, Reading) else measurement
    turns = tuple(turn.text for turn in text.turns) if isinstance(text, Reply) else ()
    position = measurement.position if isinstance(measurement, Reading) else Position.PROMPT_LAST
    for condition in conditions_of(measurement):
        yield _plain(condition), turns, position


def _plain(condition: Condition) -> Condition:
    """Leave out what is done to the model: a template knows nothing of it."""
    return replace(condition, adapters=(), steers=(), way=Way.STACKED, patch=None, cap=None)
