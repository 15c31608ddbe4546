"""Halves of a suite's probes."""

import numpy as np
import pytest

from coherence.errors import SuiteError
from coherence.thresholds.halves import halves, names, size, spread_of_whole


def test_half_of_the_probes_in_their_order(load):
    scene = load().scene
    drawn = halves(scene, 20, seed=1)
    for half in drawn:
        assert len(half.probes) == 12
        assert list(half.probes) == [probe for probe in scene.probes if probe in half.probes]
    assert len({half.probes for half in drawn}) > 15
    assert {half.personas is scene.personas for half in drawn} == {True}


def test_templates_stay_together(load):
    scene = load(probes=36, per_template=4).scene
    for half in halves(scene, 20, seed=1):
        assert len(half.probes) == 20
        assert len(names(half.probes)) == size(9) == 5


def test_the_seed_alone_decides(load):
    scene = load().scene
    assert halves(scene, 10, seed=1) == halves(scene, 10, seed=1)
    assert halves(scene, 10, seed=1) != halves(scene, 10, seed=2)
    assert halves(scene, 20, seed=1)[:10] == halves(scene, 10, seed=1)


def test_too_few_clusters_are_a_sentence(load):
    with pytest.raises(SuiteError, match=r"has 6 independent probes .* expected at least 8"):
        halves(load(probes=24, per_template=4).scene, 10, seed=0)


@pytest.mark.parametrize("clusters", [8, 9, 24, 25])
def test_halves_tell_the_error_of_the_whole(clusters):
    random = np.random.default_rng(0)
    values = random.normal(size=clusters)
    means = [values[random.permutation(clusters)[: size(clusters)]].mean() for _ in range(20_000)]
    error = values.std(ddof=1) / np.sqrt(clusters)
    assert np.std(means) * spread_of_whole(clusters) == pytest.approx(error, rel=0.02)
