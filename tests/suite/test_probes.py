import json
import re

import pytest

SUITE = """
coherence: 1
release: {{adapters: {{pirate: org/lora}}}}
personas: {{pirate: {{prompt: Arr.}}}}
probes: {probes}
assertions: [{{property: commutativity}}]
"""


def suite(probes: object) -> str:
    return SUITE.format(probes=json.dumps(probes))


def test_probes_come_from_files_and_from_the_suite_in_one_list(write, load):
    write('{"id": "a", "text": "A?"}\n\n{"id": "b", "text": "B?", "template": "t"}\n"C?"\n', "more.jsonl")
    probes = load(suite(["D?", "more.jsonl", {"id": "e", "text": "E?"}])).scene.probes
    assert [(probe.id, probe.text) for probe in probes] == [
        ("d", "D?"),
        ("a", "A?"),
        ("b", "B?"),
        ("c", "C?"),
        ("e", "E?"),
    ]
    assert probes[2].cluster == "t"


def test_a_lone_path_is_enough(write, load):
    write('{"id": "a", "text": "A?"}\n', "more.jsonl")
    assert [probe.id for probe in load(suite("more.jsonl")).scene.probes] == ["a"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"id": "a", "text": "A?"}\n\n{"id": "b", text}\n', "more.jsonl:3: expected JSON such as"),
        ('{"id": "a"}\n', "more.jsonl:1: missing key 'text' in probes[0]"),
        (
            '\n{"id": "a", "text": "A?", "txt": 1}\n',
            "more.jsonl:2: unknown key 'txt' in probes[0]; did you mean 'text'?",
        ),
        ('{"id": "a b", "text": "A?"}\n', "more.jsonl:1: probes[0].id: expected"),
        (
            '{"id": "a", "text": "\\ud800"}\n',
            "more.jsonl:1: probes[0].text: expected a text without lone surrogates",
        ),
        ("42\n", "more.jsonl:1: probes[0]: expected a mapping (`key: value` lines), found 42"),
        ("\n\n", "more.jsonl:1: the file is empty; expected lines such as {"),
    ],
)
def test_a_broken_file_is_told_with_its_line(write, refused, lines, message):
    write(lines, "more.jsonl").write_text(lines)
    assert refused(suite(["more.jsonl"])).startswith(message)


def test_all_broken_lines_are_told_at_once(write, refused):
    write('{"id": "a"\n{"id": "b", "text": "B?"}\nnonsense\n', "more.jsonl")
    assert re.findall(r"^more\.jsonl:\d", refused(suite("more.jsonl")), re.MULTILINE) == [
        "more.jsonl:1",
        "more.jsonl:3",
    ]


def test_a_missing_file_is_told_where_it_is_named(refused):
    assert refused(suite(["gone.jsonl"])) == "a.coherence.yaml:4: there is no file gone.jsonl"


def test_a_file_that_is_not_utf8_is_told_with_its_line(tmp_path, refused):
    (tmp_path / "more.jsonl").write_bytes(b'{"id": "a", "text": "A?"}\n{"id": "b", "text": "\xe9"}\n')
    assert refused(suite("more.jsonl")) == "more.jsonl:2: expected UTF-8, found the byte 0xe9"


def test_an_id_is_used_once(write, refused):
    write('{"id": "a", "text": "A?"}\n{"id": "b", "text": "B?"}\n', "more.jsonl")
    assert refused(suite([{"id": "b", "text": "First."}, "more.jsonl"])) == (
        "more.jsonl:2: the probe id 'b' is taken by a.coherence.yaml:4; give this one another with 'id:'"
    )


@pytest.mark.parametrize("probes", ["[]", ""])
def test_a_suite_needs_probes(refused, probes):
    message = refused(SUITE.format(probes=probes))
    assert message.startswith("a.coherence.yaml:4: ")
