"""A suite is bounded as a whole, whatever it is made of."""

import os

import pytest

from coherence import limits

ASSERTED = "assertions: [{property: commutativity}]"


def test_a_suite_has_so_many_bytes_in_all_of_its_files(write, refused):
    half = limits.SUITE_BYTES // 2
    write(f'"{"x" * half}"\n', "one.jsonl")
    write(f'"{"y" * half}"\n', "two.jsonl")
    assert refused(f"coherence: 1\n{ASSERTED}\nprobes:\n  - one.jsonl\n  - two.jsonl\n") == (
        "a.coherence.yaml:5: two.jsonl cannot be read: the suite has more than 16,000,000 bytes in its files"
    )


def test_a_suite_has_so_many_files(write, refused):
    for number in range(limits.SUITE_FILES):
        write("coherence: 1\n", f"{number}.yaml")
    names = "\n".join(f"  - {number}.yaml" for number in range(limits.SUITE_FILES))
    assert refused(f"coherence: 1\ninclude:\n{names}\n") == (
        "a.coherence.yaml:66: 63.yaml cannot be read: the suite has more than 64 files"
    )


def test_a_suite_has_so_many_probes(write, refused):
    write("".join(f'"{number}"\n' for number in range(limits.PROBES)), "many.jsonl")
    assert refused(f"coherence: 1\n{ASSERTED}\nprobes:\n  - one?\n  - many.jsonl\n") == (
        "many.jsonl:100000: the suite has more than 100,000 probes"
    )


def test_values_of_all_files_count_together(write, refused):
    many = "\n".join(["kin:", *(f"- [a{number}]" for number in range(limits.VALUES // 3))])
    write(f"coherence: 1\n{many}\n", "one.yaml")
    said = refused(f"coherence: 1\ninclude: [one.yaml]\n{many}\n")
    assert said.startswith("one.yaml:41")
    assert said.endswith("the suite has more than 250,000 values, with those that aliases repeat")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: os.mkfifo(path), "odd cannot be read: it is a pipe or a device, expected a file"),
        (lambda path: path.symlink_to("/dev/zero"), "odd cannot be read: it is a pipe or a device, expected"),
        (lambda path: path.symlink_to(path), "odd cannot be read: Too many levels of symbolic links"),
        (lambda path: path.mkdir(), "odd cannot be read: Is a directory"),
    ],
)
def test_what_is_no_file_is_not_waited_for(tmp_path, refused, make, sentence):
    make(tmp_path / "odd")
    assert refused("coherence: 1\ninclude: [odd]\n").startswith(f"a.coherence.yaml:2: {sentence}")


@pytest.mark.parametrize(
    ("addition", "sentence"),
    [
        ('include: ["a\\0b"]', "'a\\x00b' cannot be a path: it holds the character NUL"),
        ('probes: "a\\0b.jsonl"', "'a\\x00b.jsonl' cannot be a path: it holds the character NUL"),
        ('release: {base: "a\\0b"}', "'a\\x00b' cannot be a path: it holds the character NUL"),
        ("include: [~no-such-user/a]", "'~no-such-user/a' cannot be a path: no user is called no-such-user"),
        (
            "release: {adapters: {a: ~no-such-user}}",
            "'~no-such-user' cannot be a path: no user",
        ),
        (f"include: [{'x' * 300}]", f"'{'x' * 56}... cannot be a path: a name in it has 300 bytes, expected"),
        (f"release: {{vectors: {{a: {'x/' * 600}}}}}", "'x/x/"),
        (
            f"personas: {{{'x' * 300}: {{}}}}",
            f"'{'x' * 56}... cannot be a name in personas; expected at most",
        ),
        (f"seed: {'9' * 5000}", f"found the number '{'9' * 56}... of 5,000 characters; expected at most 40"),
        (f"seed: 0x{'f' * 30}", "seed: expected a number from 0 to 9.22337e+18, found 132922"),
        ("personas: {a: {cap: {sites: resid_post.0..1000000000000, at: 1}}}", "personas.a.cap.sites"),
        (
            "personas: {a: {cap: {sites: resid_post.0..99999, at: 1}}}",
            "the band 'resid_post.0..99999' has 100",
        ),
        (f"personas: {{a: {{markers: [{{kind: regex, text: '{'(' * 5000}'}}]}}}}", "the marker '((((((("),
    ],
)
def test_what_is_too_large_is_told_in_one_line(refused, addition, sentence):
    probes = "" if addition.startswith("probes:") else "probes: [Why?]"
    (said,) = refused(f"coherence: 1\n{addition}\n{ASSERTED}\n{probes}\n").split("\n")
    assert sentence in said
    assert said.startswith("a.coherence.yaml:2: ")
    assert len(said) < 300


def test_of_very_many_problems_the_first_are_told(refused):
    lines = refused("coherence: 1\n" + "".join(f"key{number}: x\n" for number in range(500))).split("\n")
    assert len(lines) == limits.PROBLEMS + 1
    assert lines[0].startswith("a.coherence.yaml:2: unknown key 'key0'")
    assert lines[-1] == "a.coherence.yaml:102: there are more problems than these 100"
