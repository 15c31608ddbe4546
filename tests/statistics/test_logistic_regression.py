import numpy as np
import pytest

from coherence.statistics.logistic_regression import PENALTIES, LogisticRegression


def rows(apart: float, seed: int = 0, classes: int = 4, questions: int = 20, width: int = 200):
    """Rows of classes that lie `apart` from each other, about a topic that questions share."""
    drawn = np.random.default_rng(seed)
    centres = apart * np.linalg.qr(np.random.default_rng(9).normal(size=(width, classes)))[0].T
    topics = drawn.normal(size=(questions, width)) * 0.5
    values = centres[:, None] + topics + drawn.normal(size=(classes, questions, width)) * 0.2
    return (
        values.reshape(-1, width),
        np.repeat(np.arange(classes), questions),
        [f"q{question}" for _ in range(classes) for question in range(questions)],
    )


def test_classes_that_lie_apart_are_told_on_new_questions():
    known, new = rows(6.0), rows(6.0, seed=1)
    fitted = LogisticRegression.cross_validated(*known)
    assert (fitted.told(new[0]) == new[1]).mean() == 1
    assert np.exp(fitted.log_probabilities(new[0])).sum(1) == pytest.approx(1)


def test_classes_that_are_all_alike_are_told_by_chance_and_held_back_most():
    known, new = rows(0.0), rows(0.0, seed=1)
    fitted = LogisticRegression.cross_validated(*known)
    assert fitted.penalty == PENALTIES[0]
    assert (fitted.told(new[0]) == new[1]).mean() == pytest.approx(0.25, abs=0.12)


def test_the_fit_is_where_its_loss_has_no_slope():
    values, labels, _ = rows(1.0, questions=6, width=8)
    fitted = LogisticRegression.fitted(values, labels, 0.1)
    off = (np.exp(fitted.log_probabilities(values)) - np.eye(4)[labels]) / len(values)
    slope = ((values - fitted.centre) / fitted.scale).T @ off + 0.1 * fitted.weights
    assert np.abs(slope).max() < 1e-4


def test_classes_weigh_the_same_however_many_rows_they_have():
    values = np.repeat([[0.0], [1.0]], [5, 50], axis=0)
    fitted = LogisticRegression.fitted(values, np.repeat([0, 1], [5, 50]), 0.001)
    assert np.exp(fitted.log_probabilities(np.array([[0.5]])))[0, 0] == pytest.approx(0.5, abs=1e-3)


def test_rows_that_are_all_alike_are_told_by_nothing():
    fitted = LogisticRegression.fitted(np.ones((6, 4)), np.array([1, 1, 0, 0, 0, 0]), 0.01)
    assert fitted.probability(np.ones((2, 4)), 1) == pytest.approx([0.5, 0.5], abs=1e-3)


def test_two_classes_are_told_as_one_weight_vector_tells_them_at_half_the_penalty():
    values, labels, _ = rows(1.0, classes=2)
    fitted = LogisticRegression.fitted(values, labels, 0.1)
    between = fitted.weights[:, 1] - fitted.weights[:, 0]
    off = (fitted.probability(values, 1) - labels) / len(values)
    slope = off @ (values - fitted.centre) / fitted.scale + 0.1 / 2 * between
    assert np.abs(slope).max() < 1e-4
