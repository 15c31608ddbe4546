"""The planted faults and healthy variants: each is made, read as a suite, and seen by what is measured."""

import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import gettempdir

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from faults import Trial, planted, row_of, trials  # noqa: E402
from healthy import VARIANTS  # noqa: E402
from lora import Lora  # noqa: E402
from matrix import Matrix, Row, picture, smallest  # noqa: E402
from planted import FAULTS, FEW  # noqa: E402
from planted_space import SPACE_FAULTS  # noqa: E402
from shipped import Shipped  # noqa: E402

from coherence.engine.artefacts.artefacts import Artefacts  # noqa: E402
from coherence.engine.artefacts.keys import key_of  # noqa: E402
from coherence.plan import LawSearch  # noqa: E402
from coherence.properties.installed import BUILT_IN  # noqa: E402
from coherence.store import Store  # noqa: E402

PIRATE, COUNSEL = (Lora.read(ROOT / "fixtures" / "adapters" / name) for name in ("pirate", "counsel"))
MODULE = next(iter(PIRATE.factors))
EVERY = (*FAULTS, *SPACE_FAULTS)
LEAST = [next(planted(fault, seed=0)) for fault in EVERY if fault.seconds <= FEW]
UNTRAINED = [
    variant for variant in VARIANTS if "trained" not in variant.name and "shards" not in variant.name
]


def keys_of(shipped):
    """Identities of all that the suites measure, apart from laws."""
    return {
        str(key_of(measurement, artefacts))
        for suite in shipped.load()
        for artefacts in [Artefacts.of(suite.scene)]
        for assertion in suite.assertions
        for measurement in assertion.case.measurements()
        if not isinstance(measurement, LawSearch)
    }


def ids_of(shipped):
    return {assertion.id for suite in shipped.load() for assertion in suite.assertions}


@pytest.fixture(scope="module")
def shipped_ids(reference, tmp_path_factory):
    return ids_of(Shipped.good(tmp_path_factory.mktemp("shipped"), 0))


@pytest.fixture(scope="module")
def good(reference, tmp_path_factory):
    """What is measured of the good release, by the suites that judge it."""
    return cache(lambda suites: keys_of(Shipped.good(tmp_path_factory.mktemp("good"), 0, suites)))


def test_there_are_enough_faults_and_variants():
    assert len([trial for fault in EVERY for trial in planted(fault, 0)]) >= 30
    assert len(VARIANTS) >= 30
    assert len({fault.name for fault in EVERY}) == len(EVERY)
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize("trial", LEAST, ids=lambda trial: f"{trial.name} {trial.size}")
def test_the_least_size_of_a_fault_changes_what_is_measured(trial, good, tmp_path):
    shipped = Shipped.good(tmp_path, 0, trial.suites)
    trial.change(shipped)
    assert keys_of(shipped) - good(trial.suites)


@pytest.mark.parametrize("variant", UNTRAINED, ids=lambda variant: variant.name)
def test_a_variant_makes_no_assertion_of_its_own(variant, shipped_ids, tmp_path):
    shipped = Shipped.good(tmp_path, 0)
    variant.change(shipped)
    found = ids_of(shipped)
    assert found
    assert found <= shipped_ids


def test_every_trial_has_an_identity_of_its_own():
    class Everything:
        quick, only, seed, runs = False, None, 0, 100

    found = trials(Everything)
    assert len({trial.digest for trial in found}) == len(found)
    assert sum(trial.kind == "healthy" for trial in found) == 100


@given(st.floats(0, 1))
def test_a_mixture_of_adapters_has_the_mixed_effect(share):
    mixed = PIRATE.mixed(COUNSEL, share).effect(MODULE)
    expected = (1 - share) * PIRATE.effect(MODULE) + share * COUNSEL.effect(MODULE)
    torch.testing.assert_close(mixed, expected, atol=1e-6, rtol=1e-4)


@given(st.floats(-2, 2))
def test_a_scaled_adapter_has_the_scaled_effect(by):
    torch.testing.assert_close(PIRATE.scaled(by).effect(MODULE), by * PIRATE.effect(MODULE))


@pytest.mark.parametrize("rank", [1, 4, 6])
def test_a_cut_adapter_has_that_rank_and_full_rank_changes_nothing(rank):
    cut = PIRATE.of_rank(rank).effect(MODULE)
    strengths = torch.linalg.svdvals(cut)
    assert int((strengths > 1e-4 * strengths[0]).sum()) == rank
    if rank == 6:
        torch.testing.assert_close(cut, PIRATE.effect(MODULE), atol=1e-5, rtol=1e-3)


def test_more_bits_are_nearer_the_adapter():
    errors = [
        float((PIRATE.quantised(bits).effect(MODULE) - PIRATE.effect(MODULE)).norm()) for bits in (8, 4, 2)
    ]
    assert errors == sorted(errors)
    assert all(len(row.unique()) <= 3 for row in PIRATE.quantised(2).factors[MODULE][0])


def test_an_adapter_is_read_as_it_was_written(tmp_path):
    PIRATE.write(tmp_path / "pirate")
    read = Lora.read(tmp_path / "pirate")
    assert read.config == PIRATE.config
    assert all(torch.equal(a, read.factors[name][0]) for name, (a, _) in PIRATE.factors.items())


def row(size, red):
    return Row("digest", "fault", "steering <too> weak", "pirate", size, red, "", 28, 1.0, "0123abc")


def test_the_smallest_size_is_the_one_from_which_on_all_are_caught():
    caught = {"markers": ["pirate.markers.prompt-adapter"]}
    assert smallest([row("a", caught), row("b", {}), row("c", caught), row("d", caught)]) == "c"
    assert smallest([row("a", caught), row("b", {})]) == "not caught"


def test_the_picture_has_a_cell_for_each_size_and_a_stripe_for_each_family():
    rows = [row("x 0.5", {}), row("x 0.1", {"markers": ["one"], "collinearity": ["two"]})]
    drawn = ET.fromstring(picture(Matrix({}, rows)))
    titles = [title.text for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [
        "steering <too> weak, x 0.5: missed",
        *["steering <too> weak, x 0.1: markers 1, collinearity 1"] * 2,
    ]


def test_a_release_that_cannot_be_read_is_refused(reference, tmp_path):
    def lose_an_adapter(shipped):
        del shipped.company["release"]["adapters"]["pirate-counsel"]

    trial = Trial("fault", "no chimera", "", 0, lose_an_adapter, FEW)
    found = row_of(trial, Store(tmp_path), frozenset())
    assert found.outcome == "caught"
    assert found.by == "refused 1"
    assert "pirate-counsel" in found.said
    assert gettempdir() not in found.said


def test_every_property_of_persona_space_has_a_fault_of_its_suite():
    suites = {name for fault in SPACE_FAULTS for name in fault.suites}
    asserted = {
        one["property"]
        for name in suites
        for one in yaml.safe_load((ROOT / "suites" / f"{name}.coherence.yaml").read_text())["assertions"]
    }
    of_the_family = {kind.word() for kind in BUILT_IN if kind.family == "space"}
    assert of_the_family <= asserted


def test_a_release_that_is_judged_again_has_one_row(tmp_path):
    before, again = row("x 0.5", {}), replace(row("x 0.5", {"markers": ["one"]}), commit="4567def")
    matrix = Matrix({}, [before, row("x 0.1", {})])
    matrix.put(again)
    matrix.put(row("x 0.2", {}))
    assert [one.size for one in matrix.rows] == ["x 0.5", "x 0.1", "x 0.2"]
    assert matrix.rows[0] == again
    assert matrix.commits == {"4567def": 1, "0123abc": 2}


def test_rows_survive_the_document(tmp_path):
    matrix = Matrix({"seed": "0"}, [row("x 0.5", {"markers": ["one"]})])
    matrix.write(tmp_path / "faults.json")
    assert Matrix.read(tmp_path / "faults.json", {"seed": "0"}) == matrix
