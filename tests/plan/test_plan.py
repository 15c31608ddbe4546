from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from coherence.plan import (
    CacheEdit,
    ClaimName,
    Condition,
    Divergence,
    LawName,
    LawSearch,
    Measurement,
    NextToken,
    Plan,
    Reading,
    Reply,
    Turn,
    WeightError,
    conditions_of,
)
from coherence.vocabulary import Decoding, Position, Probe

CONDITION = Condition("Neutral.")
PROBES = [Probe(id=name, text=f"Why {name}?") for name in "abc"]
REPLIES = [Reply(CONDITION, probe, Decoding()) for probe in PROBES]

measurements = st.one_of(
    st.sampled_from(REPLIES),
    st.builds(NextToken, st.just(CONDITION), st.sampled_from(PROBES)),
    st.builds(
        Reading,
        st.just(CONDITION),
        st.sampled_from(PROBES),
        st.just(Position.RESPONSE_MEAN),
        st.none() | st.sampled_from(REPLIES),
    ),
)


@given(wanted=st.lists(measurements))
def test_a_plan_holds_each_once_with_what_it_depends_on_before_it(wanted: list[Measurement]) -> None:
    plan = list(Plan(wanted))
    assert len(plan) == len(set(plan)) == len(Plan(wanted))
    texts = [found.text for found in wanted if isinstance(found, Reading) and found.text is not None]
    assert set(plan) == {*wanted, *texts}
    for place, found in enumerate(plan):
        if isinstance(found, Reading) and found.text is not None:
            assert found.text in plan[:place]


@given(wanted=st.lists(measurements))
def test_the_order_is_that_of_asking(wanted: list[Measurement]) -> None:
    # All workers of a run must see the same plan.
    assert list(Plan(wanted)) == list(Plan(list(Plan(wanted)))) == list(Plan([*wanted, *wanted]))


def test_measurements_that_say_the_same_are_one() -> None:
    same = [Reply(Condition("Neutral."), Probe(id="a", text="Why?"), Decoding()) for _ in range(2)]
    assert len(Plan(same)) == 1
    assert len(Plan([*same, Reply(CONDITION, Probe(id="a", text="Why?"), Decoding(seed=1))])) == 2


def test_every_condition_that_a_measurement_is_made_under_is_found() -> None:
    others = [Condition(name) for name in ("one", "two")]
    turns = (Turn("Why?", condition=others[0]), Turn("How?", edit=CacheEdit(others[1], ())))
    talk = Reply(CONDITION, PROBES[0], Decoding(), turns)
    search = LawSearch(LawName.BATCH_MATES, tuple(others), tuple(PROBES), 0.1, 1, 0)
    for measurement, expected in (
        (talk, [CONDITION, *others]),
        (Divergence(CONDITION, PROBES[0], others[0], REPLIES[0]), [CONDITION, others[0]]),
        (search, others),
        (WeightError(CONDITION), [CONDITION]),
    ):
        assert list(conditions_of(measurement)) == expected


def test_a_law_is_tried_on_the_shortest_probes_and_batch_mates_on_a_long_one_too() -> None:
    texts = {"long": "a" * 90, "d": "four", "b": "tw", "e": "fives", "a": "o", "c": "ree"}
    probes = tuple(Probe(id=name, text=text) for name, text in texts.items())
    search = LawSearch(LawName.SCALE_ZERO, (Condition("sys"),), probes, 1e-4, 8, 0)
    assert [probe.id for probe in search.asked] == ["d", "b", "a", "c"]
    mates = replace(search, law=LawName.BATCH_MATES)
    assert [probe.id for probe in mates.asked] == ["long", "b", "a", "c"]
    assert replace(search, law=ClaimName.NEXT_TOKEN).asked == probes
    for few in (search, mates):
        assert replace(few, probes=probes[:2]).asked == probes[:2]
