import numpy as np
import pytest

from coherence.statistics.constant_share import ConstantShare

PROBES, WIDTH = 24, 64
CLUSTERS = [str(number) for number in range(PROBES)]


def displaced(share: float, depths: int = 2, positions: int = 3, seed: int = 0) -> np.ndarray:
    """One vector, and what is each one's own, of which the first has a share of the mean square."""
    drawn = np.random.default_rng(seed)
    common = drawn.normal(size=(depths, 1, 1, WIDTH))
    common *= np.sqrt(share) / np.linalg.norm(common, axis=-1, keepdims=True)
    own = drawn.normal(size=(depths, positions, PROBES, WIDTH)) * np.sqrt((1 - share) / WIDTH)
    return (common + own).astype(np.float32)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_share_is_that_of_the_vector_that_all_have(share: float):
    made = ConstantShare.of(displaced(share), CLUSTERS).share()
    assert made.low <= share <= made.high
    assert made.value == pytest.approx(share, abs=0.05)


def test_one_vector_is_all_of_it():
    made = ConstantShare.of(np.ones((1, 2, PROBES, WIDTH), np.float32), CLUSTERS).share()
    assert (made.value, made.low, made.high) == pytest.approx((1, 1, 1))


def test_positions_that_are_moved_in_opposite_ways_have_nothing_in_common():
    both = np.concatenate([np.ones((1, 1, PROBES, WIDTH)), -np.ones((1, 1, PROBES, WIDTH))], axis=1)
    assert ConstantShare.of(both, CLUSTERS).share().value == 0


def test_chance_has_no_share():
    made = ConstantShare.of(displaced(0.0), CLUSTERS).share()
    assert made.low < 0 < made.high


def test_nothing_that_is_displaced_gives_no_value():
    assert np.isnan(ConstantShare.of(np.zeros((1, 1, PROBES, WIDTH)), CLUSTERS).share().value)


def test_each_depth_has_its_own():
    made = ConstantShare.of(np.concatenate([displaced(0.2, 1), displaced(0.8, 1)]), CLUSTERS)
    first, second = made.shares()
    assert first.high < second.low
    assert made.at([1]).share() == second
