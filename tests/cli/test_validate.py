"""`coherence validate`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coherence.cli import main

ROOT = Path(__file__).parents[2]
GOOD = """\
coherence: 1
release: {adapters: {pirate: ./pirate}}
personas: {pirate: {prompt: Talk like a pirate.}}
probes: [Who are you?]
assertions: [{property: commutativity, laws: [scale-zero]}]
"""
ASKED = """\
probes: [Who are you?]
assertions: [{property: commutativity}]
"""
BAD = """\
coherence: 1
personas:
  pirate: {promt: Talk like a pirate.}
probes: [Who are you?]
sed: 3
assertions: [{property: commutativity}]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    Path("good.coherence.yaml").write_text(GOOD)
    Path("bad.coherence.yaml").write_text(BAD)
    Path("pirate").mkdir()
    return tmp_path


def test_a_good_suite_has_no_problems(here, capsys):
    assert main(["validate", "good.coherence.yaml"]) == 0
    assert capsys.readouterr().out == "1 suite, no problems\n"


def test_the_current_folder_is_looked_through_unless_another_is_named(here, capsys):
    Path("bad.coherence.yaml").unlink()
    assert main(["validate"]) == 0
    assert capsys.readouterr().out == "1 suite, no problems\n"


def test_an_artefact_that_is_not_there_is_a_problem(here, capsys):
    Path("pirate").rename("pirates")
    assert main(["validate", "good.coherence.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"good.coherence.yaml:2:22: there is no {here}/pirate; did you mean 'pirates'?",
        "1 suite, 1 problem",
    ]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("base: ./pipe", "{here}/pipe is a pipe or a device; expected a folder, or a .gguf file"),
        ("base: ./zero", "{here}/zero is a pipe or a device; expected a folder, or a .gguf file"),
        ("base: ./cast.txt", "{here}/cast.txt is a file; expected a folder, or a .gguf file"),
        ("adapters: {pirate: ./cast.txt}", "{here}/cast.txt is a file; expected a folder"),
        ("vectors: {pirate: ./pipe}", "{here}/pipe is a pipe or a device; expected a file"),
        ("vectors: {pirate: ./pirate}", "{here}/pirate is a folder; expected a file"),
        ("base: ./loop/inside", "there is no {here}/loop/inside"),
        ("base: a/../../b", "'a/../../b' is neither here nor an id of a hub, such as org/name"),
        (
            "base: refrence",
            "'refrence' is neither here nor an id of a hub, such as org/name; did you mean 'reference'?",
        ),
        (
            "adapters: {pirate: pirat}",
            "'pirat' is neither here nor an id of a hub, such as org/name; did you mean 'pirate'?",
        ),
        ("adapters: {pirate: org/name@}", "'org/name@' is neither here nor an id of a hub, such as org/name"),
    ],
)
def test_what_can_be_no_artefact_is_a_problem(here, capsys, named, sentence):
    os.mkfifo("pipe")
    Path("zero").symlink_to("/dev/zero")
    Path("loop").symlink_to("loop")
    Path("cast.txt").touch()
    Path("named.coherence.yaml").write_text(GOOD.replace("adapters: {pirate: ./pirate}", named))
    assert main(["validate", "named.coherence.yaml"]) == 1
    assert f": {sentence.format(here=here)}\n" in capsys.readouterr().out


def test_prompts_alone_are_valid_and_told_what_a_release_would_add(here, capsys):
    prompts = GOOD.replace("release: {adapters: {pirate: ./pirate}}\n", "").partition("probes:")[0]
    asked = [f"Why {number}?" for number in range(4)]
    asserted = {"property": "factorial", "sites": "resid_post.5..8"}
    Path("a.coherence.yaml").write_text(f"{prompts}probes: {asked}\nassertions: [{json.dumps(asserted)}]\n")
    assert main(["validate", "a.coherence.yaml"]) == 0
    told, total = capsys.readouterr().out.splitlines()
    assert told.startswith(
        "a.coherence.yaml: has prompts alone; a release with adapters or vectors would add"
    )
    assert total == "1 suite, no problems"
    # What it shows is what a suite may say.
    added = told.rpartition("of a prompt: ")[2]
    with Path("a.coherence.yaml").open("a") as suite:
        suite.write(f"{added}\n")
    assert main(["validate", "a.coherence.yaml"]) == 0
    assert capsys.readouterr().out == "1 suite, no problems\n"


@pytest.mark.parametrize("named", ["nobody/pirate", "nobody/pirate@v1.0", "no-body/a.b_c@refs/pr/1"])
def test_an_id_of_a_hub_is_not_looked_up(here, named):
    Path("good.coherence.yaml").write_text(GOOD.replace("./pirate", named))
    assert main(["validate", "good.coherence.yaml"]) == 0


def test_all_problems_of_all_files_are_shown_with_their_places(here, capsys):
    Path("more").mkdir()
    Path("more/worse.coherence.yaml").write_text("coherence: 1\nprobes: [a\nseed: 0\n")
    assert main(["validate", "."]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "bad.coherence.yaml:3:12: unknown key 'promt' in personas.pirate; did you mean 'prompt'?",
        "bad.coherence.yaml:5:1: unknown key 'sed'; did you mean 'seed'?",
        "more/worse.coherence.yaml:3:5: this is not YAML: did not find expected ',' or ']', "
        "while parsing a flow sequence",
        "3 suites, 3 problems",
    ]


def test_a_problem_of_a_shared_file_is_one_problem(here, capsys):
    Path("cast.yaml").write_text("coherence: 1\npersonas: {pirate: {dosis: 1}}\n")
    for name in ("a", "b"):
        Path(f"{name}.coherence.yaml").write_text(f"coherence: 1\ninclude: [cast.yaml]\n{ASKED}")
    assert main(["validate", "a.coherence.yaml", "b.coherence.yaml"]) == 1
    problem, total = capsys.readouterr().out.splitlines()
    assert problem.startswith("cast.yaml:2:21: unknown key 'dosis' in personas.pirate; ")
    assert total == "2 suites, 1 problem"


def test_problems_of_an_included_file_and_of_its_suite_are_shown_together(here, capsys):
    Path("cast.yaml").write_text("coherence: 1\npersonas: {pirate: {dosis: 1}}\n")
    Path("a.coherence.yaml").write_text("coherence: 1\ninclude: [cast.yaml, lost.yaml]\nsed: 3\n")
    assert main(["validate", "a.coherence.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a.coherence.yaml:2:22: there is no file lost.yaml",
        "a.coherence.yaml:3:1: unknown key 'sed'; did you mean 'seed'?",
        "cast.yaml:2:21: unknown key 'dosis' in personas.pirate; did you mean 'dose'?",
        "1 suite, 3 problems",
    ]


MANY = """\
coherence: 1
release: {adapters: {pirate: ./lost, counsel: 7}}
personas:
  pirate: {promt: Talk like a pirate., adapter: pirat}
  counsel: {prompt: Be formal., markers: [shall], vector: counsel}
kin: [[pirate, counsle], [pirate]]
probes:
  - Who are you?
  - {txt: Why?}
  - who are YOU
seed: none
assertions:
  - {property: comutativity}
  - {property: commutativity, personas: [privateer]}
  - {property: markers, min_agreement: 4, max_difference: 0.3, min_recovery: 0.5}
"""


def test_mistakes_of_all_kinds_are_shown_at_once(here, capsys):
    """Of keys, values, references, repetitions, assertions and paths, and none that follows from another."""
    Path("many.coherence.yaml").write_text(MANY)
    assert main(["validate", "many.coherence.yaml"]) == 1
    said = capsys.readouterr().out.replace("many.coherence.yaml:", "").replace(f"{here}/", "")
    first, *others = said.splitlines()
    assert first.startswith("2:22: there is no lost; expected one of ")
    assert others == [
        "2:38: release.adapters.counsel: expected a text, found 7; put it in quotes",
        "4:12: unknown key 'promt' in personas.pirate; did you mean 'prompt'?",
        "4:40: the release has no adapter 'pirat'; did you mean 'pirate'?",
        "5:51: the release has no vector 'counsel'",
        "6:7: no persona is named 'counsle'; did you mean 'counsel'?",
        "6:26: kin are two personas or more; found pirate",
        "6:26: 'pirate' is kin already, at 6; expected one group for all",
        "9:5: missing key 'id' in probes[1]",
        "9:5: missing key 'text' in probes[1]",
        "9:6: unknown key 'txt' in probes[1]; did you mean 'text'?",
        "10:5: the question 'who are YOU' is asked already, at 8; what is there twice counts twice",
        "11:1: seed: expected a whole number, found 'none'",
        "13:6: 'comutativity' is not a property; did you mean 'commutativity'?",
        "14:5: no persona is named 'privateer'; did you mean 'pirate'?",
        "15:25: assertions[2].min_agreement: expected a number from -1 to 1, found 4",
        "1 suite, 16 problems",
    ]


@pytest.mark.parametrize(
    "typo",
    [
        "person: {pirate: {prompt: Arr.}}",
        "release: {adapter: {pirate: ./pirate}}",
        "include: 7",
        "personas: 7",
    ],
)
def test_nothing_is_said_of_names_where_some_may_be_lost(here, typo, capsys):
    """A name would be called unknown that stands where only a key above it is wrong."""
    asks = "assertions: [{property: commutativity, personas: [pirate]}]"
    Path("a.coherence.yaml").write_text(f"coherence: 1\nkin: [pirate, counsel]\n{typo}\n{asks}\n")
    assert main(["validate", "a.coherence.yaml"]) == 1
    *problems, _ = capsys.readouterr().out.splitlines()
    assert [problem for problem in problems if not problem.startswith("a.coherence.yaml:3:")] == []


def test_json_is_for_programs(here, capsys):
    assert main(["validate", "bad.coherence.yaml", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)[1] == {
        "file": "bad.coherence.yaml",
        "line": 5,
        "column": 1,
        "sentence": "unknown key 'sed'; did you mean 'seed'?",
    }
    assert main(["validate", "good.coherence.yaml", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_annotations_are_for_github(here, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_WORKSPACE", str(here.parent))
    assert main(["validate", "bad.coherence.yaml", "--format", "github"]) == 1
    assert capsys.readouterr().out.splitlines()[1] == (
        f"::error file={here.name}/bad.coherence.yaml,line=5,col=1,title=coherence validate"
        "::unknown key 'sed'; did you mean 'seed'?"
    )


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("lost.yaml", "there is no file lost.yaml"), ("empty", "the folder empty has no *.coherence.yaml file")],
)
def test_what_is_not_there_is_no_problem_of_a_suite(here, path, sentence, capsys):
    Path("empty").mkdir()
    assert main(["validate", "good.coherence.yaml", path]) == 4
    assert capsys.readouterr().err == f"coherence: {sentence}\n"


def test_it_imports_no_model_library():
    program = (
        "import sys; from coherence.cli import main; main(['validate', 'suites']); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("x" * 5000, 4, "File name too long"),
        ("/dev/zero", 1, "cannot be read: it is a pipe or a device, expected a file"),
        ("~no-such-user/a", 4, "there is no file ~no-such-user/a"),
    ],
)
def test_a_path_that_is_none_is_a_sentence(here, capsys, path, code, sentence):
    assert main(["validate", path]) == code
    said = "".join(capsys.readouterr())
    assert sentence in said
    assert "Traceback" not in said
    assert len(said) < 2000
