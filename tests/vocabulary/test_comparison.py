import pytest

from coherence.vocabulary import Change, Comparison, Difference

WORSE = Difference(value=-0.1, low=-0.15, high=-0.05, paired=True)


def change(kind="regressed", alone=None, **found):
    return Change(
        suite="a", assertion="pirate.x", statistic="cosine", kind=kind, alone=alone or kind, **found
    )


def compared(*changes, fails_on="regressed"):
    return Comparison(
        baseline="b.json", started="2026-01-02", tolerance=0.01, fails_on=fails_on, changes=changes
    )


def test_a_change_says_its_numbers():
    found = {"before": 0.8, "now": 0.7}
    assert str(change(**found, difference=WORSE)) == (
        "pirate.x, cosine: 0.80, now 0.70: -0.10 [-0.15, -0.05]: regressed"
    )
    other = WORSE.model_copy(update={"of": "distance", "paired": False})
    assert str(change("level", "regressed", **found, difference=other)) == (
        "pirate.x, cosine: 0.80, now 0.70: -0.10 [-0.15, -0.05] further from the middle of its range "
        "(unpaired): level, regressed alone"
    )
    assert str(change("vanished", before=0.8)) == "pirate.x, cosine: vanished"


@pytest.mark.parametrize(
    ("fails_on", "failing"),
    [("none", []), ("regressed", ["regressed"]), ("vanished", ["regressed", "vanished"])],
)
def test_what_fails_the_run_is_a_choice(fails_on, failing):
    kinds = ("regressed", "vanished", "unclear", "improved", "appeared", "level")
    found = compared(*map(change, kinds), change("level", "regressed"), fails_on=fails_on)
    assert [one.kind for one in found.failing] == failing


def test_its_sentence_counts():
    found = compared(change(), change(), change("level"))
    assert found.sentence == "since the baseline of 2026-01-02: 2 regressed, 1 level"
    assert compared().sentence.endswith(": nothing to compare")
