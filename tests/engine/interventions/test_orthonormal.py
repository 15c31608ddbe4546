import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from coherence.engine.interventions.orthonormal import orthonormal

seeds, counts = st.integers(0, 10_000), st.integers(1, 6)


def drawn(seed: int, count: int, width: int = 12) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, width))


def units(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def found(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    values = orthonormal(vectors)
    assert values is not None
    return values


@given(seed=seeds, count=counts)
def test_they_are_orthonormal_and_span_the_same(seed: int, count: int) -> None:
    vectors = drawn(seed, count)
    values = found(vectors)
    assert values @ values.T == pytest.approx(np.eye(count), abs=1e-8)
    assert vectors @ values.T @ values == pytest.approx(vectors, abs=1e-6)


@given(seed=seeds, count=counts)
def test_lengths_do_not_matter_and_none_comes_first(seed: int, count: int) -> None:
    vectors = drawn(seed, count)
    lengths = np.random.default_rng(seed).uniform(0.01, 100, size=(count, 1))
    order = np.random.default_rng(seed).permutation(count)
    values = found(vectors)
    assert found(lengths * vectors) == pytest.approx(values, abs=1e-6)
    assert found(vectors[order]) == pytest.approx(values[order], abs=1e-6)


@given(seed=seeds, count=counts)
def test_no_other_orthonormal_set_is_nearer(seed: int, count: int) -> None:
    vectors = drawn(seed, count)
    values = found(vectors)
    turned = np.linalg.qr(drawn(seed + 1, count, count))[0] @ values
    aside = np.linalg.norm(values - units(vectors))
    assert aside <= np.linalg.norm(turned - units(vectors)) + 1e-9
    assert (np.sum(values * vectors, axis=1) > 0).all()


def test_what_does_not_overlap_stays() -> None:
    assert found(np.diag([3.0, 0.1, 7.0])) == pytest.approx(np.eye(3))


@pytest.mark.parametrize("third", [[2.0, 0.0, 0.0], [-1.0, 1e-6, 0.0], [1.0, 1.0, 0.0]])
def test_what_depends_on_the_others_has_no_part_of_its_own(third: list[float]) -> None:
    assert orthonormal(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], third])) is None
