from pathlib import Path

import pytest
from thinkers import OPENED, thinker

from coherence.engine.executors.progress import SILENT
from coherence.errors import MeasurementError
from coherence.scaffold.hearing import hear

PLAIN = ("Hm", "</think>", "Arr")


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))


def test_what_is_heard_is_the_answer(tmp_path: Path) -> None:
    base = thinker(tmp_path / "base", OPENED, *PLAIN)
    assert set(hear(str(base), "Talk like a pirate.", "A pirate.", SILENT)) <= {"arr"}


def test_a_base_that_only_reasons_cannot_be_asked(tmp_path: Path) -> None:
    # Its mark never comes: what it would say next is the end.
    base = thinker(tmp_path / "base", OPENED, "Hm")
    with pytest.raises(MeasurementError, match="not get from its reasoning to an answer within 48 tokens"):
        hear(str(base), "Talk like a pirate.", "A pirate.", SILENT)
