"""The page of limits has those that hold."""

import re
from pathlib import Path

from coherence import limits

_SPELLED = {"SEED": "2^63"}


def test_every_limit_is_on_its_page(pytestconfig):
    page = Path(pytestconfig.rootpath, "docs", "limits.md").read_text(encoding="utf-8")
    said = re.findall(r"[\d,.^]*\d", page.partition("## How large things may be")[2])
    limited = {name: value for name, value in vars(limits).items() if name.isupper()}
    stated = {name: _SPELLED.get(name, f"{value:,.15g}") for name, value in limited.items()}
    assert {name: value for name, value in stated.items() if value not in said} == {}
