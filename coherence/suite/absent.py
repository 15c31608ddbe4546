"""Artefacts that a suite names, and that are not there, or can be none."""

import stat
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from coherence.errors import Place, did_you_mean, shortened
from coherence.suite.mend import NO_PATH
from coherence.suite.problem import Problem
from coherence.suite.suite import Suite
from coherence.vocabulary.release import REFERENCE, is_hub_id

_BASES, _ADAPTERS, _VECTORS = "a folder, or a .gguf file", "a folder", "a file"
# Names of a folder that may have been meant.
_LOOKED_AT = 200


def absent(suite: Suite) -> Iterator[Problem]:
    """Name each; what is an id of a hub is not looked up."""
    release = suite.scene.release
    named = [("base", release.base, _BASES)]
    named += [(f"adapters.{name}", text, _ADAPTERS) for name, text in release.adapters.items()]
    named += [
        (f"vectors.{name}", source.path, _VECTORS) for name, source in release.vectors.items() if source.path
    ]
    for key, text, expected in named:
        place = suite.places[f"release.{key}"]
        if sentence := _amiss(text, expected, place):
            yield Problem(place, sentence)


def _amiss(text: str, expected: str, place: Place) -> str | None:
    path = Path(text)
    if path.is_absolute():
        return _no_artefact(path, expected)
    if is_hub_id(text) or text == NO_PATH or (text == REFERENCE and expected == _BASES):
        return None
    meant = get_close_matches(text, [REFERENCE, *_names_in(Path(place.file).parent)])
    return (
        f"{shortened(text)} is neither here nor an id of a hub, such as org/name{did_you_mean(text, meant)}"
    )


def _no_artefact(path: Path, expected: str) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return f"there is no {path}{did_you_mean(path.name, _names_in(path.parent))}"
    if stat.S_ISDIR(mode):
        return f"{path} is a folder; expected {expected}" if expected == _VECTORS else None
    if not stat.S_ISREG(mode):
        return f"{path} is a pipe or a device; expected {expected}"
    is_one = expected == _VECTORS or (expected == _BASES and path.suffix == ".gguf")
    return None if is_one else f"{path} is a file; expected {expected}"


def _names_in(folder: Path) -> list[str]:
    return [one.name for one in islice(folder.iterdir(), _LOOKED_AT)] if folder.is_dir() else []
