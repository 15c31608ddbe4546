"""Which artefact red verdicts are laid at the door of, from what was said of artefacts and what is red."""

from dataclasses import replace

import pytest

from coherence.engine.artefacts.remark import Remark
from coherence.gate.causes import Bearing, likely_causes

PIRATE, COUNSEL, SUPPORT = (("adapters", name) for name in ("pirate", "counsel", "support"))
WRONG = Remark("holds ...", "see to it", explains=True, plainly="pirate's adapter is counsel's, byte by byte")
IN_PLACE = Remark("holds ...", "see to it")


def bears(own, *against, red=True, fails=None):
    return Bearing(
        red=red, fails=red if fails is None else fails, own=frozenset({own}), against=frozenset(against)
    )


def told(bearings, remarks):
    """What each is said to be red because of, with an arrow before what follows."""
    causes = likely_causes(bearings, remarks)
    return [cause and f"{'-> ' * cause.follows}{cause.sentence}" for cause in causes]


def test_the_innocent_is_red_because_of_the_misplaced():
    bearings = [bears(COUNSEL, PIRATE), bears(PIRATE), bears(SUPPORT, PIRATE, red=False)]
    said = WRONG.plainly
    assert told(bearings, {PIRATE: [WRONG], COUNSEL: [IN_PLACE]}) == [f"-> {said}", said, None]
    (cause, _, _) = likely_causes(bearings, {PIRATE: [WRONG]})
    assert (cause.artefact, cause.remedy) == ("adapter pirate", "see to it")


def test_what_was_not_held_against_the_misplaced_has_a_cause_of_its_own():
    assert told([bears(COUNSEL), bears(PIRATE)], {PIRATE: [WRONG]}) == [None, WRONG.plainly]


def test_nothing_follows_from_what_is_green_itself():
    bearings = [bears(COUNSEL, PIRATE), bears(PIRATE, red=False)]
    assert told(bearings, {PIRATE: [WRONG]}) == [None, None]


def test_what_does_not_explain_is_no_cause():
    assert told([bears(PIRATE)], {PIRATE: [Remark("has rank 64", "start it otherwise")]}) == [None]


TWINS = {
    one: [Remark("holds ...", "see to it", explains=True, same_as=(other[1],))]
    for one, other in ((PIRATE, COUNSEL), (COUNSEL, PIRATE))
}


def test_where_files_do_not_tell_which_is_misplaced_the_one_that_fails_alone_is():
    bearings = [bears(COUNSEL, PIRATE), bears(PIRATE), bears(COUNSEL, red=False)]
    said = "pirate's adapter is counsel's, byte by byte"
    assert told(bearings, TWINS) == [f"-> {said}", said, None]


@pytest.mark.parametrize("fails", [True, False])
def test_where_verdicts_do_not_tell_either_both_are_named(fails):
    bearings = [bears(COUNSEL, fails=fails), bears(PIRATE, fails=fails)]
    assert told(bearings, TWINS) == ["the adapters of counsel and pirate are the same, byte by byte"] * 2


def test_an_artefact_is_named_where_nothing_plainer_is_known():
    scaled = Remark("its scale, alpha / r, is 0.2; in the baseline it was 2", "see to it", explains=True)
    assert told([bears(PIRATE)], {PIRATE: [IN_PLACE, scaled, replace(scaled, found="later")]}) == [
        "adapter 'pirate': its scale, alpha / r, is 0.2; in the baseline it was 2"
    ]
