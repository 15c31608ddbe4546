"""Text that somebody else wrote, a model above all: in a page it is read, never obeyed."""

import re
from collections.abc import Callable, Iterable
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


def marked(
    value: str, places: Iterable[tuple[int, int]], underlined: Iterable[tuple[int, int]] = ()
) -> Markup:
    """Text for the body with places marked and others underlined, each from its start to before its end."""
    kept, lines = value[:LIMIT], sorted(underlined)

    def within(start: int, end: int) -> Markup:
        return _in_elements(start, end, lines, "u", lambda *part: spelled(kept[slice(*part)]))

    whole = _in_elements(0, len(kept), sorted(places), "mark", within)
    return Markup("<bdi>{}</bdi>{}").format(whole, _rest(len(value) - LIMIT))


def _in_elements(
    start: int,
    end: int,
    places: Iterable[tuple[int, int]],
    tag: str,
    inside: Callable[[int, int], Markup],
) -> Markup:
    """Write a part of a text with what of it lies in the sorted places in elements of their own."""
    element, pieces = Markup(f"<{tag}>{{}}</{tag}>"), []
    for first, last in places:
        first, last = max(first, start), min(last, end)
        if first < last:
            pieces += [inside(start, first), element.format(inside(first, last))]
            start = last
    return Markup().join([*pieces, inside(start, end)])


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
