import numpy as np
import pytest

from coherence.statistics.agreement import mean_share
from coherence.statistics.linear_classifier import PENALTY, CrossFitted, LinearClassifier, Recognition


def test_the_fit_is_where_its_loss_has_no_slope():
    drawn = np.random.default_rng(0)
    rows, belongs = drawn.normal(size=(30, 60)), np.arange(30) < 10
    rows[belongs] += 0.5
    fitted = LinearClassifier.fitted(rows, belongs)
    off = fitted.probability(rows) - belongs
    mass = np.where(belongs, 0.05, 0.025)
    slope = (mass * off) @ (rows - fitted.centre) / fitted.scale + PENALTY * fitted.weights
    assert np.abs(slope).max() < 1e-4
    assert abs(mass @ off) < 1e-4


def test_both_classes_weigh_the_same():
    rows = np.repeat([[0.0], [1.0]], [5, 50], axis=0)
    fitted = LinearClassifier.fitted(rows, np.arange(55) < 5)
    assert fitted.probability(np.array([[0.5]])) == pytest.approx(0.5, abs=1e-3)


def test_rows_that_are_all_alike_are_told_by_nothing():
    fitted = LinearClassifier.fitted(np.ones((6, 4)), np.arange(6) < 2)
    assert fitted.probability(np.ones((2, 4))) == pytest.approx([0.5, 0.5], abs=1e-3)


def test_no_question_is_read_by_a_classifier_that_has_seen_it():
    # Every label can be learnt by heart, and there is nothing else to learn.
    drawn = np.random.default_rng(1)
    topics = drawn.normal(size=(20, 400))
    noise = drawn.normal(size=(4, 20, 400)) * 0.1
    own, *others = topics + noise
    clusters = [f"t{probe // 2}" for probe in range(20)]
    read = CrossFitted(own, np.array(others), clusters)
    unseen = Recognition(read.probability(own)[None], read.probability(np.array(others))[None])
    assert unseen.accuracy.mean() == pytest.approx(0.5, abs=0.2)
    whole = LinearClassifier.fitted(np.concatenate([own, *others]), np.arange(80) < 20)
    assert (whole.probability(own) > 0.5).all()


def test_accuracy_is_balanced_and_calibration_counts_both_classes_alike():
    read = Recognition(np.array([[0.9, 0.4]]), np.array([[[0.1, 0.1], [0.1, 0.9], [0.1, 0.1]]]))
    assert read.accuracy == pytest.approx([1.0, (0 + 2 / 3) / 2])
    assert read.taken == (0.5, pytest.approx([0.0, 0.5, 0.0]))
    assert read.brier == pytest.approx(((0.01 + 0.36) / 2 + (5 * 0.01 + 0.81) / 6) / 2)
    # Bins at .1 (five others), .4 (own), .9 (own, and one other).
    assert read.calibration_error == pytest.approx(5 / 12 * 0.1 + 0.25 * 0.6 + abs(0.25 * 0.1 - 1 / 12 * 0.9))


def test_a_sample_that_is_all_right_has_an_interval():
    interval = mean_share(np.ones(24), [f"q{number}" for number in range(24)])
    assert interval.value == interval.high == 1
    assert 0.8 < interval.low < 0.95
