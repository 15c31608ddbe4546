import re
from math import nan

import pytest
from pydantic import ValidationError

from coherence.reports.figure_columns import columns_of
from coherence.reports.html import scatter
from coherence.vocabulary import Figures, Point, Scatter

PLACES = {
    "roles": {"role 1": (0.1, -0.5), "role 2": (-0.1, -0.3)},
    "prompt": {"pirate": (-0.5, 0.7), "counsel": (0.9, 0.8)},
    "adapter": {"pirate": (-1.0, 0.0), "counsel": (nan, 0.2)},
}
PLANE = Scatter(
    x="assistant axis",
    y="first component",
    points=tuple(
        Point(name=name, group=group, x=x, y=y)
        for group, places in PLACES.items()
        for name, (x, y) in places.items()
    ),
)


def test_its_numbers_are_in_a_table():
    (table,) = columns_of(Figures(scatter=PLANE))
    assert table.names == ("assistant axis", "first component")
    assert dict(zip(table.rows, zip(*table.columns, strict=True), strict=True))["counsel, adapter"] == (
        None,
        0.2,
    )


def test_those_who_are_in_several_groups_are_named_once_and_the_others_are_not():
    drawn = scatter.chart(PLANE)
    assert [drawn.count(f">{name}<") for name in ("pirate", "counsel", "role 1")] == [1, 1, 0]


def test_every_group_has_a_symbol_and_a_colour_of_its_own():
    drawn = scatter.chart(PLANE)
    assert all(f">{group}<" in drawn for group in ("roles", "prompt", "adapter"))
    assert len(set(re.findall(r'stroke="(var\(--series-\d\))"', drawn))) == 3


def test_it_says_where_everybody_is_and_the_others_on_average():
    assert scatter.said(PLANE) == (
        "assistant axis and first component. roles, 2 on average at 0.00, -0.40. "
        "prompt: pirate -0.50, 0.70; counsel 0.90, 0.80. "
        "adapter: pirate -1.00, 0.00; counsel undefined, 0.20."
    )


def test_every_two_axes_of_a_space_make_a_plane():
    space = PLANE.model_copy(update={"further": {"second component": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)}})
    planes = [(plane.x, plane.y) for plane in space.planes]
    assert planes == [("assistant axis", "second component"), ("first component", "second component")]
    last = space.planes[1].points[-1]
    assert (last.name, last.x, last.y) == ("counsel", 0.2, 5.0)
    (table,) = columns_of(Figures(scatter=space))
    assert table.columns[2] == (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert PLANE.planes == ()


def test_a_further_axis_has_a_place_for_every_point():
    with pytest.raises(ValidationError, match="a place along every further axis for each point"):
        Scatter(x="x", y="y", points=PLANE.points, further={"z": (1.0,)})
