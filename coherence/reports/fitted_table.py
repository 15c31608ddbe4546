"""A table whose columns are never narrower than their words: what has no room is set below."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from rich.box import ASCII, Box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# Where a name may be broken: between the parts of ids, paths and hyphened words, and in no number.
_BETWEEN = re.compile(r"(?<=\w[.+/:-])(?=[^\W\d_])")
_AT_DOTS = re.compile(r"(?<=\w\.)(?=[^\W\d_])")
_LONGEST = 30  # columns; what is longer, and has no part to end at, is broken anywhere


@dataclass
class FittedTable:
    """Cells below headings. Names are broken between their parts, words of other columns at spaces.

    Columns in `right` are set right, and those in `whole` keep to the lines that they have. The first names
    the rows: where a table is too wide for its words, it is repeated in each of several.
    """

    headings: tuple[Text, ...]
    right: frozenset[int] = frozenset()
    whole: frozenset[int] = frozenset()
    box: Box | None = ASCII
    collapse_padding: bool = False
    even: bool = False
    """Whether all columns are as wide, and together as wide as there is room for."""

    _rows: list[tuple[Text, ...]] = field(default_factory=list)
    _sections: set[int] = field(default_factory=set)

    def add_row(self, *cells: Text) -> None:
        """Add cells from the left; those that are not given are empty."""
        self._rows.append((*cells, *(Text() for _ in self.headings[len(cells) :])))

    def add_section(self) -> None:
        """Draw a line below the last row, where the box has one."""
        self._sections.add(len(self._rows) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out within the width of the console."""
        if self.even:
            yield self._drawn(range(len(self.headings)))
            return
        for number, columns in enumerate(self._fitting(console, options)):
            if number:
                yield Text()
            room = options.max_width - self._frame(columns, console, options)
            widths = self._narrowed(columns, room)
            yield self._drawn(columns, widths)

    def _fitting(self, console: Console, options: ConsoleOptions) -> Iterator[list[int]]:
        """Part the columns into as many tables as it takes, each with the first one."""
        columns = [0]
        for column in range(1, len(self.headings)):
            together = [*columns, column]
            least = sum(map(self._least, together)) + self._frame(together, console, options)
            if least > options.max_width and len(columns) > 1:
                yield columns
                together = [0, column]
            columns = together
        yield columns

    def _frame(self, columns: Sequence[int], console: Console, options: ConsoleOptions) -> int:
        """Count what stands between columns: the width of a table of which each is 1."""
        return Measurement.get(console, options, self._drawn(columns, [1] * len(columns))).maximum - len(
            columns
        )

    def _narrowed(self, columns: Sequence[int], room: int) -> list[int]:
        """Give each column the width of its lines; narrow what costs the fewest lines until all have room.

        Of those that cost as much the widest is narrowed, and the names last.
        """
        widths = [min(room, max(map(_width, self._cells(column)))) for column in columns]
        least = [self._least(column) for column in columns]
        # Each time only one column is another than before.
        heights_at = cache(self._heights)
        heights = [heights_at(column, width) for column, width in zip(columns, widths, strict=True)]
        while sum(widths) > room:
            narrower = {
                place: heights_at(columns[place], widths[place] - 1)
                for place in range(len(columns))
                if widths[place] > least[place]
            }
            if not narrower:
                break  # very long words: they are broken anywhere
            cost = {
                place: _lines([*heights[:place], fewer, *heights[place + 1 :]])
                for place, fewer in narrower.items()
            }
            cheapest = min(cost, key=lambda place: (cost[place], place == 0, -widths[place]))
            widths[cheapest] -= 1
            heights[cheapest] = narrower[cheapest]
        return widths

    def _heights(self, column: int, width: int) -> list[int]:
        """Count the lines of every cell of a column that has this width."""
        return [_broken(text, width).plain.count("\n") + 1 for text in self._cells(column)]

    def _least(self, column: int) -> int:
        """Measure the longest piece of a column that is not to be broken."""
        pieces = _width if column in self.whole else _longest_piece
        return max(map(pieces, self._cells(column)), default=1) or 1

    def _cells(self, column: int) -> list[Text]:
        return [self.headings[column], *(row[column] for row in self._rows)]

    def _drawn(self, columns: Sequence[int], widths: Sequence[int] | None = None) -> Table:
        drawn = Table(
            box=self.box,
            show_edge=False,
            pad_edge=False,
            collapse_padding=self.collapse_padding,
            expand=self.even,
        )
        for place, column in enumerate(columns):
            width = widths[place] if widths else None
            drawn.add_column(
                _broken(self.headings[column], width),
                justify="right" if column in self.right else "left",
                overflow="fold",
                width=width,
                ratio=1 if self.even else None,
            )
        for number, row in enumerate(self._rows):
            cells = (row[column] for column in columns)
            drawn.add_row(
                *(_broken(text, widths[place] if widths else None) for place, text in enumerate(cells)),
                end_section=number in self._sections,
            )
        return drawn


def _lines(heights: Sequence[Sequence[int]]) -> int:
    """Count the lines of a table: each row has those of its highest cell."""
    return sum(map(max, zip(*heights, strict=True)))


def _width(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")), default=0)


def _longest_piece(text: Text) -> int:
    """Measure the longest part of a word, with the blanks that a line begins with."""
    longest = 0
    for line in text.plain.split("\n"):
        indent = len(line) - len(line.lstrip())
        pieces = (cell_len(part) for word in line.split() for part in _BETWEEN.split(word))
        longest = max(longest, indent + max(pieces, default=0))
    return min(longest, _LONGEST)


def _broken(text: Text, width: int | None) -> Text:
    """Break words that are wider than a column after one of their parts, further in than they began."""
    if width is None or _width(text) <= width:
        return text
    lines = [_parted(line, width) for line in text.plain.split("\n")]
    return Text("\n".join(lines), text.style)


def _parts(word: str, room: int) -> list[str]:
    """Part a word that has no room: at dots where that is enough, as these part what an id is made of."""
    if cell_len(word) <= room:
        return [word]
    at_dots = _AT_DOTS.split(word)
    return at_dots if max(map(cell_len, at_dots)) <= room else _BETWEEN.split(word)


def _parted(line: str, width: int) -> str:
    content = line.lstrip()
    indent = line[: len(line) - len(content)]
    further = indent + "  " if indent else ""
    shown = [""]
    for word in content.split(" "):
        for number, part in enumerate(_parts(word, width - len(further))):
            blank = " " if shown[-1] and not number else ""
            before = further if len(shown) > 1 else indent
            if shown[-1] and cell_len(f"{before}{shown[-1]}{blank}{part}") > width:
                shown.append(part)
            else:
                shown[-1] += f"{blank}{part}"
    return "\n".join((further if number else indent) + one for number, one in enumerate(shown))
