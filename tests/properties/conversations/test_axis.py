import re
from dataclasses import replace

import numpy as np
import pytest
from drifting import PROBES, WIDTH, scene
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Record
from coherence.properties.conversations.axis import Axis, Scale
from coherence.properties.reading import at_site
from coherence.vocabulary import Persona, Position, Regime, Site

SITE = Site.parse("resid_post.1")
BETWEEN = arrays(np.float64, (len(PROBES), WIDTH), elements=st.floats(-5, 5, width=16))


def scale(apart=1.0, noise=0.1):
    drawn = np.random.default_rng(0)
    low = drawn.normal(size=(len(PROBES), WIDTH))
    high = low + apart * drawn.normal(size=WIDTH) + noise * drawn.normal(size=low.shape)
    return Scale(low, high, [probe.cluster for probe in PROBES])


def record_of(axis, low, high):
    """Residuals whose last row, beyond the site, is not to be read."""

    def stacked(value):
        return np.stack([np.zeros(WIDTH), np.zeros(WIDTH), value, np.full(WIDTH, np.nan)])

    ends = zip((*axis.low, *axis.high), (*low, *high), strict=True)
    return Record({reading: stacked(value) for reading, value in ends})


def test_the_ends_of_an_axis_are_at_0_and_1():
    found = scale()
    assert found.positions(found.low).mean() == pytest.approx(0)
    assert found.positions(found.high).mean() == pytest.approx(1)
    assert found.positions((found.low + found.high) / 2).shape == (len(PROBES),)


@given(aside=arrays(np.float64, WIDTH, elements=st.floats(-9, 9)), share=st.floats(-2, 3))
def test_what_is_aside_of_an_axis_does_not_move_along_it(aside, share):
    found = scale()
    unit = found.axis / found.length
    place = found.low.mean(axis=0) + share * found.axis + aside - (aside @ unit) * unit
    assert found.positions(place) == pytest.approx(share, abs=1e-6)


@given(BETWEEN)
def test_turning_an_axis_round_mirrors_its_positions(residuals):
    found = scale()
    back = Scale(found.high, found.low, found.clusters)
    assert back.positions(residuals) == pytest.approx(1 - found.positions(residuals), abs=1e-9)


def test_an_axis_of_noise_is_not_reliable():
    assert scale().reliability(seed=0) > 0.95
    assert scale(apart=0.0, noise=1.0).reliability(seed=0) < 0.6


def test_the_ends_are_what_bare_and_prompted_models_say_themselves():
    axis = Axis.of(scene(), "pirate", SITE)
    for readings, condition in (
        (axis.low, scene().bare),
        (axis.high, scene().condition("pirate", Regime.PROMPT)),
    ):
        assert [reading.probe for reading in readings] == list(PROBES)
        assert {reading.condition for reading in readings} == {condition}
        assert {reading.text.condition for reading in readings} == {condition}
        assert {(reading.position, reading.through) for reading in readings} == {
            (Position.RESPONSE_MEAN, SITE)
        }
    assert list(axis.needs()) == [*axis.low, *axis.high]


def test_an_opposite_takes_the_place_of_the_bare_model():
    axis = Axis.of(scene(), "pirate", SITE, against="counsel")
    assert {reading.condition for reading in axis.low} == {scene().condition("counsel", Regime.PROMPT)}


def test_an_axis_is_measured_at_its_site():
    axis, wanted = Axis.of(scene(), "pirate", SITE), scale()
    found = axis.measured(record_of(axis, wanted.low, wanted.high))
    assert np.array_equal(found.low, wanted.low)
    assert np.array_equal(found.high, wanted.high)
    assert found.clusters == scene().clusters


def test_ends_that_are_the_same_are_a_sentence():
    axis, ends = Axis.of(scene(), "pirate", SITE), scale().low
    sentence = "the axis of pirate has no length at resid_post.1: its two ends are the same"
    with pytest.raises(MeasurementError, match=re.escape(sentence)):
        axis.measured(record_of(axis, ends, ends))


def test_a_site_beyond_the_model_is_a_sentence():
    axis, ends = Axis.of(scene(), "pirate", Site.parse("resid_post.7")), scale().low
    record = record_of(axis, ends, ends)
    with pytest.raises(MeasurementError, match=r"resid_post\.7 lies beyond the model"):
        at_site(record, axis.low, axis.site)


@pytest.mark.parametrize("ends", [("pirate", None), ("counsel", "pirate")])
def test_an_end_without_a_prompt_is_a_sentence(ends):
    promptless = replace(scene(), personas={"pirate": Persona(), "counsel": Persona(prompt="Be formal.")})
    with pytest.raises(SuiteError, match="persona 'pirate' has no prompt, and the axis leads from prompt to"):
        Axis.of(promptless, ends[0], SITE, ends[1])
