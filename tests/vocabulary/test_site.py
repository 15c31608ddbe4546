import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from coherence.vocabulary import Band, Site

sites = st.builds(Site, st.integers(0, 99), st.sampled_from(["pre", "post"]))


@given(site=sites)
def test_a_site_is_read_as_it_is_written(site: Site) -> None:
    assert Site.parse(str(site)) == Site.parse(site) == site


@given(block=st.integers(0, 99))
def test_a_depth_is_a_row_of_the_stack_of_residuals(block: int) -> None:
    assert Site.parse(f"resid_pre.{block}").depth == block
    assert Site.parse(f"resid_post.{block}").depth == block + 1


@given(depth=st.integers(0, 99))
def test_every_row_of_the_stack_has_one_name(depth: int) -> None:
    site = Site.at_depth(depth)
    assert site.depth == depth
    assert str(site) == (f"resid_post.{depth - 1}" if depth else "resid_pre.0")


@pytest.mark.parametrize(
    "text", ["14", "resid_mid.3", "resid_post.-1", "resid_post", "resid_post.1.5", " resid_pre.0", 14, None]
)
def test_a_bare_layer_number_is_no_site(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a site; expected resid_pre.N or resid_post.N, such as"):
        Site.parse(text)


def test_a_band_holds_both_ends() -> None:
    band = Band.parse("resid_post.14..16")
    assert band.sites == tuple(Site(block, "post") for block in (14, 15, 16))
    assert band.depths == [15, 16, 17]
    assert Band.parse("resid_pre.3").depths == [3]


@pytest.mark.parametrize("text", ["resid_post.14..22", "resid_pre.3", "resid_pre.0..1"])
def test_a_band_is_read_as_it_is_written(text: str) -> None:
    assert str(Band.parse(text)) == text
    assert Band.parse(Band.parse(text)) == Band.parse(text)


def test_a_band_of_one_site_is_written_as_the_site() -> None:
    assert str(Band.parse("resid_post.3..3")) == "resid_post.3"


def test_a_band_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match=r"'resid_pre.9..3' runs backwards; expected the lower block first"):
        Band.parse("resid_pre.9..3")


@pytest.mark.parametrize("text", ["resid_post.1..", "1..3", "resid_post.1..resid_post.3"])
def test_what_is_no_band(text: str) -> None:
    with pytest.raises(ValueError, match="is not a band of sites"):
        Band.parse(text)


@pytest.mark.parametrize(("kind", "text"), [(Site, "resid_post.3"), (Band, "resid_pre.1..4")])
def test_json_spells_them_and_the_schema_says_how(kind: type[Site] | type[Band], text: str) -> None:
    adapter: TypeAdapter[Site | Band] = TypeAdapter(kind)
    assert adapter.dump_json(adapter.validate_python(text)) == f'"{text}"'.encode()
    assert adapter.json_schema() == {
        "type": "string",
        "pattern": f"^({kind.pattern})$",
        "examples": [kind.example],
    }
