import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.departure import Departure

CLUSTERS = [f"p{probe}" for probe in range(8)]
DEPTHS, PROBES, WIDTH = 3, 8, 6


def drawn(seed):
    return np.random.default_rng(seed).normal(size=(DEPTHS, PROBES, WIDTH))


@given(share=st.floats(-2, 2), scale=st.sampled_from([1e-6, 1.0, 1e6]), seed=st.integers(0, 50))
def test_a_share_of_what_was_expected_departs_by_what_is_missing(share, scale, seed):
    bare, moved = scale * drawn(seed), scale * drawn(seed + 100)
    found = Departure.of(bare + share * moved, bare + moved, bare)
    interval = found.ratio(CLUSTERS)
    for values in (interval.value, interval.low, interval.high, found.by_depth(), found.by_probe()):
        assert values == pytest.approx(abs(1 - share), abs=1e-6)


def test_depths_are_averaged_and_a_site_that_does_not_move_has_no_value():
    bare, moved = drawn(0), drawn(1)
    moved[0] = 0
    departure = Departure.of(bare + np.array([1, 0.5, 0])[:, None, None] * moved, bare + moved, bare)
    assert departure.still.tolist() == [True, False, False]
    assert departure.by_depth() == pytest.approx([np.nan, 0.5, 1.0], nan_ok=True)
    assert departure.at([1, 2]).ratio(CLUSTERS).value == pytest.approx(0.75)
    assert departure.at([1, 2]).by_probe() == pytest.approx(np.full(PROBES, 0.75))
    assert np.isnan(departure.ratio(CLUSTERS).value)


def test_a_probe_that_hardly_moves_does_not_rule():
    bare, moved = np.zeros((1, PROBES, WIDTH)), np.ones((1, PROBES, WIDTH))
    moved[0, 0] = 1e-3
    found = Departure.of(moved + 0.1, moved, bare)
    assert found.by_probe()[0] == pytest.approx(100)
    assert found.ratio(CLUSTERS).value == pytest.approx(0.1 * 8 / 7, rel=1e-3)
