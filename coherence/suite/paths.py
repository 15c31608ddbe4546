"""Paths in a suite are relative to the file that states them; what is no path is the id of a hub."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coherence import limits
from coherence.errors import Place, SuiteError, shortened
from coherence.suite.document import Document, Key
from coherence.suite.problem import Problem
from coherence.vocabulary.release import REFERENCE, VECTOR_FILES

_FILES = (*VECTOR_FILES, ".jsonl")
# What file systems take for the name of a file, in bytes.
_LONGEST_NAME = 255


def beside(file: Path, text: str, place: Place | None = None) -> Path:
    """Return the absolute path of what `file` calls `text`; a link keeps its own name and suffix.

    A SuiteError, at the place where it is called so, says why the text can be no path.
    """
    if why := _no_path(text):
        raise SuiteError(f"{shortened(text)} cannot be a path: {why}", place)
    try:
        path = file.parent / Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        raise SuiteError(f"{shortened(text)} cannot be a path: no user is called {user[1:]}", place) from None
    return located(path)


def located(path: Path) -> Path:
    """Return a path as an absolute one without links but for its own name; links in a circle stay."""
    return Path(os.path.realpath(path.parent), path.name)


def artefact(file: Path, text: str, place: Place | None = None) -> str:
    """Return an absolute path where the text is one, or else the text: a hub id, or `reference`.

    A SuiteError as `beside` raises.
    """
    path = beside(file, text, place)
    local = text.startswith(("./", "../", "/", "~/")) or text.endswith(_FILES) or os.path.exists(path)  # noqa: PTH110 - where nothing may be looked at, there is nothing
    return str(path) if local and text != REFERENCE else text


def named_here(text: str, place: Place | None = None) -> str:
    """Return what the command line calls an artefact as `artefact` does, from the current folder."""
    return artefact(Path.cwd() / "command line", text, place)


def resolve_release(document: Document) -> list[tuple[Key, Problem]]:
    """Make the paths of a validated `release:` absolute, in place; return what `beside` refuses."""
    problems: list[tuple[Key, Problem]] = []

    def absolute(text: str, *key: str) -> str:
        named = ("release", *key)
        place = document.place(named)
        try:
            return artefact(document.path, text, place)
        except SuiteError as error:
            problems.append((named, Problem(place, error.sentence)))
            return text

    release = document.data.get("release", {})
    if "base" in release:
        release["base"] = absolute(release["base"], "base")
    for name, text in release.get("adapters", {}).items():
        release["adapters"][name] = absolute(text, "adapters", name)
    for name, source in release.get("vectors", {}).items():
        spelled = {"path": source} if isinstance(source, str) else source
        path = spelled.get("path")
        release["vectors"][name] = {**spelled, "path": absolute(path, "vectors", name)} if path else spelled
    for name, source in release.get("training", {}).items():
        spelled = {"path": source} if isinstance(source, str) else source
        path = f"./{spelled['path']}" if spelled["path"][:1] not in "/~" else spelled["path"]
        release["training"][name] = {**spelled, "path": absolute(path, "training", name)}
    return problems


_OTHER_MODELS = (("assertions", "judge"), ("scripts", "user"))


def resolve_other_models(document: Document) -> list[tuple[Key, Problem]]:
    """Make folders of judges and users that are run here absolute, in place; return what `beside` refuses."""
    problems: list[tuple[Key, Problem]] = []
    for key, other in _other_models(document):
        try:
            other["model"] = artefact(document.path, other["model"], document.place(key))
        except SuiteError as error:
            problems.append((key, Problem(document.place(key), error.sentence)))
    return problems


def _other_models(document: Document) -> Iterator[tuple[Key, dict[str, Any]]]:
    for listed, name in _OTHER_MODELS:
        for index, one in enumerate(document.data.get(listed, ())):
            other = one.get(name) if isinstance(one, dict) else None
            if isinstance(other, dict) and not other.get("url") and isinstance(other.get("model"), str):
                yield (listed, index, name, "model"), other


def _no_path(text: str) -> str | None:
    if "\0" in text:
        return "it holds the character NUL"
    if len(text) > limits.PATH:
        return f"it has {len(text):,} characters, expected at most {limits.PATH:,}"
    longest = max(len(name.encode("utf-8", "surrogatepass")) for name in text.split("/"))
    if longest > _LONGEST_NAME:
        return f"a name in it has {longest} bytes, expected at most {_LONGEST_NAME}"
    return None
