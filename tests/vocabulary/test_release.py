import pytest
from pydantic import ValidationError

from coherence.vocabulary import Band, Extraction, Operation, Position, Release, Site, Tokens, VectorSource
from coherence.vocabulary.release import REFERENCE


def test_a_release_is_the_reference_model_unless_it_says_more() -> None:
    assert Release() == Release(base=REFERENCE, dtype="float32", adapters={}, vectors={})


def test_a_vector_is_a_path_or_an_extraction() -> None:
    release = Release.model_validate(
        {"vectors": {"one": "v.gguf", "two": {"extract": {"persona": "pirate", "site": "resid_post.2"}}}}
    )
    extraction = Extraction(persona="pirate", site=Site(2, "post"), position=Position.RESPONSE_MEAN)
    assert release.vectors == {"one": VectorSource(path="v.gguf"), "two": VectorSource(extract=extraction)}


@pytest.mark.parametrize(
    "written", [{}, {"path": "v.gguf", "extract": {"persona": "pirate", "site": "resid_post.2"}}]
)
def test_it_is_never_both_and_never_neither(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="either a path or an extract, and not both"):
        VectorSource.model_validate(written)


@pytest.mark.parametrize("more", [{"key": "pirate"}, {"site": "resid_post.1"}, {"layers": "hidden_states"}])
def test_an_extraction_takes_nothing_that_is_of_a_file(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="an extract has a `site` of its own"):
        VectorSource.model_validate({"extract": {"persona": "pirate", "site": "resid_post.2"}} | more)


@pytest.mark.parametrize(("written", "key"), [(14, "14"), ("pirate/14", "pirate/14"), (None, None)])
def test_a_key_may_be_a_number(written: object, key: str | None) -> None:
    assert VectorSource.model_validate({"path": "v.pt", "key": written}).key == key


@pytest.mark.parametrize("name", ["a.b", "", "a b", "ärr"])
def test_names_are_short_ascii(name: str) -> None:
    with pytest.raises(ValidationError, match="String should match pattern"):
        Release(adapters={name: "folder"})


def test_a_release_survives_json() -> None:
    release = Release(
        base="org/model",
        dtype="bfloat16",
        adapters={"pirate": "a"},
        vectors={
            "pirate": VectorSource(path="v.pt", site=Site(3, "pre"), layers="hidden_states"),
            "lawyer": VectorSource(path="v.gguf", sites="all", unit="raw"),
            "sailor": VectorSource(
                path="v.gguf", sites=(Band.parse("resid_post.1..3"),), tokens=Tokens.REPLY
            ),
        },
    )
    assert Release.model_validate_json(release.model_dump_json()) == release


def test_an_extraction_is_read_under_an_adapter_where_it_says_so() -> None:
    written = {"persona": "pirate", "site": "resid_post.2"}
    assert Extraction.model_validate(written).under is None
    assert Extraction.model_validate(written | {"under": "counsel"}).under == "counsel"


BANDS = (Band.parse("resid_post.1"), Band.parse("resid_post.3..4"))


@pytest.mark.parametrize(
    ("written", "sites"),
    [
        ("all", "all"),
        ("resid_post.1", BANDS[:1]),
        ("resid_post.3..4", BANDS[1:]),
        (["resid_post.1", "resid_post.3..4"], BANDS),
    ],
)
def test_sites_are_all_or_bands(written: object, sites: object) -> None:
    assert VectorSource.model_validate({"path": "v.gguf", "sites": written}).sites == sites


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"sites": "al"}, "'al' is not a band of sites; expected .* for several, or `all`"),
        ({"sites": ["all", "resid_post.1"]}, "'all' is not a band of sites"),
        ({"sites": []}, "found no site; expected a band such as"),
        ({"sites": "all", "site": "resid_post.1"}, "`site` and `sites` both say where it acts"),
        ({"operation": "ablate", "unit": "raw"}, "`operation: ablate` adds nothing"),
    ],
)
def test_a_deployment_that_makes_no_sense_is_a_sentence(more: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence) as caught:
        VectorSource.model_validate({"path": "v.gguf", **more})
    assert caught.value.error_count() == 1


def test_what_is_usual_is_not_said_of_a_deployment() -> None:
    usual = {"tokens": "all", "operation": "add", "unit": "norm", "sites": None}
    assert VectorSource.model_validate({"path": "v.gguf", "site": "resid_post.1", **usual}).deployed == {}
    other = VectorSource(
        path="v.gguf", sites=BANDS, tokens=Tokens.REPLY, operation=Operation.CLAMP, unit="raw"
    )
    assert other.deployed == {
        "sites": "resid_post.1,resid_post.3..4",
        "tokens": "reply",
        "operation": "clamp",
        "unit": "raw",
    }


@pytest.mark.parametrize(
    ("more", "dose"),
    [({}, 0.5), ({"operation": "clamp"}, 0.5), ({"operation": "ablate"}, 1), ({"unit": "raw"}, 1)],
)
def test_the_usual_dose_is_all_of_what_has_a_whole(more: dict[str, object], dose: float) -> None:
    assert VectorSource.model_validate({"path": "v.gguf", **more}).usual_dose == dose


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "an extract is of a `persona` or of an `adapter`, and not of both"),
        ({"persona": "pirate", "adapter": "pirate"}, "and not of both"),
        ({"adapter": "pirate", "against": "counsel"}, "`against` and `under` go with a persona"),
        ({"adapter": "pirate", "under": "counsel"}, "`against` and `under` go with a persona"),
    ],
)
def test_an_extraction_has_one_positive_side(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Extraction.model_validate({"site": "resid_post.2", **fields})
