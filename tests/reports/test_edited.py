"""A results document or baseline that somebody edited is refused by a sentence, or shown as it is."""

import json
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from edited import document, edited
from hypothesis import given
from hypothesis import strategies as st

from coherence.baseline import Baseline, ComparisonTerms, compare
from coherence.errors import CoherenceError
from coherence.reports.annotations import annotations
from coherence.reports.controls import controls
from coherence.reports.grounds import explain
from coherence.reports.html import write_html
from coherence.reports.junit import write_junit
from coherence.reports.markdown import write_markdown
from coherence.reports.since_baseline import compared
from coherence.reports.terminal import summary
from coherence.results import Results

SEEDS = st.integers(0, 2**32).map(Random)
PLAIN = (100, False, True)


def show(results: Results, folder: Path) -> None:
    """Make every view of it, and a baseline."""
    write_html(results, folder / "h.html")
    write_junit(results, folder / "j.xml")
    write_markdown(results, folder / "m.md")
    summary(results, *PLAIN)
    controls(results, *PLAIN)
    if results.comparison:
        compared(results.comparison, *PLAIN)
    for result in results.assertions:
        explain(result)
    assert list(annotations(results, folder)) is not None
    Baseline.of(results)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edited")


def test_one_that_nobody_edited_is_shown(folder):
    show(document(), folder)


@given(random=SEEDS)
def test_an_edited_document_is_refused_or_shown(folder, random):
    path = folder / "results.json"
    path.write_text(edited(document().model_dump_json(), random))
    with suppress(CoherenceError):
        show(Results.read(path), folder)


@given(random=SEEDS)
def test_an_edited_baseline_is_refused_or_compared(folder, random):
    path = folder / "baseline.json"
    path.write_text(edited(Baseline.of(document()).text, random))
    terms = ComparisonTerms(tolerance=0.05, fails_on="regressed", adjusted=True, anyway=True)
    with suppress(CoherenceError):
        found = compare("b.json", Baseline.read(path), Baseline.of(document()), terms)
        show(document().model_copy(update={"comparison": found}), folder)


NAMED = {
    "columns of other lengths": (
        lambda evidence: evidence["curve"]["series"]["raw"]["values"].pop(),
        "assertions.0.evidence.curve.series.raw: Value error, has intervals for other places than values",
    ),
    "no criteria": (
        lambda evidence: evidence["criteria"].clear(),
        "assertions.0.evidence.criteria: Tuple should have at least 1 item after validation, not 0",
    ),
    "low above value": (
        lambda evidence: evidence["criteria"][0]["estimate"].update(low=0.45),
        "assertions.0.evidence.criteria.0.estimate: Value error, margin is 0.4, outside of [0.45, 0.5]",
    ),
    "low above high": (
        lambda evidence: evidence["criteria"][0]["estimate"].update(value=None, low=0.9),
        "assertions.0.evidence.criteria.0.estimate: Value error, margin is nan, outside of [0.9, 0.5]",
    ),
    "an adjusted p of none": (
        lambda evidence: evidence["criteria"][1].pop("p"),
        "assertions.0.evidence.criteria.1: Value error, cosine has a p among all claims; expected one alone",
    ),
}


@pytest.mark.parametrize("edit", NAMED)
def test_what_was_edited_is_named(tmp_path, edit):
    change, sentence = NAMED[edit]
    told = json.loads(document().model_dump_json())
    change(told["assertions"][0]["evidence"])
    path = tmp_path / "results.json"
    path.write_text(json.dumps(told))
    with pytest.raises(CoherenceError) as refused:
        Results.read(path)
    assert str(refused.value).startswith(f"{path}: not a results document of format 5 to 2: {sentence}")
