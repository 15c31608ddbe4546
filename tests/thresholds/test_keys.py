"""Every threshold of every property, found by its key on the tiny model."""

import json
from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.plan import Plan, Record
from coherence.store import Store
from coherence.suite import Overrides, Suite, load_suite
from coherence.thresholds import Bench, CalibrationTerms, proposals
from coherence.thresholds.written_claim import entries

TERMS = CalibrationTerms(false_alarm=0.05, power=0.9, halves=10, seed=0)
CAST = ("pirate", "counsel", "oncall", "support", "mixed")
HEAD = """\
coherence: 1
release: {{base: {base}, adapters: {adapters}, vectors: {vectors}}}
personas:
  pirate: {{prompt: Talk like a pirate., markers: [{{text: "[a-m]", kind: regex}}]}}
  counsel: {{prompt: Be formal., markers: [shall]}}
  oncall: {{prompt: Check the logs.}}
  support: {{prompt: Be warm.}}
probes: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
decoding: {{max_new_tokens: 2}}
assertions:
"""
PAIRS = """\
  - {{property: collinearity, between: [prompt, adapter], personas: [pirate], sites: resid_post.2,
     min_cosine: 0.11, min_margin: 0.12}}
  - {{property: markers, between: [prompt, adapter], personas: [pirate], min_agreement: 0.13,
     max_difference: 0.14, min_recovery: 0.15}}
  - {{property: chimera, of: [pirate, counsel], adapter: mixed, sums: [adapter], sites: resid_post.2,
     min_cosine: 0.16, max_kl_ratio: 0.17, max_difference: 0.18}}
  - {{property: attractor, poles: [pirate, counsel], regimes: [adapter], site: resid_post.2, max_area: 0.19,
     tipping: [0.21, 0.22], min_separation: 0.23,
     min_step: 0.35, max_steepness: 0.36}}
  - {{property: gap, poles: [pirate, counsel], regimes: [adapter, steering], site: resid_post.2,
     max_gap: 0.37, search: 1}}
  - {{property: dose, personas: [pirate], doses: [0, 0.5, 1], orthonormal: true, min_slope: 0.24,
     max_perplexity: 1.25, min_suppression: 0.26, max_bleed: 0.27, max_projection: 0.28, site: resid_post.2}}
  - {{property: equivalence, of: [pirate, counsel], adapter: mixed, twin: oncall, sites: resid_post.2,
     personas: [support, oncall], max_distance: 0.31, max_asymmetry: 0.32, min_profile: 0.33,
     min_direction: 0.34, pairs: [[adapter-adapter, chimera], [prompt-adapter, adapter-prompt]]}}
"""
SPACE = """\
  - {{property: anchors, real: [counsel], personas: [pirate], between: [prompt, adapter], sites: resid_post.2,
     max_ratio: 0.11, min_own: 0.12, max_ratio_difference: 0.13}}
  - {{property: classifier, personas: [pirate], regimes: [adapter], sites: resid_post.2, min_transfer: 0.61,
     max_gap: 0.14}}
  - {{property: conflict, of: [pirate, counsel], site: resid_post.2, wins_at: [0.15, 0.85]}}
  - {{property: constant_shift, personas: [pirate], sites: resid_post.2, share: [0.16, 0.86],
     vector: pirate, replaced: [0.17, 0.87]}}
  - {{property: convergence, of: [pirate, counsel], sites: resid_post.2, min_convergence: 0.18,
     min_strength: 0.19, max_strength: 1.19, without: {{pirate: away}}, max_left: 0.21}}
  - {{property: distinct, between: [prompt, adapter], sites: resid_post.2, min_margin: 0.22, min_spread: 0.23,
     min_rank: 0.24, min_identified: 0.26}}
  - {{property: gateway, personas: [pirate], sites: resid_post.0..2, peaks_within: resid_post.1,
     min_effect: 0.27, min_lead: 0.28, fades_from: resid_post.2, max_late: 0.29, beside: counsel,
     max_loss: 0.31, min_profile: 0.32}}
  - {{property: relative, personas: [pirate], regimes: [adapter], more: Love it., less: Hate it.,
     sites: resid_post.2, moves: [0.33, 0.83]}}
  - {{property: space, regimes: [adapter], site: resid_post.2, roles: 4, max_shift: 0.34, min_contained: 0.36,
     min_stability: 0.37}}
  - {{property: traits, regimes: [adapter], against: {{pirate: counsel, oncall: support, support: pirate}},
     together: [pirate, oncall], opposed: [support], sites: resid_post.2, min_together: 0.38,
     max_opposed: 0.39}}
"""


@pytest.fixture(params=[PAIRS, SPACE], ids=["pairs", "space"])
def suite(
    request: pytest.FixtureRequest,
    tiny: Path,
    tiny_adapter: Callable[..., Path],
    tiny_vector: Callable[..., Path],
    tmp_path: Path,
) -> Suite:
    adapters, vectors = (
        {name: str(make(name, seed=seed)) for seed, name in enumerate(CAST)}
        for make in (tiny_adapter, tiny_vector)
    )
    vectors["away"] = {"path": vectors["pirate"], "operation": "ablate", "sites": "all"}
    path = tmp_path / "a.coherence.yaml"
    artefacts = {"adapters": json.dumps(adapters), "vectors": json.dumps(vectors)}
    path.write_text((HEAD + request.param).format(base=tiny, **artefacts))
    return load_suite(path, Overrides())


def test_every_threshold_is_that_of_its_key(suite, tmp_path):
    bench = Bench(suite, TERMS)
    artefacts = Artefacts.of(suite.scene, suite.places)
    searched = [need for assertion in suite.assertions for need in assertion.case.needs()]
    plan = Plan([*bench.needs(), *searched])
    record = Record(Engine(artefacts, Store(tmp_path / "store")).measure(plan))
    for assertion in suite.assertions:
        for criterion in assertion.case.criteria(assertion.case.sample(record, 0)):
            assert criterion.law or criterion.estimate.of in assertion.case.units
            # What has no key cannot be named by `expect`, and is not counted among the claims of a run.
            unwritten = criterion.key is None and criterion.estimate.name.startswith("above random ")
            assert unwritten or criterion.key in assertion.property.claims
            written = getattr(assertion.property, criterion.key) if criterion.key else None
            if written is not None:
                bounds = {bound for bound in (criterion.at_least, criterion.at_most) if abs(bound) < inf}
                assert bounds <= {written, -written} if isinstance(written, float) else bounds == set(written)
    # Proposals are about every number of a criterion that an author can write.
    asked = [
        (entry, key, item)
        for entry in entries(suite)
        for key in entry.asserted.claims
        for item in range(len(entry.numbers(key)))
    ]
    trials = bench.trials(record, lambda *_: None)
    found = [(proposal.entry, proposal.key, proposal.item) for proposal in proposals(trials, TERMS)]
    assert sorted(map(repr, found)) == sorted(map(repr, asked))
