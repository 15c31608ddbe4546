import json

import pytest

from coherence.results import Results

CURVE = {
    "axis": "turn",
    "at": ["1", "2"],
    "columns": {
        "position": [1.0, 0.9],
        "low": [0.9, None],
        "high": [1.1, 1.0],
        "bare": [0.0, 0.1],
        "region from": [0.5, 0.5],
        "region to": [1.5, 1.5],
    },
}
PLANE = {
    "axis": "plane",
    "at": ["pirate 1", "both"],
    "columns": {
        "pirate at release": [1.0, 0.5],
        "counsel at release": [0.0, 0.5],
        "pirate at the end": [0.2, None],
        "counsel at the end": [0.1, 0.4],
    },
}


def read(tmp_path, curve, name="pirate.collinearity.prompt-adapter+steering", number=4):
    """A document of an older format with one assertion, as it is read now."""
    estimate = {"name": "cosine", "value": 0.9, "low": 0.8, "high": 1.0, "n": 24}
    evidence = {"criteria": [{"estimate": estimate, "at_least": 0.5}], "curve": curve}
    assertion = {
        **{"id": name, "persona": "pirate", "family": "collinearity", "suite": "a.coherence.yaml", "line": 3},
        **{"verdict": "pass", "raw_verdict": "pass", "sentence": "passes", "evidence": evidence},
    }
    document = {"format": number, "started": "now", "seconds": 1, "seed": 0, "versions": {}}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**document, "assertions": [assertion]}))
    (result,) = Results.read(path).assertions
    return result


def test_an_id_gives_the_property_the_slug_and_the_regimes(tmp_path):
    result = read(tmp_path, None)
    assert (result.property, result.slug) == ("collinearity", "prompt-adapter+steering")
    assert [str(regime) for regime in result.regimes] == ["prompt", "adapter+steering"]


@pytest.mark.parametrize("name", ["all.commutativity.scale-zero", "a+b.chimera.adapter-vs-sum", "x.dose.1.5"])
def test_a_slug_that_names_no_regimes_has_none(tmp_path, name):
    assert read(tmp_path, None, name).regimes == ()


def test_low_and_high_are_the_interval_of_what_is_before_them_and_a_region_is_a_zone(tmp_path):
    curve = read(tmp_path, CURVE, number=3).evidence.curve
    assert (curve.over.title, curve.over.diagonal, curve.at) == ("turn", None, ("1", "2"))
    assert list(curve.series) == ["position", "bare"]
    assert curve.series["position"].low == (0.9, None)
    assert curve.series["bare"].high is None
    assert (curve.zone.low, curve.zone.high) == ((0.5, 0.5), (1.5, 1.5))


def test_a_diagonal_comes_with_its_axis(tmp_path):
    curve = {"axis": "weight", "at": ["0"], "columns": {"m": [0.0]}}
    assert read(tmp_path, curve).evidence.curve.over.diagonal == "a linear response"


def test_a_plane_becomes_arrows(tmp_path):
    evidence = read(tmp_path, PLANE, number=2).evidence
    assert evidence.curve is None
    assert (evidence.arrows.x, evidence.arrows.y) == ("pirate", "counsel")
    assert evidence.arrows.start == {"pirate 1": (1.0, 0.0), "both": (0.5, 0.5)}
    assert evidence.arrows.end == {"pirate 1": (0.2, 0.1), "both": (None, 0.4)}
