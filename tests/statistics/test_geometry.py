import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coherence.statistics.geometry import (
    ceiling,
    cosine,
    cosine_without_massive,
    massive_share,
    random_null,
    split_half_reliability,
)

vectors = arrays(np.float64, 6, elements=st.floats(-100, 100)).filter(lambda v: np.linalg.norm(v) > 1e-3)


def noisy_mean(probes, noise, width=64, seed=0):
    """Per-probe vectors around one of length 1; the expected reliability is 1 / (1 + noise^2 / probes)."""
    drawn = np.random.default_rng(seed)
    direction = drawn.normal(size=width)
    return direction / np.linalg.norm(direction) + noise * drawn.normal(size=(probes, width)) / np.sqrt(width)


@given(vectors, vectors, st.floats(0.01, 100))
def test_a_cosine_is_bounded_symmetric_and_blind_to_length(a, b, scale):
    found = cosine(a, b)
    assert -1 <= found <= 1
    assert cosine(b, a) == pytest.approx(found)
    assert cosine(scale * a, b) == pytest.approx(found, abs=1e-9)
    assert cosine(-a, b) == pytest.approx(-found, abs=1e-9)
    assert cosine(a, a) == pytest.approx(1)


def test_the_cosine_with_nothing_is_undefined_and_never_zero():
    assert np.isnan(cosine(np.zeros(3), np.ones(3)))
    found = cosine(np.array([[1.0, 0], [0, 0]]), np.array([1.0, 1]))
    assert found == pytest.approx([np.sqrt(0.5), np.nan], nan_ok=True)


@pytest.mark.parametrize("noise", [1.0, 3.0, 5.0])
def test_reliability_is_the_share_of_the_mean_that_is_not_noise(noise):
    found = split_half_reliability(np.stack([noisy_mean(24, noise, seed=seed) for seed in range(30)]), seed=0)
    assert found.mean() == pytest.approx(1 / (1 + noise**2 / 24), abs=0.05)


def test_reliability_works_on_all_sites_at_once():
    sites = np.stack([noisy_mean(24, 1, seed=1), noisy_mean(24, 4, seed=2), np.zeros((24, 64))])
    found = split_half_reliability(sites, seed=0)
    assert found[0] == pytest.approx(split_half_reliability(sites[0], seed=0))
    assert found[0] > found[1]
    assert np.isnan(found[2])


@given(arrays(np.float64, (6, 4), elements=st.floats(-10, 10)), st.integers(0, 3))
def test_reliability_is_between_0_and_1_or_undefined(per_probe, seed):
    found = split_half_reliability(per_probe, seed, splits=20)
    assert np.isnan(found) or 0 <= found <= 1


def test_noise_that_a_template_repeats_is_not_reliable():
    repeated = np.repeat(noisy_mean(8, 3), 3, axis=0)
    clusters = [f"t{i // 3}" for i in range(24)]
    clustered = split_half_reliability(repeated, seed=0, clusters=clusters)
    assert clustered < split_half_reliability(repeated, seed=0) - 0.05


def test_isotropic_activations_give_the_isotropic_null():
    activations = np.random.default_rng(0).normal(size=(1000, 50))
    found = random_null(activations, np.eye(50)[0], seed=0)
    assert found == pytest.approx(1.96 / np.sqrt(50), rel=0.12)


def test_activations_that_vary_along_the_direction_raise_the_null():
    activations = np.random.default_rng(0).normal(size=(200, 50))
    activations[:, 0] *= 20
    assert random_null(activations, np.eye(50)[0], seed=0) > 0.9
    assert random_null(activations, np.eye(50)[1], seed=0) < 0.3


def test_the_null_forgets_where_the_activations_are_centred():
    activations = np.random.default_rng(0).normal(size=(2, 30, 8))
    direction = np.ones((2, 8))
    moved = random_null(activations + 1000, direction, seed=0)
    assert moved == pytest.approx(random_null(activations, direction, seed=0))
    assert moved.shape == (2,)


def test_massive_dimensions_and_the_cosine_without_them():
    a, b = np.ones(100), np.where(np.arange(100) % 2, 1.0, -1.0)
    a[:3] = b[:3] = 100
    assert massive_share(a) == pytest.approx(30000 / 30097)
    assert massive_share(np.ones(100)) == pytest.approx(0.03)
    assert cosine(a, b) > 0.99
    assert cosine_without_massive(a, b) == pytest.approx(0, abs=0.02)


def test_the_ceiling_is_that_of_both_reliabilities():
    one, two = noisy_mean(40, 1.0), noisy_mean(40, 6.0, seed=1)
    clusters = [str(row) for row in range(40)]
    below, above = (split_half_reliability(side, 0, clusters=clusters) for side in (two, one))
    assert ceiling(one, two, clusters, 0) == pytest.approx(np.sqrt(below * above))
    assert below < ceiling(one, two, clusters, 0) < above
