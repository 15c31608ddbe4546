"""Very many mistakes in one suite: what is said of them, and how long it takes."""

import json
import time
from pathlib import Path

import pytest

from coherence import limits
from coherence.suite import Overrides
from coherence.suite.load import read_suite
from coherence.suite.problem import in_order

COUNT = 2_000
NAMES = [f"persona-number-{number}" for number in range(COUNT)]


def suite(**parts: object) -> dict[str, object]:
    return {"coherence": 1, "probes": ["a", "b"], "assertions": [{"property": "commutativity"}], **parts}


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(
            suite(
                personas={name: {"prompt": name} for name in NAMES},
                assertions=[
                    {"property": "markers", "personas": [f"persona-numbe-{n}"]} for n in range(5_000)
                ],
            ),
            id="names nothing bears",
        ),
        pytest.param(
            suite(
                release={"adapters": {f"{'a' * 150}{n}": "./x" for n in range(COUNT)}},
                personas={name: {"adapter": f"{'a' * 150}b{n}"} for n, name in enumerate(NAMES)},
            ),
            id="long names nothing bears",
        ),
        pytest.param(suite(probes=[{"id": f"p{n}", "txt": "?"} for n in range(30_000)]), id="probes"),
        pytest.param(
            suite(assertions=[{"property": "markers", f"key-{n}": 1} for n in range(30_000)]),
            id="unknown keys",
        ),
    ],
)
def test_their_number_does_not_matter(tmp_path: Path, written: dict[str, object]) -> None:
    path = tmp_path / "a.coherence.yaml"
    path.write_text(json.dumps(written))
    started = time.process_time()
    problems = in_order(read_suite(path, Overrides())[1])
    # Without bounds each of these takes minutes.
    assert time.process_time() - started < 20
    assert len(problems) == limits.PROBLEMS + 1
    assert any("there are more problems" in problem.sentence for problem in problems)
