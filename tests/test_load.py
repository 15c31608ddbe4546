"""The table of the load: what the page shows is what was found when it was published last."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from load import BEGIN, END, KEPT, PAGE, PARTS, Tried, table  # noqa: E402


def test_the_page_shows_what_was_found_when_it_was_published():
    kept = json.loads(KEPT.read_text())
    assert list(kept) == list(PARTS)
    tried = [Tried(**one) for several in kept.values() for one in several]
    assert all(one.met for one in tried)
    published = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert "\n".join(table(tried)) == published.strip()
