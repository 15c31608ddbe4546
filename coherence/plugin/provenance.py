"""Where a run was made: the commit of its suites, and the device that measured."""

import os
import subprocess
import sys
from pathlib import Path

# One question for both: a hash without tags, and whether a file that git knows was changed since.
_DESCRIBE = ("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
_SECONDS = 10


def commit(folder: Path) -> str | None:
    """Return the commit of the repository that a folder is in, with `-dirty` where it was changed since.

    None without git, outside of a repository, or where git will not say.
    """
    try:
        described = subprocess.run(_DESCRIBE, cwd=folder, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None if described.returncode == 0 else None


def device() -> str | None:
    """Name what this process measured on; None where everything was stored, and torch never imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    count = 0 if os.environ.get("COHERENCE_DEVICE") == "cpu" else torch.cuda.device_count()
    names = dict.fromkeys(torch.cuda.get_device_name(index) for index in range(count))
    return ", ".join(names) or "cpu"
