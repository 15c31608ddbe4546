"""Paths in a suite are relative to the file that states them; what is no path is the id of a hub."""

from pathlib import Path
from typing import Any

from coherence.vocabulary.release import REFERENCE, VECTOR_FILES

_FILES = (*VECTOR_FILES, ".jsonl")


def beside(file: Path, text: str) -> Path:
    """Return the absolute path of what `file` calls `text`; a link keeps its own name and suffix."""
    path = file.parent / Path(text).expanduser()
    return path.parent.resolve() / path.name


def artefact(file: Path, text: str) -> str:
    """Return an absolute path where the text is one, or else the text: a hub id, or `reference`."""
    path = beside(file, text)
    local = text.startswith(("./", "../", "/", "~/")) or text.endswith(_FILES) or path.exists()
    return str(path) if local and text != REFERENCE else text


def resolve_release(release: dict[str, Any], file: Path) -> None:
    """Make the paths of a validated `release:` mapping absolute, in place."""
    if "base" in release:
        release["base"] = artefact(file, release["base"])
    for name, text in release.get("adapters", {}).items():
        release["adapters"][name] = artefact(file, text)
    for name, source in release.get("vectors", {}).items():
        spelled = {"path": source} if isinstance(source, str) else source
        path = spelled.get("path")
        release["vectors"][name] = {**spelled, "path": artefact(file, path)} if path else spelled
