"""Text that somebody else wrote, a model above all: in a page it is read, never obeyed."""

import re
from collections.abc import Iterable
from unicodedata import category

from markupsafe import Markup, escape

from coherence.reports.plain import visible

LIMIT = 4000  # characters

_UNUSUAL = re.compile(r"[^\n\t -~]")
_JOINERS = "\u200c\u200d"  # part of emoji, and of Persian and Hindi words


def shown(value: object) -> object:
    """Text for the body of the page: markup escaped, unseen characters written out, direction isolated.

    It is cut after LIMIT characters, and says how many are missing. Numbers and markup stay as they are.
    """
    if isinstance(value, int | float | Markup):
        return value
    return marked(str(value), ())


def marked(value: str, places: Iterable[tuple[int, int]]) -> Markup:
    """Text for the body with these places marked, each from its start to before its end."""
    kept, pieces, done = value[:LIMIT], [], 0
    for start, end in sorted(places):
        pieces.append(spelled(kept[done:start]))
        pieces.append(Markup("<mark>{}</mark>").format(spelled(kept[max(done, start) : end])))
        done = max(done, end)
    whole = Markup().join([*pieces, spelled(kept[done:])])
    return Markup("<bdi>{}</bdi>{}").format(whole, _rest(len(value) - LIMIT))


def attribute(value: object) -> Markup:
    """Text for an attribute: the same without elements."""
    return escape(plain(str(value)))


def plain(text: str) -> str:
    """Text without any markup: cut, and unseen characters written out."""
    return _UNUSUAL.sub(lambda found: _written(found[0]), text[:LIMIT])


def spelled(text: str) -> Markup:
    """Escape markup; what cannot be seen is written out and set apart."""
    return Markup(_UNUSUAL.sub(_set_apart, str(escape(text))))


def _rest(missing: int) -> Markup:
    if missing <= 0:
        return Markup()
    rest = Markup(' <em class="cut">… {:,} more characters are in the results document</em>')
    return rest.format(missing)


def _set_apart(match: re.Match[str]) -> str:
    written = _written(match[0])
    return written if written == match[0] else f'<code class="unseen">{written}</code>'


def _written(character: str) -> str:
    r"""Also write out marks of direction and other formats (`\u200f`), which a page would obey."""
    if category(character) == "Cf" and character not in _JOINERS:
        return character.encode("unicode_escape").decode()
    return visible(character)
