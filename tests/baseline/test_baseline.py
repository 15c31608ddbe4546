import json
from math import inf, nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judged import judged, mean, run

from coherence.baseline import Baseline
from coherence.errors import CoherenceError
from coherence.vocabulary import Criterion, Estimate, Influence

VALUES = [0.8, 0.9, 0.7, 0.85, 0.75, 0.8, 0.95, 0.6]


@pytest.fixture
def baseline():
    laws = Criterion(estimate=Estimate(name="deviation", value=0, low=0, high=0, n=3), at_most=1e-4, law=True)
    return Baseline.of(
        run(
            judged(mean(VALUES), mean(VALUES, name="margin")),
            judged(laws, name="release.laws.dose-zero", suite="b.yaml"),
            judged(name="pirate.broken"),
        )
    )


def test_it_reads_back(baseline, tmp_path):
    path = tmp_path / "made" / "b.json"
    baseline.write(path)
    assert Baseline.read(path) == baseline
    assert list(path.parent.iterdir()) == [path]


def test_a_criterion_is_a_line_and_lines_are_sorted(baseline):
    lines = [line for line in baseline.text.splitlines() if '"statistic"' in line]
    assert [json.loads(line.rstrip(","))["statistic"] for line in lines] == ["cosine", "margin", "deviation"]
    turned = Baseline.of(run(judged(mean(VALUES, name="margin"), mean(VALUES))))
    assert [line.statistic for line in turned.suites["a.yaml"].criteria] == ["cosine", "margin"]


def test_what_could_not_be_measured_is_not_in_it(baseline):
    assert baseline.size == 3
    assert "pirate.broken" not in baseline.text


def test_nothing_of_the_machine_is_in_it():
    release = {"base": "tiny 12ab", "adapter pirate": "/home/me/my adapters/pirate 34cd"}
    baseline = Baseline.of(run(judged(mean(VALUES), release=release)))
    assert baseline.suites["a.yaml"].release == {"base": "tiny 12ab", "adapter pirate": "34cd"}


def test_it_has_the_scales_of_adapters_where_they_are_known(tmp_path):
    one, two = (
        judged(mean(VALUES), scales={"pirate": 2.0}),
        judged(mean(VALUES), name="b.c.d", scales={"a": 0.5}),
    )
    baseline = Baseline.of(run(one, two))
    baseline.write(tmp_path / "b.json")
    assert Baseline.read(tmp_path / "b.json").suites["a.yaml"].scales == {"a": 0.5, "pirate": 2.0}
    assert "scales" not in Baseline.of(run(judged(mean(VALUES)))).text


def test_two_of_a_name_are_told_apart():
    baseline = Baseline.of(run(judged(mean(VALUES), mean(VALUES))))
    assert [line.statistic for line in baseline.suites["a.yaml"].criteria] == ["cosine", "cosine (2)"]


ENDS = st.floats(allow_nan=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(ENDS, ENDS, ENDS).map(sorted), st.booleans(), st.text())
def test_any_estimate_reads_back(tmp_path, ends, known, name):
    low, value, high = ends
    estimate = Estimate(
        name=name, value=value if known else nan, low=low, high=high, n=3,
        influence=Influence(clusters={"é |\n": 1e-9}, freedom=2) if known else None,
    )  # fmt: skip
    before = Baseline.of(run(judged(Criterion(estimate=estimate, at_most=inf))))
    before.write(tmp_path / "b.json")
    assert repr(Baseline.read(tmp_path / "b.json")) == repr(before)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"format": 1', '"format": 2', "not a baseline of format 1: format: Input should be 1"),
        ('"format": 1', '"format": 1, "x": 1', "x: Extra inputs are not permitted"),
        ('"asked"', '"askd"', "suites.a.yaml.asked: Field required"),
        ('"value":0.79375', '"value":7.9375', "cosine of pirate.cosine.adapter is 7.9375, outside of [0."),
        ('"statistic":"margin"', '"statistic":"cosine"', "cosine of pirate.cosine.adapter is there 2 times"),
        ('"n":8', '"n":"many"', "suites.a.yaml.criteria.0.n: Input should be a valid integer"),
        ("}", "", "the document: Invalid JSON"),
    ],
)
def test_what_is_no_baseline_is_refused_with_its_name(baseline, tmp_path, old, new, said):
    path = tmp_path / "b.json"
    assert old in baseline.text
    path.write_text(baseline.text.replace(old, new, 1))
    with pytest.raises(CoherenceError) as refused:
        Baseline.read(path)
    assert str(refused.value).startswith(f"{path}: not a baseline of format 1: ")
    assert said in str(refused.value)
    assert str(refused.value).endswith("`coherence bless` makes a new one")


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_half_of_a_baseline_is_none(baseline, tmp_path, share):
    path = tmp_path / "b.json"
    path.write_text(baseline.text[: int(share * len(baseline.text))])
    with pytest.raises(CoherenceError, match="Invalid JSON"):
        Baseline.read(path)


def test_a_results_document_is_no_baseline(tmp_path):
    run(judged(mean(VALUES))).write(tmp_path / "r.json")
    with pytest.raises(CoherenceError, match="not a baseline of format 1"):
        Baseline.read(tmp_path / "r.json")


def test_a_folder_is_no_baseline(tmp_path):
    with pytest.raises(CoherenceError, match="cannot be read: Is a directory"):
        Baseline.read(tmp_path)
