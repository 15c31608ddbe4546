"""Views that other distributions add."""

import pytest
from declared import declare
from judged import judged, mean, run

from coherence.errors import CoherenceError
from coherence.reports.views import GROUP, require_views, write_view


@pytest.fixture
def results():
    return run(judged(mean([0.6, 0.7, 0.8, 0.9])))


@pytest.mark.parametrize(("value", "expected"), [("report", b"1 assertions"), ("image", b"\x89PNG")])
def test_a_view_is_written(tmp_path, monkeypatch, results, value, expected):
    monkeypatch.syspath_prepend(declare(tmp_path, GROUP, "kind", f"kind_module:{value}"))
    require_views(["kind"])
    write_view("kind", results, tmp_path / "new" / "view")
    assert (tmp_path / "new" / "view").read_bytes() == expected


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("lost", "AttributeError: module 'kind_module' has no attribute 'lost'"),
        ("NUMBER", "expected a function of the results that returns a text, or bytes"),
        ("failing", "it failed with AttributeError: 'Results' object has no attribute 'nothing'"),
        ("silent", "it returned NoneType, expected a text, or bytes"),
    ],
)
def test_a_broken_view_names_its_distribution(tmp_path, monkeypatch, results, value, why):
    monkeypatch.syspath_prepend(declare(tmp_path, GROUP, "kind", f"kind_module:{value}"))
    with pytest.raises(CoherenceError) as caught:
        write_view("kind", results, tmp_path / "view")
    assert str(caught.value) == f"coherence-kind 0.1 adds 'kind' (kind_module:{value}): {why}"
    assert not (tmp_path / "view").exists()


def test_a_view_that_is_not_there_is_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(CoherenceError, match="no view is named 'knd'; there is none: another"):
        require_views(["knd"])
    monkeypatch.syspath_prepend(declare(tmp_path, GROUP, "kind", "kind_module:report"))
    with pytest.raises(CoherenceError, match="no view is named 'knd'; did you mean 'kind'"):
        require_views(["knd"])
