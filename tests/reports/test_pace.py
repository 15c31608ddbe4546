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
    """A pace after loading and a first batch, which tells nothing, however long it takes."""
    pace = Pace(clock)
    pace.expect(read(1) + work)
    clock.now += loading
    pace.begin()
    clock.run(pace, (read(1), 1000))
    return pace


def test_nothing_is_said_before_enough_is_known(clock):
    pace = expecting(clock, read(99))
    assert pace.seconds_left is None
    clock.run(pace, (read(3), 3))
    assert pace.seconds_left is None
    clock.run(pace, (read(1), 1))
    assert pace.seconds_left == pytest.approx(95)


def test_neither_loading_nor_the_first_batch_is_a_measure_of_the_rest(clock):
    pace = expecting(clock, read(100), loading=500)
    assert pace.share == 1 / 101
    clock.run(pace, (read(50), 5))
    assert pace.seconds_left == pytest.approx(5)
    assert pace.took == 1505


def test_what_was_expected_last_is_what_is_left(clock):
    pace = expecting(clock, read(99))
    clock.run(pace, (read(49), 4.9))
    pace.expect(read(100))  # of the next release, whose model takes a while
    assert pace.is_at_first
    clock.now += 1000
    pace.begin()
    assert pace.seconds_left == pytest.approx(10)
    assert (pace.share, pace.measurements) == (50 / 150, (2, 3))


@pytest.mark.parametrize("seconds", [(1, 1, 1), (1, 3, 0.5), (2, 0.3, 5)])
@pytest.mark.parametrize("rest", [Work(read=50), Work(generated=50), Work(searched=50), Work(0, 20, 5, 25)])
def test_each_kind_of_arithmetic_takes_as_long_as_it_took(clock, seconds, rest):
    def takes(work):
        kinds = (work.read, work.generated, work.searched)
        return sum(each * flops for each, flops in zip(seconds, kinds, strict=True))

    batches = [Work(1, read=10), Work(1, read=2, generated=10), Work(1, searched=10)] * 12
    pace = expecting(clock, Work.sum([*batches, rest]))
    clock.run(pace, *((batch, takes(batch)) for batch in batches))
    mean = sum(map(takes, batches)) / sum(batch.flops for batch in batches)
    wrong = abs(mean * rest.flops - takes(rest))  # what the mean of all kinds would be wrong by
    assert abs(pace.seconds_left - takes(rest)) <= 0.2 * wrong + 1e-6


def test_a_kind_that_was_not_seen_takes_as_long_as_the_others(clock):
    pace = expecting(clock, Work(3, read=10, searched=10))
    clock.run(pace, (read(10), 20))
    assert pace.seconds_left == pytest.approx(20)


def test_values_of_one_batch_are_one(clock):
    pace = expecting(clock, read(100, 4))
    clock.run(pace, (read(30), 60), (read(20), TOGETHER_S / 2))
    assert pace.seconds_left == pytest.approx(60, rel=0.01)
    assert pace.measurements == (3, 5)


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
    pace = Pace(clock)
    pace.expect(Work(4))
    clock.run(pace, (Work(1), 5), (Work(1), 5))
    assert pace.share == 0.5
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
