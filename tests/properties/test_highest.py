from dataclasses import replace

import numpy as np

from coherence.properties.highest import Tail, at_worst
from coherence.vocabulary import Verdict

SINGLES = [f"q{n}" for n in range(24)]
FLAT = Tail("KL", "max_worst_kl", np.linspace(0.01, 0.03, 24), SINGLES, 0.5)
ONE = replace(FLAT, values=np.append(np.full(23, 0.02), 0.9))


def test_the_highest_value_is_a_fact_about_these_probes():
    criterion = ONE.criterion()
    assert (criterion.estimate.name, criterion.verdict) == ("highest KL", Verdict.FAIL)
    assert criterion.estimate.low == criterion.estimate.value == criterion.estimate.high == 0.9
    assert criterion.law
    assert FLAT.criterion().verdict is Verdict.PASS


def test_a_highest_value_of_nothing_to_compare_decides_nothing():
    assert ONE.criterion(unreliable="there is nothing").verdict is Verdict.INCONCLUSIVE


def test_it_is_said_what_may_have_been_missed():
    (said,) = FLAT.notes()
    assert said == "none of 24 probes has a KL over 0.50: at 97.5 %, fewer than 14% of all such probes have"


def test_probes_of_one_template_say_less_of_what_was_missed():
    templates = [f"t{n // 4}" for n in range(24)]
    (said,) = replace(FLAT, clusters=templates).notes()
    assert "fewer than 46%" in said


def test_a_heavy_tail_is_said():
    (said,) = ONE.notes()
    assert said.startswith("heavy tail: 'q23' alone makes 66% of the mean KL")


def test_a_bound_on_the_highest_is_ten_times_that_on_the_mean():
    assert at_worst(None, 0.1) == 1
    assert at_worst(0.3, 0.1) == 0.3
