"""The shipped suites on the reference model: the good release passes, every bad one is stopped.

Measurements go to the user's own store, so that repeating this is quick. The good release is judged with
looks, which measure less, and of a bad one what should stop it; `ci/nightly.sh` judges all of them whole.
"""

from pathlib import Path

import pytest

from coherence.gate import Gate
from coherence.store import Store, store_root
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Policy, Verdict

ROOT = Path(__file__).parent.parent

STOPPED_BY = {
    "wrong-persona": {"pirate.collinearity.prompt-adapter", "pirate.markers.prompt-adapter"},
    "half-opposite": {"upbeat.collinearity.prompt-adapter", "upbeat-gloomy.attractor.adapter"},
    "scaled-to-a-tenth": {"support.markers.prompt-adapter"},
    "flipped-vector": {"pirate.collinearity.adapter-steering"},
    # By collinearity alone: that hardly anything moves must show without anybody listening.
    "counsel-tenth": {"counsel.collinearity.prompt-adapter"},
    "counsel-dead": {"counsel.collinearity.prompt-adapter"},
    "exports/rslora-ignored": {"rslora.export.plain"},
    "space/default-at-sea": {"release.office.adapter"},
    "space/inverted": {"pirate.anchors.prompt-adapter"},
    "space/one-voice-for-all": {"release.distinct.prompt-adapter"},
    "space/one-voice-for-two": {"release.distinct.prompt-adapter"},
}
BAD = ROOT / "fixtures" / "bad"


@pytest.fixture
def judged(reference, monkeypatch):
    """Judge shipped suites of a folder with `overrides`, or the assertions of some `names`: results by id."""
    monkeypatch.chdir(ROOT)

    def judge(overrides, looks=(), names=None, folder="."):
        paths = sorted(Path("suites", folder).glob("*.coherence.yaml"))
        suites = [load_suite(path, overrides) for path in paths]
        selected = {
            suite: [one for one in suite.assertions if names is None or one.id in names] for suite in suites
        }
        gate = Gate(selected, Store(store_root()), policy=Policy(looks=looks))
        return {one.id: gate.judge(suite, one) for suite, chosen in selected.items() for one in chosen}

    return judge


def overrides_in(name):
    """What an .args file replaces."""
    replaced = {"adapter": {}, "vector": {}}
    for line in (BAD / f"{name}.args").read_text().split():
        option, artefact, path = line.split("=")
        replaced[option.removeprefix("--coherence-")][artefact] = path
    return Overrides(adapters=replaced["adapter"], vectors=replaced["vector"])


def test_the_good_release_passes(judged):
    results = judged(Overrides(), looks=(8, 16))
    assert [result.sentence for result in results.values() if not result.green] == []
    # Most known incoherences are clear early, and laws and what has tasks of its own have no looks.
    early = [
        one for one in results.values() if any(note.startswith("clear after") for note in one.evidence.notes)
    ]
    assert len(early) >= 10


def test_every_bad_release_is_listed():
    listed = BAD.rglob("*.args")
    assert {str(path.relative_to(BAD).with_suffix("")) for path in listed} == STOPPED_BY.keys()


@pytest.mark.parametrize("name", STOPPED_BY)
def test_a_bad_release_is_stopped(judged, name):
    results = judged(overrides_in(name), names=STOPPED_BY[name], folder=str(Path(name).parent))
    assert {id_: result.verdict for id_, result in results.items()} == dict.fromkeys(
        STOPPED_BY[name], Verdict.FAIL
    )
