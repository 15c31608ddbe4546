import numpy as np

from coherence.properties.lengths import by_length
from coherence.vocabulary import Probe

PROBES = tuple(Probe(id=f"q{n}", text="x" * (n * 7 % 24 + 1)) for n in range(24))
LENGTHS = np.array([len(probe.text) for probe in PROBES])


def test_a_statistic_that_goes_with_length_is_told():
    noise = np.random.default_rng(0).normal(size=24)
    (rises,) = by_length("specific cosine", LENGTHS + 4 * noise, PROBES)
    assert rises.startswith("specific cosine rises with the length of the probe: Spearman's rho 0.8")
    (falls,) = by_length("agreement", LENGTHS < 12, PROBES)
    assert falls.startswith("agreement falls with the length of the probe: Spearman's rho -0.8")


def test_one_that_does_not_is_not():
    assert by_length("cosine", np.random.default_rng(3).normal(size=24), PROBES) == ()


def test_a_constant_goes_with_nothing():
    assert by_length("agreement", np.ones(24, dtype=bool), PROBES) == ()
    same = tuple(Probe(id=f"q{n}", text=f"Question {n + 10}?") for n in range(24))
    assert by_length("cosine", np.arange(24), same) == ()
