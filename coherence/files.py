"""Files that are either the old one or the new one, never half of one."""

from pathlib import Path
from uuid import uuid4


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in place in one step: readers and parallel writers never see half of one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
