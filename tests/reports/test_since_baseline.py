import pytest

from coherence.reports.since_baseline import compared, verdict
from coherence.vocabulary import Change, Comparison, Difference

NASTY = "\x1b[31m\r\n|[b]\u202e"


def change(kind="regressed", alone=None, statistic="specific cosine", **found):
    worse = Difference(value=-0.1, low=-0.15, high=-0.05, paired=True)
    known = {"before": 0.8, "now": 0.7, "difference": worse} if kind in ("regressed", "level") else {}
    return Change(
        suite="suites/a.yaml", assertion="pirate.collinearity.prompt-adapter", statistic=statistic,
        kind=kind, alone=alone or kind, **known | found,
    )  # fmt: skip


def comparison(*changes, notes=(), fails_on="regressed"):
    return Comparison(
        baseline="b.json",
        started="2026-01-02",
        tolerance=0.05,
        fails_on=fails_on,
        notes=notes,
        changes=changes,
    )


def test_a_row_holds_both_values_and_the_difference():
    text = " ".join(compared(comparison(change()), 110).split())
    assert (
        "pirate.collinearity.prompt-adapter specific cosine 0.80 0.70 -0.10 [-0.15, -0.05] regressed" in text
    )


def test_what_is_level_is_only_counted():
    text = compared(comparison(change("level"), change("level", "regressed", "margin")), 110)
    assert "specific cosine" not in text
    assert "margin" in text
    assert text.splitlines()[-1] == "since the baseline of 2026-01-02: 2 level"


def test_the_last_line_says_what_fails_the_run():
    changes = (change(), change("vanished"), change("vanished"))
    counts = "since the baseline of 2026-01-02: 1 regressed, 2 vanished"
    assert verdict(comparison(*changes)) == f"{counts}: 1 fails the run"
    assert verdict(comparison(*changes, fails_on="vanished")) == f"{counts}: 3 fail the run"
    assert verdict(comparison(*changes, fails_on="none")) == counts


def test_a_difference_says_what_it_is_of_and_whether_it_pairs():
    other = Difference(value=0.1, low=0.05, high=0.15, of="distance", paired=False)
    text = " ".join(compared(comparison(change(difference=other)), 200).split())
    assert "0.10 [0.05, 0.15], from the middle, unpaired" in text


def test_many_changes_are_cut_and_counted():
    text = compared(comparison(*[change()] * 300), 200)
    assert len(text.splitlines()) < 60
    assert "260 more are in the results document" in text


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_it_fits_and_nothing_in_it_comes_alive(width, ascii_only):
    text = compared(comparison(change(statistic=NASTY * 9), notes=(NASTY,)), width, ascii_only=ascii_only)
    assert max(map(len, text.splitlines())) <= width
    assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert text.isascii() or not ascii_only
