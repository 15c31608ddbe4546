"""Tables, as evidence keeps them."""

from collections.abc import Iterable, Mapping

from coherence.properties.curve import column
from coherence.vocabulary import Table


def table(name: str, rows: Iterable[str], columns: Mapping[str, Iterable[float]]) -> Table:
    """Make a table of columns, each with a number for every row; empty where one is undefined."""
    cells = zip(*columns.values(), strict=True)
    return Table(name=name, rows=tuple(rows), columns=tuple(columns), cells=tuple(map(column, cells)))
