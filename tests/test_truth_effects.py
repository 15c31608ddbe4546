"""Made-up effects: what is planted is what is drawn, and the truths are those of many."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_effects import Form, covered, estimates


@pytest.mark.parametrize(("tail", "apart"), [(None, 0.01), (6.0, 0.02)])
def test_the_truths_are_what_many_tokens_come_to(tail, apart):
    planted = Form(share=0.8, spread=0.2, noise=0.5)
    drawn = planted.drawn(4000, 1, tail, np.random.default_rng(0))
    found = {
        "slope": drawn.between.sum() / drawn.reference.sum(),
        "cosine": drawn.between.sum() / np.sqrt(drawn.reference.sum() * drawn.form.sum()),
    }
    assert found == pytest.approx(planted.truths(tail), abs=apart)


def test_estimates_are_near_the_truths():
    planted = Form()
    found = dict(estimates(planted.drawn(64, 1, None, np.random.default_rng(1))))
    for name, truth in planted.truths(None).items():
        assert found[name].value == pytest.approx(truth, abs=0.06)


def test_every_cell_is_drawn_as_often_as_is_asked_for():
    found = covered(3, 0)
    assert len({(one.estimate, one.probes, one.n) for one in found}) == len(found) == 32
    assert {one.row.replications for one in found} == {3}
