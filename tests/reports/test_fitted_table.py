"""Columns that keep their words, at any width."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.box import ASCII, SIMPLE_HEAD
from rich.cells import cell_len

from coherence.reports.plain import cell, rendered, table

COLUMNS = ("estimate", "value", "95 % interval", "expected", "n", "verdict")
ROWS = [
    ("strength of adapter along prompt", "-0.10", "[-0.14, -0.06]", ">= 0.4", "10", "fail"),
    (
        "specific cosine", "undefined", "", ">= 0.4", "8",
        "inconclusive: the ceiling 0.20 is below 0.6: 8 probes, about 70 needed",
    ),
]  # fmt: skip


def drawn(width, rows=ROWS, columns=COLUMNS, box=ASCII, **given):
    grid = table(*columns, box=box, **given)
    for row in rows:
        grid.add_row(*map(cell, row))
    return rendered(grid, width)


def words(*texts):
    return {word for text in texts for word in re.findall(r"[^\s|+-]+", text)}


@pytest.mark.parametrize("width", range(30, 121, 10))
@pytest.mark.parametrize("box", [ASCII, SIMPLE_HEAD])
def test_every_word_of_every_column_is_there_at_any_width(width, box):
    text = drawn(width, box=box, whole=("95 % interval",))
    assert words(*COLUMNS, *(text for row in ROWS for text in row)) <= words(text.replace("─", " "))
    assert max(map(len, text.splitlines())) <= width


def test_a_reason_that_is_long_leaves_the_other_columns_their_words():
    reason = "the directions decide nothing, as what moves them is noise: 8 probes, about 70 needed " * 3
    _, _, *lines = drawn(80, [("carry over", "0.10", "[0.05, 0.20]", ">= 0.5", "8", reason)]).splitlines()
    names, values, intervals, *_ = zip(*(line.split(" | ") for line in lines), strict=True)
    assert " ".join(names).split() == ["carry", "over"]
    assert " ".join(values).split() == ["0.10"]
    assert " ".join(intervals).split() == ["[0.05,", "0.20]"]


def test_what_has_no_room_is_set_below_with_the_names_of_its_rows():
    columns = tuple(f"persona-{number}" for number in range(12))
    text = drawn(60, [("pirate", *("0.10",) * 12)], ("", *columns))
    assert len(re.findall(r"^pirate ", text, re.M)) > 1
    assert set(columns) <= set(re.findall(r"persona-\d+", text))
    assert text.count("0.10") == 12


def test_a_name_is_broken_after_one_of_its_parts_and_set_in():
    text = drawn(30, [("  collinearity.prompt-adapter+steering", "0.12")], ("assertion", "value"))
    assert [line.split("|")[0].rstrip() for line in text.splitlines()[2:]] == [
        "  collinearity.prompt-",
        "    adapter+steering",
    ]


@pytest.mark.parametrize("value", ["-0.125", "resid_post.23", "1e-05", "0.05"])
def test_no_number_and_no_site_is_broken(value):
    text = drawn(len(value) + 8, [("a name of some words", value)], ("a", "b"))
    assert value in text
    assert len(text.splitlines()) > 3


def test_a_section_has_a_line_below_it():
    grid = table("a", "b")
    for row in ("one", "two"):
        grid.add_row(cell(row), cell(row))
        if row == "one":
            grid.add_section()
    assert rendered(grid, 20).splitlines()[3] == "----+----"


@given(st.lists(st.lists(st.text(), min_size=3, max_size=3), max_size=4), st.integers(20, 120))
def test_no_text_makes_it_wider_than_it_may_be(rows, width):
    grid = table("one", "two", "three")
    for row in rows:
        grid.add_row(*map(cell, row))
    assert all(cell_len(line) <= width + 3 for line in rendered(grid, width).splitlines())
