"""Properties that other distributions add: which are used, and what is said of the others."""

import pytest
from declared import declare

from coherence.properties.installed import BUILT_IN, GROUP, added

ORIGIN = "coherence-kind 0.1 adds"


def test_nothing_is_added_here():
    assert added.__wrapped__() == added()
    assert (added().properties, added().families, dict(added().problems)) == ((), [], {})
    assert len({one.__name__ for one in BUILT_IN}) == len(BUILT_IN) > 1


def test_what_is_declared_is_added(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(declare(tmp_path, GROUP, "kind", "kind_module:Kind"))
    found = added.__wrapped__()
    assert [one.__name__ for one in found.properties] == ["Kind"]
    assert found.families == ["kindness"]
    assert dict(found.problems) == {}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("kind", "no_module:Kind", "ModuleNotFoundError: No module named 'no_module'"),
        ("kind", "kind_module:Kin", "AttributeError: module 'kind_module' has no attribute 'Kin'"),
        ("kind", "kind_module:NUMBER", "expected a subclass of coherence.properties.Property with `cases`"),
        ("kind", "kind_module:Abstract", "expected a subclass of coherence.properties.Property with `cases`"),
        (
            "kind",
            "kind_module:Nameless",
            "expected the key `property: Literal['kind']`, as the entry point is called",
        ),
        ("kind", "kind_module:Homeless", "expected a `family`, a word that pytest can select by"),
        ("markers", "kind_module:Markers", "a property of this name is there already"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_reason(tmp_path, monkeypatch, name, value, why):
    monkeypatch.syspath_prepend(declare(tmp_path, GROUP, name, value))
    found = added.__wrapped__()
    assert found.properties == ()
    assert str(found.problems[name]).startswith(f"{ORIGIN} {name!r} ({value}): {why}")


def test_of_two_of_one_name_none_is_used(tmp_path, monkeypatch):
    for distribution in ("coherence-kind", "coherence-kinder"):
        folder = declare(tmp_path / distribution, GROUP, "kind", "kind_module:Kind", distribution)
        monkeypatch.syspath_prepend(folder)
    found = added.__wrapped__()
    assert found.properties == ()
    assert "coherence-kind 0.1" in str(found.problems["kind"])
    assert "coherence-kinder 0.1" in str(found.problems["kind"])
