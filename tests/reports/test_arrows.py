import re

from coherence.reports.html import arrows
from coherence.vocabulary import Arrows

PLANE = Arrows(
    x="pirate",
    y="counsel",
    begins="at release",
    ends="at the end",
    start={"pirate 1": (0.5, 0.0), "counsel 1": (0.0, 0.6), "both": (None, 0.1)},
    end={"pirate 1": (0.2, 0.1), "counsel 1": (0.1, 0.2), "both": (0.3, 0.3)},
)


def test_every_start_has_its_name_and_both_axes_have_theirs():
    drawn = arrows.chart(PLANE)
    assert all(f">{name}<" in drawn for name in ("pirate 1", "counsel 1", "pirate", "counsel"))
    # Only what it says to those who do not see it has the words.
    assert re.search(r">[^<]*at release[^<]*<", drawn) is None


def test_a_start_without_a_place_is_left_out():
    assert ">both<" not in arrows.chart(PLANE)
