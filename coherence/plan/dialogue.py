"""What a user that answers is told of a conversation, and what of its answer is said."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from coherence.errors import MeasurementError
from coherence.vocabulary import User

_TOLD = """\
{prompt}

You are the user, and talk to an assistant. This is the conversation so far:

{exchanges}

What do you say next? Answer with your next message and nothing else, in one or two sentences."""
_LABEL = re.compile(r"^\s*(?:user|me|you)\s*:\s*", re.IGNORECASE)


class Spoken(NamedTuple):
    """What the user said, and what the assistant answered."""

    user: str
    assistant: str


def told_to(user: User, exchanges: Sequence[Spoken]) -> str:
    """Write who the user is, and the last exchanges that it hears of."""
    heard = (f"User: {one.user}\nAssistant: {one.assistant}" for one in exchanges[-user.hears :])
    return _TOLD.format(prompt=user.prompt, exchanges="\n\n".join(heard))


def message_of(user: User, text: str) -> str:
    """Return the first line of an answer that says something, without label and quotation marks.

    A MeasurementError where there is none.
    """
    for line in text.splitlines():
        if said := _LABEL.sub("", line).strip().strip('"').strip():
            return said
    raise MeasurementError(
        f"the user {user} says nothing, with seed {user.seed}; expected a model that goes on with a "
        "conversation, or another seed"
    )
