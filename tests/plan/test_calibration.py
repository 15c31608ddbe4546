from coherence.plan import CALIBRATION


def test_calibration_asks_twenty_different_questions() -> None:
    assert len({probe.text for probe in CALIBRATION}) == len({probe.id for probe in CALIBRATION}) == 20
