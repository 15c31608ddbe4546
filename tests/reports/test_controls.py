import pytest

from coherence.reports.controls import controls
from coherence.vocabulary import Control


def test_every_claim_has_its_controls_below_its_name(controlled):
    rows = [" ".join(line.split()) for line in controls(controlled, 100).splitlines()[2:6]]
    assert rows == [
        "pirate",
        "collinearity.prompt-adapter",
        "cosine 0.81 [0.75, 0.87] >= 0.5 pass",
        "counsel by adapter 0.10 [0.05, 0.15] >= 0.5 fail",
    ]


def test_a_statistic_of_another_name_is_named(controlled):
    (result,) = controlled.assertions
    keyed = [one.model_copy(update={"key": "min_cosine"}) for one in result.evidence.criteria]
    control = Control(name="counsel by adapter", criterion=keyed[1])
    evidence = result.evidence.model_copy(update={"criteria": tuple(keyed[:1]), "controls": (control,)})
    changed = result.model_copy(update={"evidence": evidence})
    shown = controls(controlled.model_copy(update={"assertions": (changed,)}), 100)
    assert "counsel by adapter, margin over foreign" in shown


def test_a_run_without_controls_shows_nothing(results):
    assert controls(results, 100) == ""


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_it_fits(controlled, width, ascii_only):
    long = controlled.assertions[0].model_copy(update={"id": f"pirate.{'very-long-' * 12}"})
    shown = controls(controlled.model_copy(update={"assertions": (long,)}), width, ascii_only=ascii_only)
    assert max(map(len, shown.splitlines())) <= width
    assert shown.isascii() or not ascii_only
    assert "error" in shown
