"""Artefacts that a draft is made for: how the suite names them, and what can be read off them at once."""

import json
from os.path import relpath
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from coherence import limits
from coherence.errors import ArtefactError, CoherenceError
from coherence.files import read_file
from coherence.scaffold.draft import BLOCKS
from coherence.suite.paths import named_here
from coherence.vocabulary import Site


def found(kind: str, named: str) -> str:
    """Return an absolute path, or what is no path: a hub id, or `reference`.

    An ArtefactError when there is nothing at that path.
    """
    text = named_here(named)
    if Path(text).is_absolute() and not Path(text).exists():
        raise ArtefactError(f"there is no {kind} {named}")
    return text


def as_seen_from(folder: Path, text: str) -> str:
    """Spell a path as a suite in the folder does; what is no path stays."""
    if not Path(text).is_absolute():
        return text
    relative = Path(relpath(text, folder.absolute())).as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def blocks(base: str) -> int:
    """Count the blocks of a base, or guess where it is not on this machine."""
    from coherence.engine.artefacts.resolve import base_here

    try:
        folder = base_here(base)
        config: Any = json.loads(read_file(folder / "config.json", limits.CONFIG_BYTES)) if folder else {}
        count = config.get("text_config", config)["num_hidden_layers"]
    except (CoherenceError, OSError, ValueError, TypeError, LookupError, AttributeError):
        return BLOCKS
    return count if isinstance(count, int) and count > 0 else BLOCKS


def site_of(vector: str) -> Site | None:
    """Where a vector belongs, if its file says so."""
    if not vector.endswith(".safetensors"):
        return None
    try:
        with safe_open(vector, framework="np") as file:
            return Site.parse((file.metadata() or {})["site"])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
