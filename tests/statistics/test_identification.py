import numpy as np
import pytest

from coherence.statistics.identification import confusion, identified, nearest

WIDTH, PROBES, PERSONAS = 40, 24, 4
CLUSTERS = [f"t{i // 2}" for i in range(PROBES)]
AXES = np.linalg.qr(np.random.default_rng(9).normal(size=(WIDTH, PERSONAS + 1)))[0].T


def replies(axes, noise=0.1, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(len(axes), 1, PROBES, WIDTH)) / np.sqrt(WIDTH)
    return axes[:, None, None] + 3 * AXES[-1] + noise * drawn


def test_personas_that_speak_apart_are_told():
    known = replies(AXES[:-1], noise=0.5)
    told = nearest(known, replies(0.3 * AXES[:-1], seed=1), CLUSTERS)
    np.testing.assert_array_equal(confusion(told), np.eye(PERSONAS))
    share = identified(told, CLUSTERS)
    assert share.value == 1
    assert 0.75 < share.low < 1 == share.high


def test_one_voice_for_two_is_told_as_one_of_them():
    merged = np.array([AXES[0], AXES[1], AXES[2], AXES[2]])
    told = nearest(replies(AXES[:-1]), replies(merged, seed=1), CLUSTERS)
    np.testing.assert_array_equal(confusion(told)[3], [0, 0, 1, 0])
    assert identified(told, CLUSTERS).value == pytest.approx(0.75)


def test_where_all_are_noise_it_is_chance():
    nothing = np.zeros((PERSONAS, WIDTH))
    share = identified(nearest(replies(nothing), replies(nothing, seed=1), CLUSTERS), CLUSTERS)
    assert share.low < 1 / PERSONAS < share.high


def test_a_reply_is_not_told_by_itself_nor_by_one_of_its_cluster():
    noise = replies(np.zeros((PERSONAS, WIDTH)), noise=10, seed=3)
    twins = np.repeat(noise[:, :, ::2], 2, axis=2)
    assert identified(nearest(twins, twins, CLUSTERS), CLUSTERS).value < 0.5


def test_the_interval_holds_the_truth_as_often_as_it_says():
    drawn, truth = np.random.default_rng(0), 0.8
    own = np.arange(PERSONAS)[:, None]
    shares = [
        identified(np.where(drawn.random((PERSONAS, PROBES)) < truth, own, -1), CLUSTERS) for _ in range(400)
    ]
    assert np.mean([one.low <= truth <= one.high for one in shares]) >= 0.93
