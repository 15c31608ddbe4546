"""What is written of the version more than once is the same."""

from pathlib import Path

import yaml

from coherence import __version__

ROOT = Path(__file__).parents[2]


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__
