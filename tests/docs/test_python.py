"""What docs/python.md shows: run on the reference model, and the same as the package of the tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "tests" / "extension"
TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NAMED = {name[1]: text for _, text in BLOCKS if (name := re.match(r"# (\S+)\n", text))}


@pytest.fixture
def folder(pytester, reference, tmp_path_factory, monkeypatch):
    """The folder that the document speaks of; the model is there already."""
    (pytester.path / "fixtures").symlink_to(ROOT / "fixtures")
    for name, text in NAMED.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    cache = tmp_path_factory.mktemp("cache")
    (cache / reference.name).symlink_to(reference)
    monkeypatch.setenv("COHERENCE_CACHE", str(cache))
    return pytester


def test_the_tests_and_the_program_work(folder, capsys):
    run = folder.runpytest("--coherence", "test_personas.py")
    run.assert_outcomes(passed=3)
    assert run.ret == 0
    folder.makepyfile(
        program=next(text for _, text in BLOCKS if text.startswith("from coherence import open"))
    )
    ran = folder.runpython("program.py")
    assert ran.ret == 0
    ran.stdout.fnmatch_lines(["release.commutativity.scale-zero passes: *"])


def test_the_package_is_that_of_the_tests():
    shown = {text for _, text in BLOCKS}
    assert (EXTENSION / "coherence_brevity.py").read_text(encoding="utf-8") in shown
    assert (EXTENSION / "pyproject.toml").read_text(encoding="utf-8") in shown
