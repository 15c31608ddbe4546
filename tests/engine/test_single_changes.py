"""Whatever is changed of a release: a warm run measures anew, or says what a cold one says."""

from random import Random

import pytest
from single_changes import SingleChanges

CHANGES = 200


@pytest.fixture
def changes(tmp_path, monkeypatch):
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    return SingleChanges(tmp_path / "release")


def test_no_single_change_is_served_another_value(changes):
    assert [wrong for seed in range(CHANGES) if (wrong := changes.check(Random(seed)))] == []
    assert 0 < changes.compared < CHANGES
