import re

from coherence.reports.html import heat_map
from coherence.vocabulary import Table

COSINES = Table(
    name="specific cosine", rows=("pirate", "counsel's"), columns=("pirate", "counsel's"),
    cells=((0.61, -0.2), (None, 0.5)), matrix=True,
)  # fmt: skip


def test_every_number_is_in_its_cell_and_those_below_zero_have_another_colour():
    drawn = heat_map.chart(COSINES)
    assert re.findall(r">(-?0\.\d\d)<", drawn) == ["0.61", "-0.20", "0.50"]
    assert drawn.count("var(--series-1)") == 2
    assert drawn.count("var(--series-2)") == 1


def test_rows_and_columns_have_their_names():
    drawn = heat_map.chart(COSINES)
    assert drawn.count(">pirate<") == drawn.count(">counsel's<") == 2


def test_it_says_all_of_it_to_those_who_do_not_see_it():
    assert heat_map.said(COSINES) == (
        "specific cosine: pirate pirate 0.61, counsel's -0.20; counsel's pirate undefined, counsel's 0.50."
    )
