"""Distributions made on the spot, with entry points that importlib.metadata finds as it does any."""

from pathlib import Path

MODULE = """
from typing import Literal
from coherence.properties import Property

class Kind(Property):
    family = "kindness"
    property: Literal["kind"]

    def cases(self, scene):
        return []

class Nameless(Kind):
    property: Literal["other"]

class Homeless(Kind):
    family = "no family"

class Abstract(Property):
    family = "kindness"
    property: Literal["kind"]

class Markers(Kind):
    property: Literal["markers"]

def report(results):
    return f"{len(results.assertions)} assertions"

def image(results):
    return b"\\x89PNG"

def failing(results):
    return results.nothing

def silent(results):
    pass

NUMBER = 3
"""


def declare(folder: Path, group: str, name: str, value: str, distribution: str = "coherence-kind") -> Path:
    """Put a distribution into a folder, with one entry point and the module `kind_module` above."""
    metadata = folder / f"{distribution.replace('-', '_')}-0.1.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1\n")
    metadata.joinpath("entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    folder.joinpath("kind_module.py").write_text(MODULE)
    return folder
