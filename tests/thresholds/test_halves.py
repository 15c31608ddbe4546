"""Halves of a sample: probes of the suite, its scripts, or what a property lists itself."""

import numpy as np
import pytest
from drifting import SCRIPTS, scene

from coherence.errors import SuiteError
from coherence.properties.composition.factorial import Factorial
from coherence.properties.conversations.drift import Drift
from coherence.thresholds.halves import Sample, size, spread_of_whole
from coherence.vocabulary import Probe

TASKS = tuple(Probe(id=f"task-{n}", text=f"Do {n}.", template=f"t{n // 2}") for n in range(20))


@pytest.fixture
def sample(load):
    """The probes of a suite about markers."""

    def sample(**options):
        suite = load(**options)
        return Sample(suite.assertions[0].property, suite.scene, "probes")

    return sample


def probes(cases):
    """The probes that cases ask."""
    (found,) = {case.scene.probes for case in cases}
    return found


def test_half_of_the_probes_in_their_order(sample):
    whole = sample()
    drawn = [probes(cases) for cases in whole.halves(20, seed=1)]
    for half in drawn:
        assert len(half) == 12
        assert list(half) == [probe for probe in whole.scene.probes if probe in half]
    assert len(set(drawn)) > 15


def test_templates_stay_together(sample):
    whole = sample(probes=36, per_template=4)
    for half in map(probes, whole.halves(20, seed=1)):
        assert len(half) == 28
        assert len({probe.cluster for probe in half}) == size(9) == 7


def test_the_seed_alone_decides(sample):
    whole = sample()
    assert whole.halves(10, seed=1) == whole.halves(10, seed=1)
    assert whole.halves(10, seed=1) != whole.halves(10, seed=2)
    assert whole.halves(20, seed=1)[:10] == whole.halves(10, seed=1)


def test_too_few_clusters_are_a_sentence(sample):
    with pytest.raises(SuiteError, match=r"^has 6 independent probes; expected at least 8"):
        sample(probes=24, per_template=4).halves(10, seed=0)


@pytest.mark.parametrize("listed", [None, tuple(script.id for script in SCRIPTS)])
def test_half_of_the_scripts(listed):
    asked = Drift(property="drift", site="resid_post.1", regimes=["adapter"], max_drift=1, scripts=listed)
    whole = Sample(asked, scene(), "scripts")
    assert whole.clusters == [script.id for script in SCRIPTS]
    for cases in whole.halves(10, seed=0):
        for case in cases:
            assert len(case.drifting.conversations.scripts) == 6
            assert len(case.drifting.scene.probes) == 16


def test_scripts_that_a_property_does_not_list_are_none_of_its_sample():
    listed = [script.id for script in SCRIPTS[:7]]
    asked = Drift(property="drift", site="resid_post.1", regimes=["adapter"], max_drift=1, scripts=listed)
    with pytest.raises(SuiteError, match=r"^has 7 independent scripts; expected at least 8"):
        Sample(asked, scene(), "scripts").halves(10, seed=0)


def test_half_of_the_tasks_of_its_own():
    asked = Factorial(property="factorial", sites="resid_post.1", tasks=TASKS)
    whole = Sample(asked, scene(), "tasks")
    assert whole.clusters == [f"t{n}" for n in range(10)]
    for cases in whole.halves(10, seed=0):
        (tasks,) = {case.grid.tasks for case in cases}
        assert len(tasks) == 16
        assert list(tasks) == [task for task in TASKS if task in tasks]


@pytest.mark.parametrize(("clusters", "half"), [(8, 6), (9, 7), (10, 8), (12, 8), (16, 8), (17, 9), (24, 12)])
def test_a_half_has_eight_clusters_where_two_others_are_left(clusters, half):
    assert size(clusters) == half


@pytest.mark.parametrize("clusters", [8, 9, 12, 24, 25])
def test_halves_tell_the_error_of_the_whole(clusters):
    random = np.random.default_rng(0)
    values = random.normal(size=clusters)
    means = [values[random.permutation(clusters)[: size(clusters)]].mean() for _ in range(20_000)]
    error = values.std(ddof=1) / np.sqrt(clusters)
    assert np.std(means) * spread_of_whole(clusters) == pytest.approx(error, rel=0.02)
