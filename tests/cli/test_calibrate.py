"""`coherence calibrate`."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from coherence.cli import main
from coherence.cli.releases import releases

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
     expect: {{fail: min_cosine}}}}
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
    added = f"min_ceiling: 0\n    min_strength: {proposed['min_strength']}\n"
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


@pytest.fixture
def twin(calibrated: Path, tiny_adapter: Callable[..., Path]) -> Path:
    """A release in which one adapter was trained with another seed."""
    path = calibrated.with_name("twin.args")
    path.write_text(f"--coherence-adapter=pirate={tiny_adapter('pirate', seed=9)}\n")
    return path


@pytest.mark.usefixtures("twin")
def test_several_healthy_releases_pass_what_is_proposed(calibrated, capsys):
    asked = ["calibrate", "c.coherence.yaml", "--halves", "10"]
    proposed = []
    for release in ([], ["--release", "twin.args"]):
        assert main([*asked, *release]) == 0
        proposed.append(capsys.readouterr().out)
    alone, both = (float(re.search(r"min_cosine +\| +\S+ \| +(\S+)", said)[1]) for said in proposed)
    assert both <= alone
    assert re.search(r"\| \w+ \((own|twin)\) +\|", proposed[1])
    assert "10 halves, seed 0, 2 releases (own, twin), whose spread rests on 1 difference\n" in proposed[1]
    assert "(own)" not in proposed[0]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        (None, "the release cannot be read: No such file or directory"),
        ("--coherence-adapter=pirat=x", "no release has the adapter 'pirat'; did you mean 'pirate'?"),
        ("--coherence-adapter=pirate", "argument --coherence-adapter: found 'pirate', expected NAME=PATH"),
        ("--write", "unrecognized arguments: --write"),
        ("", "this is the release that is called 'own'; expected another healthy one, such as one trained"),
    ],
    ids=["no-file", "no-such-name", "no-pair", "another-option", "nothing-new"],
)
def test_a_release_that_is_none_is_a_sentence(calibrated, capsys, written, sentence):
    if written is not None:
        calibrated.with_name("next.args").write_text(f"{written}\n")
    assert main(["calibrate", "c.coherence.yaml", "--release", "next.args"]) == 4
    assert capsys.readouterr().err.startswith(f"coherence: next.args: {sentence}")


def test_releases_of_one_name_are_a_sentence(twin, capsys):
    (twin.parent / "other").mkdir()
    other = twin.parent / "other" / "twin.args"
    other.write_text("--coherence-adapter=counsel=somewhere\n")
    assert main(["calibrate", "c.coherence.yaml", "--release", "twin.args", "--release", str(other)]) == 4
    assert "another release is called 'twin'; expected another name" in capsys.readouterr().err


def test_an_artefact_that_is_lost_is_blamed_on_the_file_that_names_it(calibrated, capsys):
    calibrated.with_name("next.args").write_text("--coherence-adapter=pirate=./lost\n")
    assert main(["calibrate", "c.coherence.yaml", "--halves", "10", "--release", "next.args"]) == 4
    assert "coherence: next.args: adapter 'pirate': there is no folder" in capsys.readouterr().err


def test_the_shipped_twin_is_another_release_of_its_suite(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    (line,) = re.findall(
        r"^coherence (calibrate \S+ --release \S+)$",
        Path("docs/calibrate.md").read_text("utf-8"),
        re.MULTILINE,
    )
    _, suite, _, file = line.split()
    own, twin = releases(Path(suite), None, [Path(file)]).values()
    changed = {
        name for name, path in twin.scene.release.adapters.items() if own.scene.release.adapters[name] != path
    }
    assert changed == {"pirate-counsel"}
    assert own.assertions[-1].id == twin.assertions[-1].id
