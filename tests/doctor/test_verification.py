"""Files held against the results of a run: those that were judged, and others."""

import shutil
from dataclasses import replace

import pytest
from judged import judged, mean, run

from coherence.doctor.verification import Verification
from coherence.engine.artefacts import digests
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.errors import CoherenceError
from coherence.plan import Condition, Steer
from coherence.suite import Overrides, load_suite

ASSERTED = "release.commutativity.scale-zero"
VALUES = [0.7, 0.8, 0.9]
GREEN, RED = mean(VALUES), mean(VALUES, at_least=2)


@pytest.fixture
def suite(write, tmp_path, tiny, tiny_adapter, tiny_vector, monkeypatch):
    """A suite whose release is copied, to be tampered with."""
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tiny, tmp_path / "base")
    shutil.copytree(tiny_adapter("pirate"), tmp_path / "pirate")
    shutil.copy(tiny_vector("pirate"), tmp_path / "pirate.safetensors")
    path = write(base="./base", adapter="./pirate", vector="./pirate.safetensors")
    return load_suite(path, Overrides())


def results(suite, *conditions, criterion=GREEN, **given):
    """Results of a run of a suite whose conditions these are; by default all that its release has."""
    every = Condition("", (), (("pirate", 1.0),), (Steer("pirate", 1.0), Steer("made", 1.0)))
    artefacts = Artefacts.of(suite.scene, suite.places).files_in(conditions or [every])
    release = {one.name: one.said for one in artefacts}
    given = {"name": ASSERTED, "suite": suite.path.name, "release": release} | given
    return run(judged(criterion, **given)).model_copy(update={"artefacts": tuple(artefacts)})


@pytest.fixture
def verification(suite):
    return Verification(results(suite))


def said(checks):
    return {check.what: (check.state, check.found) for check in checks}


def bad(checks):
    return {what: found for what, (state, found) in said(checks).items() if state == "fail"}


def test_what_was_judged_is_found_again(suite, verification, tmp_path):
    found = said(verification.of_suite(suite))
    assert {state for state, _ in found.values()} == {"ok"}
    assert list(found) == ["suite", "base", "adapter pirate", "vector pirate", "vector made"]
    assert found["adapter pirate"][1] == f"{tmp_path / 'pirate'}: 2 files, as judged"
    assert list(said(verification.of_run())) == ["base", "adapter pirate", "vector pirate"]
    assert bad(verification.of_run()) == {}


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "artefact"),
    [
        ("base/model.safetensors", "base"),
        ("base/tokenizer.json", "base"),
        ("pirate/adapter_config.json", "adapter pirate"),
        ("pirate/adapter_model.safetensors", "adapter pirate"),
        ("pirate.safetensors", "vector pirate"),
    ],
)
def test_a_flipped_bit_is_found_and_its_file_named(suite, verification, tmp_path, file, artefact):
    flip(tmp_path / file)
    for found in (bad(verification.of_suite(suite)), bad(verification.of_run())):
        assert list(found) == [artefact]
        assert found[artefact].endswith(f"{file.split('/')[-1]} holds something else than was judged")


def test_files_that_came_or_went_are_named(suite, verification, tmp_path):
    (tmp_path / "base" / "added_tokens.json").write_text("{}")
    (tmp_path / "pirate" / "adapter_config.json").unlink()
    found = bad(verification.of_suite(suite))
    assert found["base"].endswith("added_tokens.json was not there")
    assert found["adapter pirate"].endswith("adapter_config.json is missing")


def test_nothing_that_is_remembered_of_a_file_is_believed(suite, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "_SETTLED_NS", -1)
    verification = Verification(results(suite))
    weights = tmp_path / "pirate" / "adapter_model.safetensors"
    right = digests.file_digest(weights)
    flip(weights)
    wrong = digests.file_digest(weights)
    for memo in (tmp_path / "cache" / "digests").iterdir():
        memo.write_text(memo.read_text().replace(wrong, right))
    assert digests.file_digest(weights) == right
    assert list(bad(verification.of_suite(suite))) == ["adapter pirate"]


def test_a_deployment_may_call_and_place_files_as_it_likes(verification, tmp_path):
    adapter = shutil.move(tmp_path / "pirate", tmp_path / "served")
    vector = shutil.move(tmp_path / "pirate.safetensors", tmp_path / "v7.safetensors")
    found = said(verification.of_files({"adapter pirate": str(adapter), "vector pirate": str(vector)}))
    assert found.pop("release") == (
        "warn",
        "was judged with base, vector made, which nothing here names",
    )
    assert {state for state, _ in found.values()} == {"ok"}


def test_another_artefact_of_the_same_name_is_refused(verification, tiny_adapter):
    found = bad(verification.of_files({"adapter pirate": str(tiny_adapter("counsel", seed=5))}))
    assert list(found) == ["adapter pirate"]


def test_of_two_that_were_judged_by_one_name_either_will_do(suite, tmp_path, tiny_adapter):
    other = tiny_adapter("counsel", seed=5)
    second = replace(suite, scene=replace(suite.scene, release=_with(suite, "adapters", pirate=str(other))))
    runs = [results(one) for one in (suite, second)]
    assertions = tuple(result for one in runs for result in one.assertions)
    artefacts = tuple(one for each in runs for one in each.artefacts)
    both = Verification(run(*assertions).model_copy(update={"artefacts": artefacts}))
    for path in (tmp_path / "pirate", other):
        assert bad(both.of_files({"adapter pirate": str(path)})) == {}
    flip(tmp_path / "pirate" / "adapter_model.safetensors")
    assert bad(both.of_files({"adapter pirate": str(tmp_path / "pirate")}))


def _with(suite, kind, **named):
    release = suite.scene.release
    return release.model_copy(update={kind: getattr(release, kind) | named})


def test_a_name_that_the_run_never_heard_is_a_mistake(verification):
    with pytest.raises(
        CoherenceError, match=r"^the run judged no adapter pirat; did you mean 'adapter pirate'\?$"
    ):
        verification.of_files({"adapter pirat": "x"})


def test_what_is_not_here_was_not_judged(verification, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shutil.rmtree(tmp_path / "base")
    assert bad(verification.of_run())["base"] == f"there is no folder {tmp_path / 'base'}"
    found = bad(verification.of_files({"base": "nobody/nothing-at-all"}))
    assert found["base"] == "nobody/nothing-at-all is not on this machine"


def test_an_artefact_that_took_no_part_was_not_judged(suite):
    verification = Verification(results(suite, Condition("", (), (("pirate", 1.0),))))
    assert bad(verification.of_suite(suite)) == {
        "vector pirate": "was not judged",
        "vector made": "was not judged",
    }


def test_an_adapter_that_only_a_vector_is_extracted_under_was_judged(suite, tmp_path):
    written = suite.path.read_text()
    suite.path.write_text(written.replace("site: resid_post.1}", "site: resid_post.1, under: pirate}"))
    suite = load_suite(suite.path, Overrides())
    steered = Condition("", (), (), (Steer("pirate", 1.0), Steer("made", 1.0)))
    verification = Verification(results(suite, steered))
    assert bad(verification.of_suite(suite)) == {}
    flip(tmp_path / "pirate" / "adapter_model.safetensors")
    found = bad(verification.of_suite(suite))
    assert list(found) == ["adapter pirate", "vector made"]


def test_a_vector_is_also_how_it_is_read_and_made(suite, verification):
    written = suite.path.read_text()
    suite.path.write_text(
        written.replace(
            "pirate: ./pirate.safetensors", "pirate: {path: ./pirate.safetensors, site: resid_post.0}"
        ).replace("resid_post.1", "resid_post.2")
    )
    found = bad(verification.of_suite(load_suite(suite.path, Overrides())))
    assert found["vector pirate"].endswith(
        "as judged, but read or deployed otherwise: site, layers, key or use"
    )
    assert found["vector made"] == "is extracted otherwise than was judged"


def test_an_assertion_that_was_not_judged_is_named(suite, verification):
    more = "assertions: [{property: commutativity, laws: [scale-zero, dose-zero]}]\n"
    written = suite.path.read_text()
    suite.path.write_text(written[: written.index("assertions:")] + more)
    found = bad(verification.of_suite(load_suite(suite.path, Overrides())))
    assert found["suite"].endswith("asserts what was not judged: release.commutativity.dose-zero")


def test_only_results_that_are_green_clear_a_release(suite):
    assert Verification(results(suite)).verdicts().state == "ok"
    red = Verification(results(suite, criterion=RED, name="pirate.margin")).verdicts()
    assert (red.state, red.found.endswith("1 not as expected: pirate.margin")) == ("fail", True)
    assert Verification(run()).verdicts().found == "nothing was judged"


def test_an_older_document_clears_nothing():
    (check,) = Verification(run(judged(GREEN))).of_run()
    assert check.state == "fail"
    assert check.found.startswith("the results name no files")
