"""How long the rest takes, by the arithmetic that was done: on a clock that tests move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.plan.workload import Work
from coherence.reports.pace import TOGETHER_S, Pace, remaining


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def run(self, pace, *batches):
        """Let batches be measured, each a work and how long it takes."""
        for work, seconds in batches:
            self.now += seconds
            pace.made(work)


@pytest.fixture
def clock():
    return Clock()


def read(flops, measurements=1):
    return Work(measurements, read=flops)


def expecting(clock, work, loading=0.0):
    pace = Pace(clock)
    pace.expect(work)
    clock.now += loading
    pace.begin()
    return pace


def test_nothing_is_said_before_enough_is_known(clock):
    pace = expecting(clock, read(100))
    assert pace.seconds_left is None
    clock.run(pace, (read(4), 4))
    assert pace.seconds_left is None
    clock.run(pace, (read(2), 2))
    assert pace.seconds_left == pytest.approx(94)


def test_loading_is_no_measure_of_the_rest(clock):
    pace = expecting(clock, read(100), loading=1000)
    clock.run(pace, (read(50), 5))
    assert pace.seconds_left == pytest.approx(5)
    assert pace.took == 1005


def test_what_was_expected_last_is_what_is_left(clock):
    pace = expecting(clock, read(100))
    clock.run(pace, (read(50), 5))
    pace.expect(read(100))  # of the next release, whose model takes a while
    assert pace.is_at_first
    clock.now += 1000
    pace.begin()
    assert pace.seconds_left == pytest.approx(10)
    assert (pace.share, pace.measurements) == (50 / 150, (1, 2))


@given(
    slow=st.floats(0.1, 10),
    rests=st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100)),
    count=st.integers(4, 12),
)
def test_each_kind_of_arithmetic_takes_as_long_as_it_took(slow, rests, count):
    clock = Clock()
    rest = Work(1, *rests)
    seconds = (1.0, slow, 3.0)
    batches = [Work(1, read=10), Work(1, read=2, said=10), Work(1, searched=10)] * count
    pace = expecting(clock, Work.sum([*batches, rest]))
    took = [
        sum(each * flops for each, flops in zip(seconds, (one.read, one.said, one.searched), strict=True))
        for one in batches
    ]
    clock.run(pace, *zip(batches, took, strict=True))
    truth = sum(each * flops for each, flops in zip(seconds, rests, strict=True))
    mean = sum(took) / sum(one.flops for one in batches)
    # Nearer to the truth than by the mean of all kinds, from which the fit begins.
    if pace.seconds_left is not None:
        assert abs(pace.seconds_left - truth) <= abs(mean * rest.flops - truth) * 0.6 + 0.3 * truth + 1e-6


def test_a_kind_that_was_not_seen_takes_as_long_as_the_others(clock):
    pace = expecting(clock, Work(3, read=10, searched=10))
    clock.run(pace, (read(10), 20))
    assert pace.seconds_left == pytest.approx(20)


def test_values_of_one_batch_are_one(clock):
    pace = expecting(clock, read(100, 4))
    clock.run(pace, (read(30), 60), (read(20), TOGETHER_S / 2))
    assert pace.seconds_left == pytest.approx(60, rel=0.01)
    assert pace.measurements == (2, 4)


@given(seconds=st.floats(1, 1e5))
def test_time_left_goes_down_and_is_never_gone_before_the_work_is(seconds):
    clock = Clock()
    pace = expecting(clock, read(2))
    clock.run(pace, (read(1), seconds))
    said = []
    for _ in range(20):
        said.append(pace.seconds_left)
        clock.now += seconds / 4
    assert said == sorted(said, reverse=True)
    assert said[0] == pytest.approx(seconds)
    assert said[4] == pytest.approx(seconds / 2)  # it should be done by then, and is not
    assert said[-1] > seconds / 8


def test_without_arithmetic_measurements_count(clock):
    pace = expecting(clock, Work(4))
    clock.run(pace, (Work(1), 5))
    assert pace.share == 0.25
    assert pace.seconds_left is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "time left not known yet"),
        (0.0, "a few seconds left"),
        (9.9, "a few seconds left"),
        (31, "about 40 s left"),
        (89, "about 90 s left"),
        (91, "about 2 min left"),
        (3601, "about 61 min left"),
        (9000, "about 2.5 h left"),
    ],
)
def test_it_is_said_as_roughly_as_it_is_known(seconds, said):
    assert remaining(seconds) == said
