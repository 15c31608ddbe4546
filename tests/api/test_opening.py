"""Opening: files and scenes, with other artefacts in the place of theirs."""

import pytest

import coherence
from coherence import open_suite
from coherence.errors import SuiteError


def test_a_file_need_not_assert_anything(suite):
    assert list(suite.scene.personas) == ["pirate", "counsel", "oncall", "mute"]


def test_a_scene_is_a_suite(suite, store):
    again = open_suite(suite.scene, store=store, seed=4)
    assert again.scene.seed == 4
    assert again.scene.probes == suite.scene.probes
    assert again.replies("pirate", "prompt") == suite.replies("pirate", "prompt")


@pytest.mark.parametrize("scene", [False, True])
def test_artefacts_are_replaced_by_name(cast, store, tiny_adapter, scene):
    newer = tiny_adapter("newer", seed=9)
    source = open_suite(cast).scene if scene else cast
    with (
        open_suite(cast, store=store) as old,
        open_suite(source, store=store, adapters={"pirate": newer}) as new,
    ):
        assert new.scene.release.adapters["pirate"] == str(newer)
        assert (
            new.residuals("pirate", "adapter", "resid_post.2")
            != old.residuals("pirate", "adapter", "resid_post.2")
        ).any()
        assert (
            new.residuals("counsel", "adapter", "resid_post.2")
            == old.residuals("counsel", "adapter", "resid_post.2")
        ).all()


def test_a_name_that_no_artefact_has_is_refused(cast):
    with pytest.raises(SuiteError) as caught:
        open_suite(cast, adapters={"pirat": "x"})
    assert str(caught.value) == "no release has the adapter 'pirat'; did you mean 'pirate'?"


def test_a_broken_file_says_where(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("coherence: 1\nprbes: []\n")
    with pytest.raises(SuiteError, match=r"a\.yaml:2: unknown key 'prbes'; did you mean 'probes'"):
        open_suite(path)


def test_the_package_names_what_it_offers():
    assert {getattr(coherence, name).__name__ for name in coherence.__all__} == set(coherence.__all__)
    with pytest.raises(AttributeError, match="no attribute 'open_suit'"):
        _ = coherence.open_suit
