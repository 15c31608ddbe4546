import heapq
from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from coherence.engine.requests.job import FEWEST, MEASUREMENTS, jobs, rounds, waves
from coherence.plan import (
    Answer,
    Condition,
    LawName,
    LawSearch,
    Measurement,
    NextToken,
    Outcome,
    Plan,
    Reading,
    Reply,
    rests_on,
)
from coherence.vocabulary import Decoding, Position, Probe

CONDITIONS = [Condition(name) for name in ("One.", "Two.", "Three.")]
PROBES = [Probe(id=name, text=f"{name}?") for name in ("a", "b")]
conditions, probes = st.sampled_from(CONDITIONS), st.sampled_from(PROBES)
replies = st.builds(Reply, conditions, probes, st.integers(0, 1).map(lambda seed: Decoding(seed=seed)))


@st.composite
def means(draw: st.DrawFn) -> Reading:
    """The reply that is read is of the same probe, and of any condition."""
    text = draw(replies)
    return Reading(draw(conditions), text.probe, Position.RESPONSE_MEAN, text)


laws = st.integers(0, 2).map(
    lambda seed: LawSearch(LawName.BATCH_MATES, tuple(CONDITIONS), tuple(PROBES), 1e-4, 2, seed)
)
measurements: st.SearchStrategy[Measurement] = st.one_of(
    replies, means(), st.builds(Reading, conditions, probes), st.builds(NextToken, conditions, probes), laws
)
plans = st.lists(measurements, max_size=24).map(Plan)


@st.composite
def halves(draw: st.DrawFn) -> tuple[list[Measurement], dict[Measurement, Outcome]]:
    """What of a plan is missing, and what is known."""
    missing: list[Measurement] = []
    known: dict[Measurement, Outcome] = {}
    for measurement in draw(plans):
        if isinstance(measurement, Reply) and draw(st.booleans()):
            known[measurement] = Answer("Yes.", (1, 2))
        else:
            missing.append(measurement)
    return missing, known


def owner(measurement: Measurement) -> Hashable:
    return measurement if isinstance(measurement, LawSearch) else measurement.condition


workers = st.integers(1, 4)


@given(half=halves(), workers=workers)
def test_nothing_is_lost_and_nothing_comes_twice(
    half: tuple[list[Measurement], dict[Measurement, Outcome]], workers: int
) -> None:
    missing, known = half
    cut = [
        found for wave in waves(missing) for job in jobs(wave, known, workers) for found in job.measurements
    ]
    assert len(cut) == len(missing)
    assert set(cut) == set(missing)


@given(half=halves(), workers=workers)
def test_a_reply_is_there_when_another_condition_reads_it(
    half: tuple[list[Measurement], dict[Measurement, Outcome]], workers: int
) -> None:
    missing, known = half
    for wave in waves(missing):
        for job in jobs(wave, known, workers):
            for reading in job.measurements:
                if isinstance(reading, Reading) and reading.text is not None:
                    own = reading.condition == reading.text.condition
                    assert reading.text in job.known or (own and reading.text in job.measurements)
                    assert job.known.get(reading.text) == known.get(reading.text)
        known = known | dict.fromkeys(wave, Answer("No.", (3,)))


@given(half=halves())
def test_a_job_is_of_whole_conditions_and_a_law_is_alone(
    half: tuple[list[Measurement], dict[Measurement, Outcome]],
) -> None:
    missing, known = half
    for wave in waves(missing):
        cut = jobs(wave, known)
        owners = [{owner(found) for found in job.measurements} for job in cut]
        assert sum(map(len, owners)) == len(set().union(*owners))
        for job in cut:
            assert job.measurements
            if any(isinstance(found, LawSearch) for found in job.measurements):
                assert len(job.measurements) == 1


def test_a_job_knows_nothing_that_it_does_not_read() -> None:
    read, other = (Reply(CONDITIONS[0], probe, Decoding()) for probe in PROBES)
    known: dict[Measurement, Outcome] = {read: Answer("Yes.", (1,)), other: Answer("No.", (2,))}
    reading = Reading(CONDITIONS[1], PROBES[0], Position.RESPONSE_MEAN, read)
    (job,) = jobs([reading], known)
    assert job.known == {read: known[read]}


def test_a_job_is_full_at_a_size_and_splits_no_condition() -> None:
    many = [Probe(id=f"q{index}", text=f"{index}?") for index in range(MEASUREMENTS - 1)]
    wave: list[Measurement] = [Reading(condition, probe) for probe in many for condition in CONDITIONS]
    assert [len(job.measurements) for job in jobs(wave, {})] == [2 * len(many), len(many)]


@given(half=halves(), workers=st.integers(2, 4))
def test_for_several_workers_laws_are_first_and_a_prompt_stays_together(
    half: tuple[list[Measurement], dict[Measurement, Outcome]], workers: int
) -> None:
    missing, known = half
    for wave in waves(missing):
        cut = [job.measurements for job in jobs(wave, known, workers)]
        laws = [isinstance(found[0], LawSearch) for found in cut]
        assert laws == sorted(laws, reverse=True)
        assert all(len(found) == 1 for found, law in zip(cut, laws, strict=True) if law)
        prompts = [
            {(found.condition, found.probe) for found in members if not isinstance(found, LawSearch)}
            for members in cut
        ]
        assert sum(map(len, prompts)) == len(set().union(*prompts))


@given(
    conditions=st.integers(1, 6),
    probes=st.integers(1, 60),
    kinds=st.integers(1, 2),
    workers=st.integers(2, 5),
)
def test_several_workers_end_at_about_the_same_time(
    conditions: int, probes: int, kinds: int, workers: int
) -> None:
    asked = [Probe(id=f"q{index}", text=f"{index}?") for index in range(probes)]
    wave: list[Measurement] = [
        kind(Condition(f"{index}."), probe)
        for index in range(conditions)
        for probe in asked
        for kind in (Reading, NextToken)[:kinds]
    ]
    ends = [0] * workers
    for job in jobs(wave, {}, workers):
        heapq.heapreplace(ends, ends[0] + len(job.measurements))
    assert max(ends) - min(ends) <= 2 * FEWEST


def test_conditions_stay_whole_as_long_as_there_is_one_for_each_worker() -> None:
    asked = [Probe(id=f"q{index}", text=f"{index}?") for index in range(16)]
    wave: list[Measurement] = [
        Reading(Condition(f"{index}."), probe) for index in range(6) for probe in asked
    ]
    assert [len(job.measurements) for job in jobs(wave, {}, 2)] == [32, 16, 16, 16, 8, 8]


@given(half=halves(), portions=st.lists(plans, max_size=4), least=st.integers(1, 30))
def test_rounds_have_everything_once_and_after_what_it_rests_on(
    half: tuple[list[Measurement], dict[Measurement, Outcome]], portions: list[Plan], least: int
) -> None:
    missing, known = half
    done: list[Measurement] = []
    for wave in rounds(missing, portions, least):
        for one in wave:
            own = isinstance(one, Reading) and one.text is not None and one.condition == one.text.condition
            for needed in rests_on(one):
                assert needed in known or needed in done or (own and needed in wave)
        done += wave
    assert len(done) == len(missing)
    assert set(done) == set(missing)


prompts = st.lists(
    st.one_of(replies, st.builds(Reading, conditions, probes), st.builds(NextToken, conditions, probes)),
    max_size=24,
).map(Plan)


@given(plan=prompts, portions=st.lists(prompts, max_size=4), least=st.integers(1, 30))
def test_no_condition_is_gone_back_to_for_another_portion(
    plan: Plan, portions: list[Plan], least: int
) -> None:
    waves_of = [{owner(one) for one in wave} for wave in rounds(list(plan), portions, least)]
    assert sum(map(len, waves_of)) == len(set().union(*waves_of))


def test_a_portion_comes_to_its_end_before_the_next_is_begun() -> None:
    one, two, three = (Reading(condition, PROBES[0]) for condition in CONDITIONS)
    besides = Reading(CONDITIONS[1], PROBES[1])
    wanted = [Plan([two]), Plan([three])]
    assert list(rounds([one, two, three, besides], wanted, least=1)) == [[two, besides], [three], [one]]


def test_a_reading_waits_for_a_reply_that_its_portion_does_not_want() -> None:
    reply = Reply(CONDITIONS[0], PROBES[0], Decoding())
    later = Reading(CONDITIONS[1], PROBES[0], Position.RESPONSE_MEAN, reply)
    early = Reading(
        CONDITIONS[1], PROBES[0], Position.RESPONSE_MEAN, Reply(CONDITIONS[2], PROBES[0], Decoding())
    )
    assert early.text is not None
    portion, rest = Plan([early]), Plan([later])
    found = list(rounds([*portion, *rest], [portion], least=1))
    assert found == [[early.text], [early], [reply], [later]]


def test_portions_are_gathered_until_they_fill_a_round() -> None:
    readings = [[Reading(condition, probe) for probe in PROBES] for condition in CONDITIONS]
    missing: list[Measurement] = [one for of_condition in readings for one in of_condition]
    assert [len(wave) for wave in rounds(missing, map(Plan, readings), least=3)] == [4, 2]
    assert [len(wave) for wave in rounds(missing, map(Plan, readings))] == [6]
