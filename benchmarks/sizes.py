"""How large the reports of a suite of 200 assertions are: the assertions of a stored run, over and over.

python benchmarks/sizes.py coherence-results.json
"""

import sys
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from coherence.baseline import Baseline
from coherence.reports.html import write_html
from coherence.reports.junit import write_junit
from coherence.reports.markdown import write_markdown
from coherence.results import AssertionResult, Results

ASSERTIONS = 200


def main() -> None:
    """Print the size of each report in bytes."""
    results = Results.read(Path(sys.argv[1]))
    repeated = islice(cycle(results.assertions), ASSERTIONS)
    many = tuple(_renamed(result, place) for place, result in enumerate(repeated))
    whole = results.model_copy(update={"assertions": many})
    with TemporaryDirectory() as folder:
        writers = {
            "results": whole.write,
            "html": lambda path: write_html(whole, path),
            "junit": lambda path: write_junit(whole, path),
            "markdown": lambda path: write_markdown(whole, path),
            "baseline": Baseline.of(whole).write,
        }
        for name, write in writers.items():
            path = Path(folder, name)
            write(path)
            print(f"{name:10}{path.stat().st_size:>12,}")


def _renamed(result: AssertionResult, place: int) -> AssertionResult:
    return result.model_copy(update={"id": f"{result.id}.{place}"})


if __name__ == "__main__":
    main()
