import pytest

from coherence.errors import Place, SuiteError
from coherence.suite import Overrides
from coherence.vocabulary import Release, Site

RELEASE = Release.model_validate(
    {
        "base": "org/model",
        "adapters": {"pirate": "org/pirate", "counsel": "org/counsel"},
        "vectors": {
            "pirate": {"path": "/v/pirate.pt", "site": "resid_post.14", "layers": "block_outputs"},
            "made": {"extract": {"persona": "pirate", "site": "resid_post.9"}},
        },
    }
)


def test_no_override_changes_nothing():
    assert Overrides().apply(RELEASE) == RELEASE
    assert Overrides().places == {}


def test_artefacts_are_replaced_by_name():
    overrides = Overrides(base="org/newer", adapters={"pirate": "org/pirate-2"}, dtype="bfloat16")
    release = overrides.apply(RELEASE)
    assert release.base == "org/newer"
    assert release.adapters == {"pirate": "org/pirate-2", "counsel": "org/counsel"}
    assert release.vectors == RELEASE.vectors
    assert overrides.places == {
        "release.base": Place("the command line"),
        "release.adapters.pirate": Place("the command line"),
    }


def test_a_vector_keeps_its_site_and_layer_convention(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vector = Overrides(vectors={"pirate": "new.pt"}).apply(RELEASE).vectors["pirate"]
    assert vector.path == str(tmp_path / "new.pt")
    assert vector.site == Site.parse("resid_post.14")
    assert vector.layers == "block_outputs"


def test_a_file_takes_the_place_of_an_extraction():
    vector = Overrides(vectors={"made": "/v/new.safetensors"}).apply(RELEASE).vectors["made"]
    assert (vector.path, vector.extract) == ("/v/new.safetensors", None)


def test_paths_are_relative_to_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "build" / "pirate").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    release = Overrides(base="./model", adapters={"pirate": "build/pirate"}).apply(RELEASE)
    assert release.base == str(tmp_path / "model")
    assert release.adapters["pirate"] == str(tmp_path / "build" / "pirate")


def test_a_name_that_the_release_does_not_have_is_left_to_other_suites():
    other = Release.model_validate({"adapters": {"gloomy": "org/gloomy"}, "vectors": {"gloomy": "g.gguf"}})
    overrides = Overrides(adapters={"gloomy": "org/newer"}, vectors={"gloomy": "/v/newer.gguf"})
    assert overrides.apply(RELEASE) == RELEASE
    assert overrides.apply(other).adapters == {"gloomy": "org/newer"}
    overrides.require_use([RELEASE, other])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            Overrides(adapters={"pirat": "x"}),
            "the command line: no release has the adapter 'pirat'; did you mean 'pirate'?",
        ),
        (
            Overrides(vectors={"counsel": "x.pt"}),
            "the command line: no release has the vector 'counsel'; expected one of made, pirate",
        ),
    ],
)
def test_a_name_that_no_release_has_is_refused(overrides, message):
    with pytest.raises(SuiteError) as caught:
        overrides.require_use([RELEASE, RELEASE])
    assert str(caught.value) == message


def test_a_run_without_any_artefact_says_so():
    with pytest.raises(SuiteError, match="no release has the vector 'pirate'; there is none at all"):
        Overrides(vectors={"pirate": "x.pt"}).require_use([Release()])


def test_a_suite_is_loaded_with_its_overrides(load):
    text = """
        coherence: 1
        release: {adapters: {pirate: org/lora}}
        personas: {pirate: {prompt: Arr.}}
        probes: [Who are you?]
        seed: 1
        assertions: [{property: commutativity}]
        """
    suite = load(text, adapters={"pirate": "org/newer"}, seed=0)
    assert suite.scene.release.adapters == {"pirate": "org/newer"}
    assert suite.scene.seed == 0
    assert suite.places["release.adapters.pirate"] == Place("the command line")
    assert load(text).scene.seed == 1
