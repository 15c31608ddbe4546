"""Proposals as a person reads them."""

import re
from dataclasses import replace
from math import inf

from rich.box import ASCII

from coherence.reports.plain import rendered
from coherence.thresholds.proposal import ControlEstimate, Proposal
from coherence.thresholds.side import Side
from coherence.thresholds.summary import WIDTH, shown
from coherence.thresholds.written_claim import entries
from coherence.vocabulary import Estimate

ESTIMATE = Estimate(name="kappa", value=0.9, low=0.8, high=1.0, n=24)
CONTROL = ControlEstimate(
    "oncall",
    "pirate.markers.prompt-adapter",
    None,
    Estimate(name="kappa", value=0.1, low=0.0, high=0.2, n=24),
)


def row(entry, key="min_agreement", item=0, side=Side.AT_LEAST, **changed):
    values = {
        "current": 0.6,
        "proposed": 0.7,
        "weakest": "pirate.markers.prompt-adapter",
        "release": None,
        "estimate": ESTIMATE,
        "control": CONTROL,
        "needed": 11.2,
        "notes": (),
    }
    return Proposal(entry, key, item, side, **(values | changed))


def lines(*proposals):
    page = rendered(shown(proposals, ASCII), WIDTH).splitlines()
    return [re.sub(r" +", " ", line) for line in page]


def test_a_row_says_all_that_a_proposal_says(load):
    (entry,) = entries(load())
    *_, head, who, found = lines(row(entry))
    assert head.startswith(f"markers, line {entry.place.line} ")
    assert who == " min_agreement | 0.6 | 0.70 | pirate | oncall as pirate | 0.50 | 24 | 12"
    assert found == " | | | 0.90 [0.80, 1.00] | 0.10 [0.00, 0.20] | | |"


def test_what_is_not_known_is_a_dash_and_a_sentence(load):
    (entry,) = entries(load())
    *_, found, _, note = lines(row(entry, proposed=None, control=None, needed=inf, notes=("it is lost",)))
    assert found.split("|")[2].strip() == "-"
    assert [part.strip() for part in found.split("|")[4:]] == ["none", "-", "24", "-"]
    assert note == "min_agreement: it is lost"


def test_ends_of_a_range_have_a_row_each(load):
    attractor = "  - {property: attractor, poles: [pirate, counsel], site: resid_post.2, max_area: 1}\n"
    (entry,) = entries(load(attractor))
    low, high = (row(entry, "tipping", item, side) for item, side in enumerate((Side.AT_LEAST, Side.AT_MOST)))
    weakest = "pirate-counsel.attractor.steering"
    *_, first, _, second, _ = lines(replace(low, weakest=weakest), replace(high, weakest=weakest))
    assert first.split("|")[3].strip() == "pirate-counsel steering"
    assert (first.split("|")[0], second.split("|")[0]) == (" tipping >= ", " tipping <= ")


def test_of_several_releases_it_says_which_are_meant(load):
    (entry,) = entries(load())
    *_, who, _ = lines(row(entry, release="twin", control=replace(CONTROL, release="own")))
    assert who == " min_agreement | 0.6 | 0.70 | pirate (twin) | oncall as pirate (own) | 0.50 | 24 | 12"
