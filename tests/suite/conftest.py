"""Suites as their authors write them: YAML text in a temporary folder."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from coherence.errors import SuiteError
from coherence.suite import Overrides, Suite, load_suite


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of the temporary folder and return its path."""

    def write(text: str, name: str = "a.coherence.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., Suite]:
    """Load a suite from its text."""
    return lambda text, **overrides: load_suite(write(text), Overrides(**overrides))


@pytest.fixture
def refused(write: Callable[..., Path], tmp_path: Path) -> Callable[[str], str]:
    """Return what a suite is refused with; file names are shortened to their place in the folder."""

    def refused(text: str) -> str:
        with pytest.raises(SuiteError) as caught:
            load_suite(write(text), Overrides())
        return str(caught.value).replace(f"{tmp_path.as_posix()}/", "")

    return refused
