import numpy as np
import pytest

from coherence.statistics.agreement import mean_share
from coherence.statistics.linear_classifier import PENALTY, CrossFitted, Recognition
from coherence.statistics.logistic_regression import LogisticRegression


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
    whole = LogisticRegression.fitted(np.concatenate([own, *others]), np.repeat([1, 0], [20, 60]), PENALTY)
    assert (whole.told(own) == 1).all()


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
