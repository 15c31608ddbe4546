from pathlib import Path

from coherence.plan import CALIBRATION

MANUAL = Path(__file__).parents[2] / "docs" / "suites.md"


def test_calibration_asks_twenty_different_questions() -> None:
    assert len({probe.text for probe in CALIBRATION}) == len({probe.id for probe in CALIBRATION}) == 20


def test_the_manual_lists_them() -> None:
    quoted = [line[2:] for line in MANUAL.read_text(encoding="utf-8").splitlines() if line.startswith("> ")]
    assert " ".join(quoted) == " ".join(probe.text for probe in CALIBRATION)
