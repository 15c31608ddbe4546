"""The questions of `coherence init`, with answers that were typed."""

from pathlib import Path

import pytest

from coherence.scaffold.interview import Interview, Readers, adapters_in, interview, vectors_in


def read(kind, text):
    if text == "./lost":
        raise ValueError(f"there is no {kind} ./lost")
    return text


def name(text):
    if " " in text:
        raise ValueError("expected one word")
    return text


def asked(folder, *answers):
    """What comes of answers, and everything that was shown."""
    shown, left = [], list(answers)

    def ask(question):
        shown.append(question)
        return left.pop(0)

    found = interview(ask, shown.append, Readers(name, str, read), folder)
    assert not left
    return found, shown


def test_a_prompt_is_enough(tmp_path):
    found, shown = asked(tmp_path, "1", "", "pirate", "A pirate.", "")
    assert found == Interview("pirate", "A pirate.", None, "reference", None, None)
    assert "base: hub id, folder, or 'reference' [reference]: " in shown


def test_the_usual_is_a_prompt_alone(tmp_path):
    assert asked(tmp_path, "", "org/base", "pirate", "A pirate.", "Talk so.")[0] == Interview(
        "pirate", "A pirate.", "Talk so.", "org/base", None, None
    )


@pytest.mark.parametrize(
    ("kind", "file", "proposed"),
    [
        ("2", "adapters/pirate/adapter_config.json", "./adapters/pirate"),
        ("2", "adapter_config.json", "./."),
        ("3", "vectors/pirate.gguf", "./vectors/pirate.gguf"),
    ],
)
def test_an_artefact_that_lies_there_is_proposed(tmp_path, kind, file, proposed):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    found, _ = asked(tmp_path, kind, "", "", "pirate", "A pirate.", "")
    assert (found.adapter, found.vector) == ((proposed, None) if kind == "2" else (None, proposed))


def test_what_is_no_answer_is_asked_for_again(tmp_path):
    found, shown = asked(
        tmp_path, "4", "2", "./lost", "base", "", "./lost", "./here", "a b", "", "ab", "", "Who.", ""
    )
    assert found == Interview("ab", "Who.", None, "base", "./here", None)
    assert [said for said in shown if said[0] != "W" and not said.endswith(": ")] == [
        "expected 1, 2 or 3",
        "there is no base ./lost",
        "there is no adapter ./lost",
        "expected one word",
    ]


def test_weights_of_models_and_adapters_are_no_vectors(tmp_path):
    for file in (
        "base/config.json",
        "base/model.safetensors",
        "a/adapter_model.safetensors",
        "v.pt",
        "b.txt",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert list(vectors_in(tmp_path)) == ["./v.pt"]
    assert list(adapters_in(Path(tmp_path / "lost"))) == []
