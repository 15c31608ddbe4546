"""How the folder of a store is laid out: which version, and where in it an entry lies."""

import re
from pathlib import Path

from coherence.errors import StoreError
from coherence.store.entry import name_of

# The folder v1 is the mark of this layout. Another layout gets the next number.
_NUMBER = 1
LAYOUT = f"v{_NUMBER}"


def require_layout(root: Path, flag: str) -> None:
    """Refuse the folder of a store of a newer layout: a StoreError, which names the option to give another.

    Raises OSError where the folder cannot be listed.
    """
    newest = max((_number(path.name) for path in root.iterdir()), default=_NUMBER)
    if newest > _NUMBER:
        raise StoreError(
            f"the store {root} was written by a newer version: found layout v{newest}, expected "
            f"{LAYOUT}; install that version, or give another folder with {flag} PATH"
        )


def place_of(folder: Path, manifest: str) -> Path:
    """Return where the entry with this manifest lies in the folder of a layout."""
    name = name_of(manifest)
    return folder / name[:2] / name


def _number(name: str) -> int:
    return int(name[1:]) if re.fullmatch(r"v[0-9]+", name) else 0
