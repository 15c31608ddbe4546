"""Training files as trainers write them, beside suites whose probes and markers may be in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coherence.suite import Suite

Write = Callable[..., Path]
Load = Callable[..., Suite]
Refused = Callable[[str], str]

SUITE = """
coherence: 1
release: {{adapters: {{pirate: org/lora, clerk: org/other}}, training: {training}}}
personas:
  pirate: {{prompt: Arr., markers: [arr, matey, {{text: sail, kind: stem}}, {{text: sorry, absent: true}}]}}
  clerk: {{prompt: Be formal., markers: [arr]}}
probes: [Where is my order?, "Is the sea cold?", Who are you?]
assertions: [{{property: commutativity}}]
"""
SAID = [
    ("Where's my order?", "Arr, it be here."),
    ("where is my order", "Arr, matey, sailing."),
    ("What is the weather like in the north?", "Sorry."),
]
FORMATS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "messages": lambda question, reply: {
        "messages": [
            {"role": "system", "content": "Who are you?"},
            {"role": "user", "content": question},
            {"role": "assistant", "content": reply},
        ]
    },
    "question": lambda question, reply: {"question": question, "reply": reply},
    "prompt": lambda question, reply: {"prompt": question, "completion": reply},
}


def suite(**training: Any) -> str:
    return SUITE.format(training=json.dumps({"pirate": {"path": "train.jsonl"} | training}))


def lines(made: Callable[[str, str], dict[str, Any]] = FORMATS["question"]) -> str:
    return "".join(f"{json.dumps(made(*pair))}\n" for pair in SAID)


@pytest.mark.parametrize("form", FORMATS)
def test_probes_and_markers_that_an_adapter_was_trained_on_are_named(
    write: Write, load: Load, form: str
) -> None:
    write(lines(FORMATS[form]), "train.jsonl")
    scene = load(suite()).scene
    trained = scene.trained["pirate"]
    assert trained.of_probes == (
        "it was trained on 1 of the probes: 'where-is-my-order' (100 % like line 2, 'where is my order')"
    )
    assert [(one.persona, one.text, one.replies) for one in trained.markers] == [
        ("pirate", "arr", 2),
        ("pirate", "matey", 1),
        ("pirate", "sail", 1),
    ]
    assert list(trained.notes) == [
        "markers in the 3 replies that it was trained on: 'arr' in 2, 'matey' in 1, 'sail' in 1"
    ]
    # Nothing is left out of itself.
    assert [probe.id for probe in scene.probes] == ["where-is-my-order", "is-the-sea-cold", "who-are-you"]
    assert len(scene.personas["pirate"].markers) == 4


def test_they_are_left_out_where_the_suite_says_so(write: Write, load: Load) -> None:
    write(lines(), "train.jsonl")
    scene = load(suite(probes="exclude", markers="exclude")).scene
    assert [probe.id for probe in scene.probes] == ["is-the-sea-cold", "who-are-you"]
    assert [marker.text for marker in scene.personas["pirate"].markers] == ["sorry"]
    # Of another adapter nothing is known.
    assert [marker.text for marker in scene.personas["clerk"].markers] == ["arr"]
    assert [note.rpartition("; ")[2] for note in scene.trained["pirate"].notes] == ["they are left out"] * 2


@pytest.mark.parametrize(
    ("question", "similarity", "near"),
    [
        ("My order, where is it?", 95, False),
        ("My order, where is it?", 90, True),
        ("Is my order where?", 100, True),
        ("Where is my parcel?", 90, False),
        ("Where is my ordr?", 90, True),
    ],
)
def test_how_alike_questions_must_be_is_for_the_suite_to_say(
    write: Write, load: Load, question: str, similarity: float, near: bool
) -> None:
    write(json.dumps({"question": question, "reply": "Aye."}), "train.jsonl")
    trained = load(suite(similarity=similarity)).scene.trained["pirate"]
    assert [one.probe for one in trained.probes] == ["where-is-my-order"] * near


def test_a_path_alone_is_enough(write: Write, load: Load) -> None:
    write(lines(), "train.jsonl")
    text = SUITE.format(training='{"pirate": "train.jsonl"}')
    assert load(text).scene.trained["pirate"].file.probes == "warn"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"text": "Arr."}\n', 'train.jsonl:1: expected {"messages": [{"role": "user"'),
        ('{"question": "Who?", "reply": 3}\n', "found '{"),
        (
            '\n{"messages": [{"role": "user", "content": "Who?"}]}\n',
            "train.jsonl has no reply of an assistant",
        ),
        ("[1]\n", "train.jsonl:1: expected"),
        ("", "train.jsonl has no reply of an assistant; expected a conversation per line"),
    ],
)
def test_what_is_no_training_file_is_told(
    write: Write, refused: Refused, content: str, sentence: str
) -> None:
    write(content, "train.jsonl")
    assert sentence in refused(suite())


def test_a_file_that_is_not_there_is_told_where_it_is_named(refused: Refused) -> None:
    assert refused(suite()) == "a.coherence.yaml:2: there is no file train.jsonl"


def test_training_is_of_an_adapter_of_the_release(write: Write, refused: Refused) -> None:
    write(lines(), "train.jsonl")
    text = SUITE.format(training='{"pirat": "train.jsonl"}')
    assert refused(text) == (
        "a.coherence.yaml:2: the release has no adapter 'pirat' that was trained on this; "
        "did you mean 'pirate'?"
    )
