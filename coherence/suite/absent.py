"""Artefacts that a suite names by a path, and that are not there."""

from collections.abc import Iterator
from pathlib import Path

from coherence.errors import did_you_mean
from coherence.suite.problem import Problem
from coherence.suite.suite import Suite


def absent(suite: Suite) -> Iterator[Problem]:
    """Name each; what is no path is an id of a hub, and is not looked up."""
    release = suite.scene.release
    named = {"base": release.base}
    named |= {f"adapters.{name}": text for name, text in release.adapters.items()}
    named |= {f"vectors.{name}": source.path for name, source in release.vectors.items() if source.path}
    for key, text in named.items():
        path = Path(text)
        if path.is_absolute() and not path.exists():
            beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            sentence = f"there is no {text}{did_you_mean(path.name, beside)}"
            yield Problem(suite.places[f"release.{key}"], sentence)
