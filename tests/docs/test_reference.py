"""docs/reference/properties.md: what the schema says, as the module prints it."""

import subprocess
import sys
from pathlib import Path

import pytest

from coherence.suite.reference import text
from coherence.suite.schema import schema

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "properties.md"
PAGE, SCHEMA = text(), schema()


def test_the_committed_page_is_current():
    assert COMMITTED.read_text(encoding="utf-8") == PAGE


def test_the_module_prints_it():
    command = [sys.executable, "-W", "error", "-m", "coherence.suite.reference"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == PAGE


@pytest.mark.parametrize("name", ["file", *SCHEMA["$defs"]])
def test_every_key_of_every_mapping_is_there(name):
    about = SCHEMA if name == "file" else SCHEMA["$defs"][name]
    assert [key for key in about.get("properties", {}) if f"| `{key}` | " not in PAGE] == []


@pytest.mark.parametrize(
    "row",
    [
        "| `min_ceiling` | number, >= 0, <= 1 | `0.6` | Reliability",
        "| `of` | [text, text] | required | ",
        "| `personas` | mapping of names to [Persona](#persona) |  | ",
        "| `probes` | list of ([Probe](#probe) or text) or text |  | ",
        "| `kind` | `word`, `phrase`, `stem`, `regex`, `detector`, `foreign` | `phrase` | ",
        "| `orthonormal` | `true`, `false` | `false` | ",
    ],
)
def test_a_key_says_what_may_stand_there(row):
    assert f"\n{row}" in PAGE
