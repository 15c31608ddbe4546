"""What a run would measure: counted without a model, and nothing once it is stored."""

import re
from dataclasses import replace

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.forecast import forecast
from coherence.plan import Plan, conditions_of
from coherence.store import Store
from coherence.suite import Overrides, load_suite

SUITE = """\
coherence: 1
release:
  base: {base}
  adapters: {{pirate: {pirate}, counsel: {counsel}, oncall: {oncall}}}
  vectors: {{pirate: {vector}}}
personas:
  pirate: {{prompt: Talk like a pirate., markers: [arr]}}
  counsel: {{prompt: Talk like a lawyer.}}
  oncall: {{prompt: Be terse.}}
probes: [Is it 1?, Is it 2?, Is it 3?, Is it 4?, Is it 5?, Is it 6?, Is it 7?, Is it 8?]
decoding: {{max_new_tokens: 3}}
assertions:
  - property: collinearity
    between: [prompt, adapter]
    personas: [pirate]
    sites: resid_post.2
    min_cosine: 0.5
  - property: markers
    between: [prompt, adapter]
    min_agreement: 0
    max_difference: 0.5
    min_recovery: 0
  - {{property: dose, doses: [0, 0.25, 0.5], min_slope: 0.1, max_perplexity: 2}}
  - {{property: commutativity, laws: [scale-zero], examples: 2}}
"""


@pytest.fixture
def suite(tmp_path, tiny, tiny_adapter, tiny_vector):
    path = tmp_path / "a.coherence.yaml"
    adapters = {
        name: tiny_adapter(name, seed=seed) for seed, name in enumerate(("pirate", "counsel", "oncall"))
    }
    path.write_text(SUITE.format(base=tiny, vector=tiny_vector("pirate"), **adapters))
    return load_suite(path, Overrides())


def everything(suite):
    needs = [one for assertion in suite.assertions for one in assertion.case.measurements()]
    return Plan([*needs, *(one for assertion in suite.assertions for one in assertion.control_needs())])


def test_every_measurement_is_counted_once_and_for_whom_it_is(suite, tmp_path):
    found = forecast({suite: suite.assertions}, Store(tmp_path / "store"))
    assert sum(part.measurements for part in found.parts) == len(everything(suite))
    purposes = {(part.property, part.purpose) for part in found.parts}
    assert {("collinearity", "claim"), ("collinearity", "controls"), ("commutativity", "laws")} <= purposes
    (laws,) = (part for part in found.parts if part.purpose == "laws")
    assert laws.tokens.generated == 0
    (said,) = (part for part in found.parts if (part.property, part.purpose) == ("markers", "claim"))
    assert said.tokens.generated > 0


def test_what_only_some_controls_take_is_apart(suite, tmp_path):
    """Two random vectors answer in any case; three more, and the perplexity of all, are rarely needed."""
    store = Store(tmp_path / "store")
    found = forecast({suite: suite.assertions}, store)
    by_purpose = {
        purpose: parts for (name, purpose), parts in found.by("property", "purpose").items() if name == "dose"
    }
    counts = {purpose: sum(part.measurements for part in parts) for purpose, parts in by_purpose.items()}
    probes, doses, draws = 8, 2, 5
    # Of either draw its replies; then those of all others, and what the bare model makes of each.
    assert counts["controls"] == 2 * doses * probes
    assert counts["further"] == (draws - 2) * doses * probes + draws * doses * probes
    assert found.flops + found.further == pytest.approx(sum(part.flops for part in found.parts))
    assert found.further > 0
    begun = [
        need for one in suite.assertions for need in (*one.case.measurements(), *one.begun_control_needs())
    ]
    Engine(Artefacts.of(suite.scene, suite.places), store).measure(Plan(begun))
    stored = forecast({suite: suite.assertions}, store)
    # What these share with what is stored is read again with the first of them.
    assert stored.flops == 0 < found.further <= stored.further


def test_what_is_stored_costs_nothing(suite, tmp_path):
    store = Store(tmp_path / "store")
    Engine(Artefacts.of(suite.scene, suite.places), store).measure(everything(suite))
    found = forecast({suite: suite.assertions}, store)
    assert (found.flops, found.further) == (0, 0)
    assert all(part.stored == part.measurements for part in found.parts)


def test_suites_of_one_release_share_what_they_measure(suite, tmp_path):
    again = replace(suite)
    store = Store(tmp_path / "store")
    alone = forecast({suite: suite.assertions}, store)
    both = forecast({suite: suite.assertions, again: again.assertions}, store)
    assert both.flops == alone.flops


def test_what_another_release_stores_is_not_measured_again(suite, tmp_path, tiny_adapter):
    """Two releases that differ by one adapter share all that it has no part in."""
    store, path = Store(tmp_path / "store"), tmp_path / "other.coherence.yaml"
    counsel, newer = suite.scene.release.adapters["counsel"], tiny_adapter("newer", seed=9)
    path.write_text(suite.path.read_text().replace(f"counsel: {counsel}", f"counsel: {newer}"))
    other = load_suite(path, Overrides())
    assert other.release_key != suite.release_key
    alone = forecast({suite: suite.assertions}, store)
    both = forecast({suite: suite.assertions, other: other.assertions}, store)
    own = [one for one in everything(other) if "counsel" in adapters_of(one)]
    assert 0 < len(own) < len(everything(other))
    assert counted(both) == counted(alone) + len(own)


def adapters_of(measurement):
    return {name for condition in conditions_of(measurement) for name, _ in condition.adapters}


def counted(found):
    return sum(part.measurements for part in found.parts)


def test_of_looks_the_first_is_expected_and_the_others_go_further(suite, tmp_path):
    store, path = Store(tmp_path / "store"), tmp_path / "more.coherence.yaml"
    probes = ", ".join(f"Is it {number}?" for number in range(24))
    path.write_text(re.sub(r"probes: \[.*\]", f"probes: [{probes}]", suite.path.read_text()))
    more = load_suite(path, Overrides())
    whole, looked = (forecast({more: more.assertions}, store, looks) for looks in ((), (8, 16)))
    assert looked.flops < whole.flops
    # What was expected at once goes further now, and example replies of each look come to it.
    assert looked.flops + looked.further >= whole.flops + whole.further
    assert forecast({more: more.assertions}, store, looks=(24,)).parts == whole.parts
