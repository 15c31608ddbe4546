"""Which plans still lack a measurement."""

from conditions import BARE
from hypothesis import given
from hypothesis import strategies as st

from coherence.gate.awaited import Awaited
from coherence.plan import Plan, Reading
from coherence.vocabulary import Probe

READINGS = [Reading(BARE, Probe(id=f"q{index}", text=f"{index}?")) for index in range(6)]
plans = st.lists(st.lists(st.sampled_from(READINGS), max_size=4).map(Plan), max_size=5)


@given(plans=plans, order=st.permutations(READINGS))
def test_each_plan_is_complete_once_with_the_last_of_its_measurements(plans, order):
    awaited, there = Awaited(plans), set()
    for measurement in order:
        # What wants nothing comes with the first.
        before = {place for place, plan in enumerate(plans) if there and there.issuperset(plan)}
        there.add(measurement)
        now = {place for place, plan in enumerate(plans) if there.issuperset(plan)}
        assert sorted(awaited.complete(measurement)) == sorted(now - before)
        assert list(awaited.complete(measurement)) == []
