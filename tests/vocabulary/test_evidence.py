import re
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coherence.vocabulary import (
    Adjusted,
    Control,
    Criterion,
    Estimate,
    Evidence,
    Influence,
    ProbeNote,
    Table,
    Verdict,
)
from coherence.vocabulary.evidence import number

numbers = st.floats(-2, 2)


def estimate(low: float, high: float, value: float | None = None) -> Estimate:
    return Estimate(name="cos", value=(low + high) / 2 if value is None else value, low=low, high=high, n=24)


def criterion(low: float, high: float, **limits: float) -> Criterion:
    return Criterion(estimate=estimate(low, high), **limits)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.6, 0.8, Verdict.PASS),
        (0.5, 0.9, Verdict.PASS),
        (0.4, 0.8, Verdict.INCONCLUSIVE),
        (0.6, 0.95, Verdict.INCONCLUSIVE),
        (0.2, 0.4, Verdict.FAIL),
        (0.91, 0.95, Verdict.FAIL),
        (0.2, 0.95, Verdict.INCONCLUSIVE),
        (nan, nan, Verdict.INCONCLUSIVE),
    ],
)
def test_the_whole_interval_decides(low: float, high: float, verdict: Verdict) -> None:
    assert criterion(low, high, at_least=0.5, at_most=0.9).verdict is verdict


@given(low=numbers, high=numbers, at=numbers)
def test_a_bound_and_its_opposite_never_agree_unless_undecided(low: float, high: float, at: float) -> None:
    low, high = sorted([low, high])
    above, below = criterion(low, high, at_least=at).verdict, criterion(low, high, at_most=at).verdict
    assert {above, below} in ({Verdict.PASS, Verdict.FAIL}, {Verdict.INCONCLUSIVE}) or at in (low, high)


def test_what_is_unreliable_never_decides() -> None:
    weak = Criterion(estimate=estimate(0.8, 0.9), at_least=0.5, unreliable="the ceiling is below 0.6")
    assert weak.verdict is Verdict.INCONCLUSIVE


def test_the_worst_criterion_decides_and_the_first_of_the_worst_is_named() -> None:
    good, open_, bad, worse = (
        criterion(low, high, at_least=0.5) for low, high in [(0.6, 0.7), (0.4, 0.7), (0.1, 0.2), (0.0, 0.1)]
    )
    assert Evidence(criteria=(good, open_)).verdict is Verdict.INCONCLUSIVE
    assert Evidence(criteria=(good, bad, open_, worse)).verdict is Verdict.FAIL
    assert Evidence(criteria=(good, bad, open_, worse)).decisive is bad


def fails(p: float | None = 0.01, adjusted: float | None = 0.12) -> Criterion:
    among = None if adjusted is None else Adjusted(p=adjusted, among=96)
    return Criterion(estimate=estimate(0.1, 0.2), at_least=0.5, p=p, adjusted=among)


@pytest.mark.parametrize(("adjusted", "verdict"), [(None, "fail"), (0.05, "fail"), (0.051, "inconclusive")])
def test_only_what_fails_among_all_claims_fails(adjusted: float | None, verdict: str) -> None:
    one = fails(adjusted=adjusted)
    assert (one.verdict, one.raw_verdict) == (verdict, Verdict.FAIL)
    assert one.fails_only_alone is (verdict == "inconclusive")


@pytest.mark.parametrize("families", [0, 1, 10**400], ids=["none", "one", "beyond a float"])
def test_a_p_too_small_for_a_float_says_how_many_are_lacking(families: int) -> None:
    one = fails(p=0.0)
    assert one.adjusted is not None
    one = one.model_copy(update={"adjusted": one.adjusted.model_copy(update={"families": families})})
    assert one.lacking.startswith(f"{one.estimate.n} {one.estimate.of}")
    assert isfinite(one.needed)


def test_an_adjusted_p_never_makes_a_fail() -> None:
    open_ = criterion(0.4, 0.6, at_least=0.5).model_copy(
        update={"p": 0.4, "adjusted": Adjusted(p=0.0, among=2)}
    )
    assert open_.verdict is open_.raw_verdict is Verdict.INCONCLUSIVE


def test_evidence_keeps_its_raw_verdict_and_names_what_fails_alone() -> None:
    straddles, alone = criterion(0.4, 0.7, at_least=0.5), fails()
    evidence = Evidence(criteria=(straddles, alone))
    assert (evidence.verdict, evidence.raw_verdict) == (Verdict.INCONCLUSIVE, Verdict.FAIL)
    assert evidence.decisive is alone


@given(value=st.floats(0, 1), reach=st.floats(0.01, 1), n=st.integers(4, 50))
def test_as_many_probes_as_are_needed_move_the_bound_out(value: float, reach: float, n: int) -> None:
    said = Estimate(name="cos", value=value, low=value - reach, high=value + reach, n=n).lacking(1.0)
    if found := re.fullmatch(rf"{n} probes, about (\d+) needed", said):
        assert reach * (n / int(found[1])) ** 0.5 <= 1 - value + 1e-9
    else:
        assert said == f"{n} probes, over 1000 needed"


def test_a_criterion_says_estimate_interval_and_threshold() -> None:
    assert str(criterion(0.25, 0.75, at_least=0.5)) == "cos 0.50 [0.25, 0.75], expected >= 0.5"
    assert criterion(0, 1, at_most=1e-4).threshold == "<= 0.0001"
    assert criterion(0, 1, at_least=0.25, at_most=0.75).threshold == "0.25 to 0.75"
    assert str(estimate(0.0, 0.0)) == "cos 0.00"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.125, "0.12"),
        (-1.0, "-1.00"),
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (-1e-17, "0.00"),
        (2e-5, "2e-05"),
        (-0.004, "-0.004"),
        (123456.0, "123456.0"),
        (2e7, "2e+07"),
        (inf, "inf"),
        (nan, "undefined"),
    ],
)
def test_numbers_as_people_read_them(value: float, said: str) -> None:
    assert number(value) == said


def test_a_lone_surrogate_is_written_out() -> None:
    note = ProbeNote(probe="order", note="\ud800", replies={"prompt": "arr \udfff"})
    assert (note.note, note.replies) == ("\\ud800", {"prompt": "arr \\udfff"})
    assert ProbeNote.model_validate_json(note.model_dump_json()) == note


def test_infinite_thresholds_travel_through_json() -> None:
    one = criterion(0.1, 0.2, at_least=0.5)
    assert Criterion.model_validate_json(one.model_dump_json()) == one


def control(low: float, high: float) -> Control:
    return Control(name="counsel by adapter", criterion=criterion(low, high, at_least=0.5))


def test_a_pass_that_a_control_gets_as_well_is_inconclusive() -> None:
    good = criterion(0.6, 0.8, at_least=0.5)
    lax = Evidence(criteria=(good,), controls=(control(0.1, 0.2), control(0.55, 0.6), control(0.7, 0.8)))
    assert (lax.verdict, lax.raw_verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert lax.passing_control is lax.controls[1]
    assert lax.decisive is good


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (0.4, 0.6)])
def test_a_control_that_fails_or_is_open_leaves_a_pass(low: float, high: float) -> None:
    evidence = Evidence(criteria=(criterion(0.6, 0.8, at_least=0.5),), controls=(control(low, high),))
    assert (evidence.verdict, evidence.raw_verdict) == (Verdict.PASS, Verdict.PASS)
    assert evidence.passing_control is None


def test_a_control_that_was_not_measured_leaves_a_pass_and_says_why() -> None:
    lost = Control(name="counsel by adapter", problem="no such file")
    assert lost.verdict is Verdict.ERROR
    assert str(lost) == "counsel by adapter, no such file"
    assert Evidence(criteria=(criterion(0.6, 0.8, at_least=0.5),), controls=(lost,)).verdict is Verdict.PASS


@pytest.mark.parametrize(("low", "places"), [(0.1, [1, 2, 0]), (0.6, [0, 1, 2])])
def test_what_a_control_was_judged_by_is_in_the_order_of_the_claim(low: float, places: list[int]) -> None:
    first, *met = (criterion(one, 0.9, at_least=0.5) for one in (low, 0.7, 0.8))
    judged = Control(name="counsel by adapter", criterion=first, met=tuple(met))
    assert judged.criteria == tuple([first, *met][place] for place in places)
    assert Control(name="lost", met=tuple(met), problem="a pity").criteria == tuple(met)


def test_a_statistic_is_found_by_its_key_and_without_one_by_its_name() -> None:
    def named(name: str, key: str | None, low: float = 0.6) -> Criterion:
        one = criterion(low, 0.9, at_least=0.5)
        return one.model_copy(update={"estimate": one.estimate.model_copy(update={"name": name}), "key": key})

    evidence = Evidence(criteria=(named("kappa", "min_agreement"), named("above chance", None)))
    assert evidence.own(named("AC1", "min_agreement", 0.1)) is evidence.criteria[0]
    assert evidence.own(named("above chance", None, 0.1)) is evidence.criteria[1]
    assert evidence.own(named("kappa", None)) is None


def test_a_control_of_an_older_document_has_one_criterion() -> None:
    written = control(0.1, 0.2).model_dump(mode="json", exclude={"met"})
    read = Control.model_validate(written)
    assert read.criteria == (read.criterion,)


def test_a_control_pairs_with_no_release() -> None:
    known = Influence(clusters={"order": 0.1}, freedom=1)
    one = criterion(0.1, 0.2, at_least=0.5)
    with_it = one.model_copy(update={"estimate": one.estimate.model_copy(update={"influence": known})})
    held = Control(name="counsel by adapter", criterion=with_it, met=(with_it,))
    assert (held.criterion, held.met) == (one, (one,))


@given(low=numbers, high=numbers)
def test_no_control_makes_anything_of_what_does_not_pass(low: float, high: float) -> None:
    low, high = sorted([low, high])
    alone = Evidence(criteria=(criterion(low, high, at_least=0.5),))
    held = alone.model_copy(update={"controls": (control(0.7, 0.8),)})
    passes = alone.verdict is Verdict.PASS
    assert held.verdict is (Verdict.INCONCLUSIVE if passes else alone.verdict)
    assert held.raw_verdict is (Verdict.INCONCLUSIVE if passes else alone.raw_verdict)


@pytest.mark.parametrize(
    "cells", [(), ((1.0, 2.0),), ((1.0,), (2.0, 3.0)), ((1.0, 2.0), (3.0, None), (4.0, 5.0))]
)
def test_a_table_has_a_cell_for_each_row_and_column(cells: tuple[tuple[float | None, ...], ...]) -> None:
    with pytest.raises(ValidationError, match="a cell for each column"):
        Table(name="KL", rows=("a", "b"), columns=("c", "d"), cells=cells)


def test_a_table_travels_through_json_with_its_gaps() -> None:
    table = Table(name="KL", rows=("a", "b"), columns=("c",), cells=((None,), (0.5,)))
    evidence = Evidence(criteria=(criterion(0.6, 0.8, at_least=0.5),), tables=(table,))
    assert Evidence.model_validate_json(evidence.model_dump_json()) == evidence


def test_evidence_of_before_there_were_tables_is_read() -> None:
    evidence = Evidence(criteria=(criterion(0.6, 0.8, at_least=0.5),))
    old = evidence.model_dump(mode="json", exclude={"tables"})
    assert Evidence.model_validate(old) == evidence
