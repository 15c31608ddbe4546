import pytest

from coherence.suite.paths import artefact


@pytest.mark.parametrize(
    "text",
    [
        "./lora",
        "../lora",
        "vectors/a.safetensors",
        "a.pt",
        "a.npz",
        "a.npy",
        "a.gguf",
        "/elsewhere/lora",
        "lora/here",
    ],
)
def test_a_path_becomes_absolute(tmp_path, text):
    (tmp_path / "lora" / "here").mkdir(parents=True)
    assert artefact(tmp_path / "suite.yaml", text) == str((tmp_path / text).resolve())


@pytest.mark.parametrize("text", ["org/model", "model", "reference"])
def test_a_hub_id_stays_as_it_is(tmp_path, text):
    (tmp_path / "reference").mkdir()
    assert artefact(tmp_path / "suite.yaml", text) == text


def test_a_link_keeps_its_name(tmp_path):
    (tmp_path / "0123abcd").touch()
    (tmp_path / "pirate.gguf").symlink_to(tmp_path / "0123abcd")
    assert artefact(tmp_path / "suite.yaml", "pirate.gguf") == str(tmp_path / "pirate.gguf")
