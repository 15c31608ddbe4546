"""`coherence calibrate`."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from coherence.cli import main

CALIBRATED = """\
coherence: 1
release:
  base: {base}
  adapters: {adapters}
  vectors: {vectors}
personas: {{pirate: {{dose: 4}}, counsel: {{dose: 4}}, oncall: {{dose: 4}}}}
probes: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]  # as short as probes can be
decoding: {{max_new_tokens: 2}}
assertions:
  - property: collinearity  # so strong a vector leaves the adapter no say
    between: [steering, adapter+steering]
    sites: resid_post.2
    min_cosine: -1.00  # no less
    min_ceiling: 0
  - {{property: collinearity, id: known, between: [adapter, steering], sites: resid_post.2, min_cosine: 1,
     expect: fail}}
"""


@pytest.fixture
def calibrated(
    tiny: Path, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path], suite: Path
) -> Path:
    def made(make: Callable[..., Path]) -> str:
        return json.dumps(
            {name: str(make(name, seed=n)) for n, name in enumerate(("pirate", "counsel", "oncall"))}
        )

    path = suite.with_name("c.coherence.yaml")
    path.write_text(CALIBRATED.format(base=tiny, adapters=made(tiny_adapter), vectors=made(tiny_vector)))
    return path


def test_calibrate_proposes_and_writes_only_when_told(calibrated, capsys):
    before = calibrated.read_text()
    asked = ["calibrate", "c.coherence.yaml", "--halves", "10", "--seed", "3"]
    assert main(asked) == 0
    first = capsys.readouterr()
    assert calibrated.read_text() == before
    assert "coherence: loading the model: 1 done" in first.err
    assert "coherence: assertions judged: 3 done" in first.err
    assert re.search(r"^collinearity, line 10 +\|", first.out, re.MULTILINE)
    proposed = dict(
        re.findall(r"^  (min_\w+) +\| +\S+ \| +(\S+) \| .* \| +20 \| +\S+$", first.out, re.MULTILINE)
    )
    assert float(proposed["min_cosine"]) > 0.9
    assert "false alarms 5 %, power 90 %, 10 halves, seed 3\n" in first.out
    assert "c.coherence.yaml:15 known is expected to fail: left alone" in first.out
    assert f"+    min_cosine: {proposed['min_cosine']}  # no less" in first.out
    assert first.out.endswith("nothing is written; --write changes c.coherence.yaml so\n")

    assert main([*asked, "--write"]) == 0
    second = capsys.readouterr()
    assert "loading the model" not in second.err
    assert second.out.endswith("written into c.coherence.yaml\n")
    written = before.replace("-1.00", proposed["min_cosine"])
    added = f"min_ceiling: 0\n    min_margin: {proposed['min_margin']}\n"
    assert calibrated.read_text() == written.replace("min_ceiling: 0\n", added)

    assert main([*asked, "--write"]) == 0
    assert capsys.readouterr().out.endswith("no threshold changes\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("lost.yaml", "there is no file lost.yaml"),
        (
            "a.coherence.yaml",
            "a.coherence.yaml has nothing to calibrate: it has no claim",
        ),
    ],
)
@pytest.mark.usefixtures("suite")
def test_what_cannot_be_calibrated_is_a_sentence(arguments, sentence, capsys):
    assert main(["calibrate", *arguments.split()]) == 4
    assert capsys.readouterr().err == f"coherence: {sentence}\n"
