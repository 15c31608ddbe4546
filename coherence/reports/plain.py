"""Plain text: what every terminal, XML parser and web page can take."""

import re
from io import StringIO
from unicodedata import bidirectional, category

from rich.box import ASCII, Box
from rich.console import Console, RenderableType
from rich.text import Text

from coherence.reports.fitted_table import FittedTable

# Control, unassigned, surrogate, line and paragraph separator; and what makes text read in another order.
_UNSEEN = {"Cc", "Cn", "Cs", "Zl", "Zp"}
_REORDERING = {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
# How lines of GitHub's and Azure's workflow commands begin, and how they may stand anywhere in a line.
_COMMAND = re.compile(r"(?m)^([^\S\n]*):(?=:)")
_OLD_COMMAND = re.compile(r"#(?=#\w*\[)")


def visible(text: str) -> str:
    r"""Write out what cannot be seen: an escape becomes `\x1b`. Newlines and tabs stay."""
    return "".join(c if _is_seen(c) else c.encode("unicode_escape").decode() for c in text)


def _is_seen(character: str) -> bool:
    if character in "\n\t":
        return True
    return category(character) not in _UNSEEN and bidirectional(character) not in _REORDERING


def one_line(text: str) -> str:
    """Visible, with every run of white space made one space."""
    return " ".join(visible(text).split())


def excerpt(text: str, limit: int) -> str:
    """Visible, cut after `limit` bytes of UTF-8, with how much is missing; what is cut is never laid out."""
    head = text[:limit]
    shown = visible(head)
    kept = shown.encode()[:limit].decode("utf-8", "ignore")
    return _with_rest(kept, len(shown) - len(kept) + len(text) - len(head))


def clipped(text: str, limit: int) -> str:
    """Cut after `limit` bytes of UTF-8 and say how much is missing. The text must be `visible`."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    kept = encoded[:limit].decode("utf-8", "ignore")
    return _with_rest(kept, len(text) - len(kept))


def _with_rest(kept: str, missing: int) -> str:
    return f"{kept}\n... {missing} more characters are in the results document" if missing else kept


def inert(text: str) -> str:
    """Write out what a CI runner would obey in a log: `::` where a line begins; `##[` and `##vso[`."""
    return _OLD_COMMAND.sub(r"\\x23", _COMMAND.sub(r"\1\\x3a", text))


def table(
    *columns: str, numbers: tuple[str, ...] = (), whole: tuple[str, ...] = (), box: Box | None = ASCII
) -> FittedTable:
    """Start a table without outer edges; columns in `numbers` are set right, `whole` keep to their lines."""
    right, unbroken = (
        frozenset(place for place, column in enumerate(columns) if column in names)
        for names in (numbers, whole)
    )
    return FittedTable(tuple(map(cell, columns)), right, unbroken, box)


def cell(content: object, style: str = "") -> Text:
    """Text that is shown as it is, without markup, with what cannot be seen written out."""
    return Text(visible(str(content)), style)


def rendered(content: RenderableType, width: int, color: bool = False) -> str:
    """Lay out in `width` columns; nothing of the environment matters. `inert`, no white space at line ends.

    A line that would be obeyed is three columns wider.
    """
    page = StringIO()
    console = Console(
        file=page,
        width=width,
        color_system="standard" if color else None,
        force_terminal=color,
        no_color=not color,
        legacy_windows=False,
        _environ={},
    )
    console.print(content)
    return inert("\n".join(line.rstrip() for line in page.getvalue().splitlines()))
