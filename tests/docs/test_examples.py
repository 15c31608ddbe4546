"""What the documents show works: suites load, links lead somewhere, options and commands exist."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from coherence import __version__
from coherence.cli import main
from coherence.plan import LawName
from coherence.plugin.options import OPTIONS as DECLARED
from coherence.suite import Overrides, load_suite
from coherence.suite.schema import schema

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPTIONS = ROOT / "docs" / "reference" / "options.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAG = re.compile(r"--coherence[a-z-]*")


class Block(NamedTuple):
    """A fenced block of a document."""

    document: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that it shows, from its first line."""
        named = re.match(r"# (\S+\.yaml)\n", self.text)
        return named[1] if named else None

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    return [
        Block(document, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for document in DOCUMENTS
        for text in [document.read_text(encoding="utf-8")]
        for found in FENCE.finditer(text)
        if found[1] in languages
    ]


def code(document: Path) -> str:
    """Commands of a document: its shell blocks, and its inline code a line each."""
    text = document.read_text(encoding="utf-8")
    shell = (found[2] for found in FENCE.finditer(text) if found[1] == "sh")
    return "\n".join([*shell, *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))])


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.fixture
def folder(tmp_path):
    """A folder as the documents assume it: the fixtures beside the suite."""
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures", ignore=shutil.ignore_patterns("*.safetensors"))
    return tmp_path


SUITES = [block for block in blocks("yaml") if block.text.startswith("coherence: 1")]


@pytest.mark.parametrize("block", SUITES, ids=str)
def test_every_suite_loads(block, folder):
    for other in blocks("yaml"):
        if other.document == block.document and other.file:
            (folder / other.file).write_text(other.text, encoding="utf-8")
    suite = folder / "shown.coherence.yaml"
    suite.write_text(block.text, encoding="utf-8")
    assert load_suite(suite, Overrides()).assertions


def test_no_yaml_is_left_out():
    assert [str(block) for block in blocks("yaml") if block not in SUITES and not block.file] == []


def test_every_property_is_shown():
    shown = {name for block in SUITES for name in re.findall(r"property: (\w+)", block.text)}
    assert shown == set(schema()["properties"]["assertions"]["items"]["discriminator"]["mapping"])


def test_every_key_and_law_is_explained():
    described = schema()
    objects = [described, *described["$defs"].values()]
    keys = {key for defined in objects for key in defined.get("properties", {})}
    text = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
    assert {word for word in keys | {law.value for law in LawName} if f"`{word}`" not in text} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_relative_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", document.read_text(encoding="utf-8"))):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            linked = document.parent / path if path else document
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_command_exists(document, capsys):
    text = code(document)
    for command in re.findall(r"^coherence (\w+)", text, re.MULTILINE):
        with pytest.raises(SystemExit) as left:
            main([command, "--help"])
        assert left.value.code == 0, command
    for script in re.findall(r"(?:^bash |^python |@)(\S+\.(?:sh|py|args))", text, re.MULTILINE):
        assert (ROOT / script).is_file(), script
    for module in re.findall(r"^python -m (\S+)", text, re.MULTILINE):
        assert find_spec(module), module


def test_the_options_are_those_of_the_plugin(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    registered = set(
        FLAG.findall(pytester.runpytest_subprocess("-p", "coherence.plugin", "--help").stdout.str())
    )
    table = re.findall(r"^\| `(--coherence[a-z-]*)", OPTIONS.read_text(encoding="utf-8"), re.M)
    assert set(table) == registered
    for document in DOCUMENTS:
        assert set(FLAG.findall(document.read_text(encoding="utf-8"))) <= registered, document.name


def test_the_variables_are_those_of_the_plugin():
    table = re.findall(r"^\| `(COHERENCE_\w+)` \| `(\S+)` \|$", OPTIONS.read_text(encoding="utf-8"), re.M)
    assert {option: variable for variable, option in table} == {
        flag: option.variable for flag, option in DECLARED.items() if option.variable
    }


def test_the_changelog_has_this_version():
    assert f"## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
