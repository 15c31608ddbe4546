"""docs/glossary.md: it has every word of ARCHITECTURE.md, which is binding, and none twice."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRST = re.compile(r"^\| ([a-z][^|]*) \|", re.MULTILINE)
WORDS = FIRST.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))


def test_every_word_of_the_architecture_is_there():
    architecture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = architecture.partition("## Words")[2].partition("## ")[0]
    assert set(FIRST.findall(table)) - set(WORDS) == set()


def test_no_word_is_there_twice():
    assert [word for word, times in Counter(WORDS).items() if times > 1] == []


def test_every_word_leads_to_where_it_is_explained():
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line for line in glossary.splitlines() if FIRST.match(line)]
    assert [row for row in rows if not row.endswith(") |")] == []
