import pytest
from pydantic import ValidationError

from coherence.vocabulary import Extraction, Position, Release, Site, VectorSource
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
        vectors={"pirate": VectorSource(path="v.pt", site=Site(3, "pre"), layers="hidden_states")},
    )
    assert Release.model_validate_json(release.model_dump_json()) == release


def test_an_extraction_is_read_under_an_adapter_where_it_says_so() -> None:
    written = {"persona": "pirate", "site": "resid_post.2"}
    assert Extraction.model_validate(written).under is None
    assert Extraction.model_validate(written | {"under": "counsel"}).under == "counsel"
