"""A text that says nothing, of any length: what a prompt does by being there."""

from itertools import cycle, islice

STEP = 16  # words; prompts of about the same length share a text, which is then measured once

_SENTENCES = """\
This is a note that comes with the question. The note has no bearing on it. Notes of this kind come in several
lengths, and this is one of them. A note has words, and words make up lines. Some lines are short. Other lines
are longer than the ones that were before them. The lines of the note follow one another from top to bottom.
There is a first line and there is a last line, and the others are in between. Nothing in the note is about
anyone. It was put down at some point, and it has been kept since then. It can be read once, or it can be left
out. The next part of the note is the same as the part above.
"""


def filler(words: int) -> str:
    """About so many words, at least one step of them, ending with a full stop."""
    rounded = STEP * max(1, round(words / STEP))
    return " ".join(islice(cycle(_SENTENCES.split()), rounded)).rstrip(".,") + "."
