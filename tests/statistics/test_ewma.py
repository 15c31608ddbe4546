"""The control chart: alarms of processes at home are as rare as stated, and those that leave it are found."""

import numpy as np
import pytest

from coherence.statistics.ewma import WEIGHT, averages, limit, onset, scores

HOME, CONVERSATIONS, LEVEL = 24, 200, 0.05


def share_of_alarms(draw, streams, members=1, two_sided=True, bound=None):
    """Share of made-up streams that go beyond the limit; `draw(generator, size)` is the law of one value."""
    generator = np.random.default_rng(7)
    bound = limit(HOME, CONVERSATIONS, LEVEL, two_sided, 0) if bound is None else bound
    alarms = 0
    for _ in range(streams):
        home = draw(generator, HOME)
        values = np.repeat(draw(generator, CONVERSATIONS), members)
        went = averages(scores(values, home), [members] * len(values))
        alarms += (np.abs(went) if two_sided else -went).max() > bound
    return alarms / streams


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize(
    "draw",
    [
        lambda generator, size: generator.normal(size=size),
        lambda generator, size: generator.exponential(size=size),
        lambda generator, size: generator.standard_cauchy(size=size),
    ],
)
def test_false_alarms_are_as_rare_as_stated_whatever_the_law(draw, two_sided):
    # Of 1,500 streams the share is within 0.05 +- 3 standard errors.
    assert 0.033 < share_of_alarms(draw, 1500, two_sided=two_sided) < 0.067


def test_with_ties_they_are_rarer():
    assert share_of_alarms(lambda generator, size: generator.integers(0, 3, size), 600) < 0.06
    assert share_of_alarms(lambda generator, size: (generator.random(size) < 0.9) * 1.0, 600) < 0.06


def test_turns_of_one_conversation_are_no_more_witnesses_than_one():
    # All turns of a conversation are the same here: counted each by itself they would alarm far too often.
    assert 0.03 < share_of_alarms(lambda generator, size: generator.normal(size=size), 800, members=5) < 0.07


def test_a_limit_for_known_values_would_alarm_too_often():
    # What the chart of Lucas and Saccucci has for 200 values when home is known: by 24 values it is not.
    generator, wide = np.random.default_rng(3), np.sqrt(WEIGHT / (2 - WEIGHT))
    known = np.array([np.abs(averages(generator.normal(size=200), [1] * 200)).max() for _ in range(800)])
    bound = np.quantile(known, 1 - LEVEL)
    assert bound / wide == pytest.approx(3.2, abs=0.3)
    assert share_of_alarms(lambda generator, size: generator.normal(size=size), 600, bound=bound) > 2 * LEVEL


def test_what_leaves_home_is_found_soon():
    generator = np.random.default_rng(1)
    bound, delays, onsets = limit(HOME, CONVERSATIONS, LEVEL, True, 0), [], []
    for _ in range(100):
        home = generator.normal(size=HOME)
        values = np.concatenate([generator.normal(size=100), generator.normal(size=100) - 3])
        went = averages(scores(values, home), [1] * 200)
        alarm = int(np.flatnonzero(np.abs(went) > bound)[0])
        delays.append(alarm - 100)
        onsets.append(onset(went, alarm, -1.0) - 100)
    assert np.median(delays) <= 10
    assert np.median(np.abs(onsets)) <= 10


def test_scores_are_of_ranks_with_ties_in_the_middle():
    home = np.array([1.0, 2.0, 2.0])
    found = scores(np.array([-np.inf, 2.0, 5.0, np.nan]), home)
    assert found[:3] == pytest.approx([-1.1503, 0.0 + 0.3186, 1.1503], abs=1e-3)
    assert np.isnan(found[3])


def test_an_average_stays_where_a_turn_has_no_value():
    assert averages(np.array([1.0, np.nan, 1.0]), [1, 1, 1]) == pytest.approx([0.1, 0.1, 0.19])


def test_a_conversation_weighs_the_same_however_many_turns_it_has():
    assert averages(np.ones(4), [4] * 4)[-1] == pytest.approx(averages(np.ones(1), [1])[-1])


def test_the_onset_is_the_turn_after_the_last_at_home():
    assert onset(np.array([0.1, -0.1, -0.5, -1.0]), 3, -1.0) == 1
    assert onset(np.array([-0.1, -0.5]), 1, -1.0) == 0


def test_a_seed_gives_the_same_limit():
    assert limit(16, 50, 0.02, False, 3) == limit(16, 50, 0.02, False, 3)
