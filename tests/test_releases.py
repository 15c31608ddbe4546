"""The shipped suites on the reference model: the good release passes, every bad one is stopped.

Measurements go to the user's own store, so that repeating this is quick.
"""

from pathlib import Path

import pytest

from coherence.gate import Gate
from coherence.store import Store, store_root
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Verdict

ROOT = Path(__file__).parent.parent

STOPPED_BY = {
    "wrong-persona": {"pirate.collinearity.prompt-adapter", "pirate.markers.prompt-adapter"},
    "half-opposite": {"upbeat.collinearity.prompt-adapter", "upbeat-gloomy.attractor.adapter"},
    "scaled-to-a-tenth": {"support.markers.prompt-adapter"},
    "flipped-vector": {"pirate.collinearity.adapter-steering"},
    # By collinearity alone: that hardly anything moves must show without anybody listening.
    "counsel-tenth": {"counsel.collinearity.prompt-adapter"},
    "counsel-dead": {"counsel.collinearity.prompt-adapter"},
}


@pytest.fixture
def judged(reference, monkeypatch):
    """Judge the shipped suites with `overrides`: results by id."""
    monkeypatch.chdir(ROOT)

    def judge(overrides):
        suites = [load_suite(path, overrides) for path in sorted(Path("suites").glob("*.coherence.yaml"))]
        gate = Gate({suite: suite.assertions for suite in suites}, Store(store_root()))
        results = [gate.judge(suite, assertion) for suite in suites for assertion in suite.assertions]
        return {result.id: result for result in results}

    return judge


def overrides_in(name):
    """What an .args file replaces."""
    replaced = {"adapter": {}, "vector": {}}
    for line in (ROOT / "fixtures" / "bad" / f"{name}.args").read_text().split():
        option, artefact, path = line.split("=")
        replaced[option.removeprefix("--coherence-")][artefact] = path
    return Overrides(adapters=replaced["adapter"], vectors=replaced["vector"])


def test_the_good_release_passes(judged):
    assert [result.sentence for result in judged(Overrides()).values() if not result.green] == []


def test_every_bad_release_is_listed():
    assert {path.stem for path in (ROOT / "fixtures" / "bad").glob("*.args")} == STOPPED_BY.keys()


@pytest.mark.parametrize("name", STOPPED_BY)
def test_a_bad_release_is_stopped(judged, name):
    red = {id_: result for id_, result in judged(overrides_in(name)).items() if not result.green}
    assert red.keys() >= STOPPED_BY[name]
    assert {red[id_].verdict for id_ in STOPPED_BY[name]} == {Verdict.FAIL}
