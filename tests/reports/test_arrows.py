from coherence.reports.html import curve, plane
from coherence.vocabulary import Curve

COLUMNS = {
    "pirate at release": (0.5, 0.0, None),
    "counsel at release": (0.0, 0.6, 0.1),
    "pirate at the end": (0.2, 0.1, 0.3),
    "counsel at the end": (0.1, 0.2, 0.3),
}
PLANE = Curve(axis="plane", at=("pirate 1", "counsel 1", "both"), columns=COLUMNS)


def test_every_start_has_its_name_and_both_axes_have_theirs():
    drawn = plane.chart(PLANE)
    assert all(f">{name}<" in drawn for name in ("pirate 1", "counsel 1", "pirate", "counsel"))
    assert "at release" not in drawn


def test_a_start_without_a_place_is_left_out():
    assert ">both<" not in plane.chart(PLANE)


def test_a_plane_is_drawn_wherever_curves_are():
    assert curve.chart(PLANE) == plane.chart(PLANE)


def test_a_map_has_the_diagonal_of_what_stays():
    columns = {"end": (0.0, 0.2), "low": (0.0, 0.1), "high": (0.0, 0.3)}
    drawn = curve.chart(Curve(axis="start", at=("0", "0.5"), columns=columns))
    assert "where it was released" in drawn
    assert "position at release" in drawn
