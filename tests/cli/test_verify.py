"""`coherence sign` and `coherence verify`."""

import shutil
import subprocess
from pathlib import Path

import pytest
from judged import judged, mean, run

from coherence.cli import main
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.plan import Condition
from coherence.results import Results
from coherence.vocabulary import Release


@pytest.fixture
def verified(tmp_path, tiny_adapter, tiny, monkeypatch, capsys):
    """Run a command on results of an adapter `pirate`: exit code, and what it says, outputs first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tiny_adapter("pirate"), "pirate")
    release = Release(base=str(tiny), adapters={"pirate": str(tmp_path / "pirate")})
    artefacts = Artefacts(release, {}).files_in([Condition("", (), (("pirate", 1.0),))])
    one = judged(mean([0.7, 0.8, 0.9]), release={one.name: one.said for one in artefacts})
    run(one).model_copy(update={"artefacts": tuple(artefacts)}).write(Path("results.json"))

    capsys.readouterr()

    def verified(arguments):
        code = main(arguments.split())
        said = capsys.readouterr()
        return code, [*said.out.splitlines(), *said.err.splitlines()]

    return verified


@pytest.fixture
def keys(verified):
    for arguments in (
        "genpkey -algorithm ed25519 -out private.pem",
        "pkey -in private.pem -pubout -out public.pem",
    ):
        subprocess.run(["openssl", *arguments.split()], check=True, capture_output=True)


JUDGED = "ok    verdicts: 1 assertion of 2026-01-02T03:04:05Z, all as expected"


def test_what_was_judged_is_cleared(verified, tmp_path):
    code, lines = verified("verify results.json")
    assert (code, lines[0], len(lines)) == (0, JUDGED, 3)
    assert verified("verify results.json --adapter pirate=./pirate") == (
        0,
        [
            JUDGED,
            "ok    adapter pirate: ./pirate: 2 files, as judged",
            "warn  release: was judged with base, which nothing here names",
        ],
    )
    # A path of a command line needs no dot before it.
    code, lines = verified("verify results.json --adapter pirate=pirate")
    assert (code, lines[1]) == (0, "ok    adapter pirate: pirate: 2 files, as judged")


def test_results_that_name_no_file_clear_nothing(verified):
    found = Results.read(Path("results.json"))
    bare = tuple(one.model_copy(update={"files": {}}) for one in found.artefacts)
    found.model_copy(update={"artefacts": bare}).write(Path("results.json"))
    code, lines = verified("verify results.json")
    assert (code, lines[1].partition(":")[0]) == (1, "fail  release")


def test_what_was_not_judged_is_refused_by_its_file(verified):
    config = Path("pirate/adapter_config.json")
    config.write_text(config.read_text() + " ")
    code, lines = verified("verify results.json --adapter pirate=./pirate")
    assert (code, lines[1]) == (
        1,
        "fail  adapter pirate: ./pirate: adapter_config.json holds something else than was judged",
    )


def test_results_that_are_not_green_clear_nothing(verified):
    found = Results.read(Path("results.json"))
    red = judged(mean([0.6, 0.7, 0.8], at_least=2), name="pirate.margin")
    found.model_copy(update={"assertions": (*found.assertions, red)}).write(Path("results.json"))
    code, lines = verified("verify results.json --adapter pirate=./pirate")
    assert (code, lines[0].partition(": ")[0]) == (1, "fail  verdicts")
    assert lines[0].endswith("1 not as expected: pirate.margin")


def test_a_release_is_that_of_a_suite_with_what_options_replace(verified, tmp_path, tiny, tiny_adapter):
    suite = tmp_path / "a.yaml"
    suite.write_text(
        f"coherence: 1\nrelease: {{base: {tiny}, adapters: {{pirate: ./pirate}}}}\n"
        "personas: {pirate: {}}\nprobes: [Who are you?]\n"
        "assertions: [{property: commutativity, id: cosine, laws: [scale-zero]}]\n"
    )
    code, lines = verified("verify results.json --release a.yaml")
    assert (code, lines[1]) == (
        1,
        "fail  suite: a.yaml asserts what was not judged: release.cosine.scale-zero",
    )
    judged_by_it = Results.read(Path("results.json"))
    (one,) = judged_by_it.assertions
    named = one.model_copy(update={"id": "release.cosine.scale-zero"})
    judged_by_it.model_copy(update={"assertions": (named,)}).write(Path("results.json"))
    assert verified("verify results.json --release a.yaml")[0] == 0
    other = tiny_adapter("other", seed=9)
    assert verified(f"verify results.json --release a.yaml --adapter pirate={other}")[0] == 1
    assert verified("verify results.json --release a.yaml --adapter pirat=x") == (
        4,
        [
            "coherence: the command line: no release has the adapter 'pirat'; did you mean 'pirate'?",
        ],
    )


def test_a_signature_is_made_and_believed(verified, keys):
    assert verified("sign results.json --key private.pem") == (0, ["results.json.sig is written"])
    code, lines = verified("verify results.json --key public.pem")
    assert (code, lines[0]) == (0, "ok    signature: results.json.sig is by the owner of public.pem")
    assert verified("verify results.json")[1][0] == (
        "warn  signature: results.json.sig was not looked at; --key names the public key"
    )


def test_a_document_that_was_changed_or_never_signed_is_refused(verified, keys):
    code, lines = verified("verify results.json --key public.pem")
    assert (code, lines[0]) == (
        1,
        "fail  signature: there is no results.json.sig; `coherence sign` makes one",
    )
    verified("sign results.json --key private.pem")
    written = Path("results.json").read_text()
    Path("results.json").write_text(written.replace('"seed": 0', '"seed": 1'))
    code, lines = verified("verify results.json --key public.pem")
    assert (code, lines[0].partition(": ")[2]) == (
        1,
        "results.json.sig is not for this document, or not by the owner of public.pem",
    )


def test_red_results_are_signed_with_a_word(verified, keys):
    run(judged(mean([0.6, 0.7], at_least=2))).write(Path("results.json"))
    assert verified("sign results.json --key private.pem") == (
        0,
        ["results.json.sig is written", "coherence: signed although not everything in it is as expected"],
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("verify lost.json", "lost.json: cannot be read: No such file or directory"),
        ("verify results.json --adapter parrot=x", "the run judged no adapter parrot; did you mean"),
        ("verify results.json --vector pirate=x", "the run judged no vector pirate"),
        ("verify results.json --release lost.yaml", "there is no file lost.yaml"),
        ("sign private.pem --key private.pem", "private.pem: not a results document of format 5 to 2"),
        ("sign results.json --key public.pem", "public.pem: found no private Ed25519 key in PEM"),
        ("sign results.json --key lost.pem", "lost.pem: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(verified, keys, arguments, said):
    code, (*_, line) = verified(arguments)
    assert (code, line.startswith(f"coherence: {said}")) == (4, True)
    assert not Path("results.json.sig").exists()


def test_a_key_that_is_none_is_a_mistake(verified, keys):
    verified("sign results.json --key private.pem")
    code, (line,) = verified("verify results.json --key private.pem")
    assert (code, "this one is private" in line) == (4, True)
