from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conditions import ADAPTER, BARE, BROKEN
from numpy.typing import NDArray

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.measurer import Measurer
from coherence.engine.requests.job import Job
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import (
    Answer,
    LawName,
    LawOutcome,
    LawSearch,
    Measurement,
    NextToken,
    Outcome,
    Reading,
    Reply,
)
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Site

TOLERANCE = 1e-5  # float32, relative to the largest value of a reading
PROBE = Probe(id="order", text="Where is my order?")
REPLY = Reply(BARE, PROBE, Decoding(max_new_tokens=6))
OWN = Reading(BARE, PROBE, Position.RESPONSE_MEAN, REPLY)
READING = Reading(ADAPTER, PROBE, Position.RESPONSE_MEAN, REPLY)
LAW = LawSearch(LawName.SCALE_ZERO, (ADAPTER,), (PROBE,), 1e-4, 2, 0)


@pytest.fixture
def measurer(
    artefacts: Callable[..., Artefacts], tiny_adapter: Callable[..., Path], tmp_path: Path, store: Store
) -> Measurer:
    adapters = {"pirate": tiny_adapter("pirate"), "broken": tmp_path}
    return Measurer(artefacts(adapters=adapters), store, pytest.fail)


def close(one: Outcome, two: Outcome) -> bool:
    assert isinstance(one, np.ndarray)
    assert isinstance(two, np.ndarray)
    assert one.shape == two.shape
    return bool(np.abs(one - two).max() <= TOLERANCE * np.abs(two).max())


def read(measurer: Measurer, reading: Reading, answer: Answer) -> NDArray[np.float32]:
    """Append an answer to the prompt, and read it (teacher-forced)."""
    ((found, value),) = measurer.measure(Job((reading,), {REPLY: answer}))
    assert found == reading
    assert isinstance(value, np.ndarray)
    return value


def test_every_measurement_comes_once_with_a_value_of_its_kind(measurer: Measurer) -> None:
    wanted: list[Measurement] = [LAW, NextToken(BARE, PROBE), OWN, Reading(BARE, PROBE), REPLY]
    found = list(measurer.measure(Job(tuple(wanted), {})))
    assert sorted(map(repr, wanted)) == sorted(repr(measurement) for measurement, _ in found)
    kinds = {Reply: Answer, LawSearch: LawOutcome, Reading: np.ndarray, NextToken: np.ndarray}
    assert all(isinstance(value, kinds[type(measurement)]) for measurement, value in found)


def test_a_reading_taken_while_decoding_is_the_one_over_the_stored_answer(measurer: Measurer) -> None:
    outcomes = dict(measurer.measure(Job((REPLY, OWN), {})))
    answer = outcomes[REPLY]
    assert isinstance(answer, Answer)
    assert close(outcomes[OWN], read(measurer, OWN, answer))


def test_a_reading_appends_the_tokens_that_were_said(measurer: Measurer) -> None:
    one, same, other = (
        read(measurer, READING, Answer(text, ids))
        for text, ids in [("One.", (9, 41)), ("Two.", (9, 41)), ("One.", (41, 9))]
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("position", [Position.PROMPT_LAST, Position.USER_LAST, Position.RESPONSE_MEAN])
@pytest.mark.parametrize("through", ["resid_pre.0", "resid_post.0", "resid_post.2", "resid_post.3"])
def test_a_reading_through_a_site_is_the_first_rows_of_the_whole(
    measurer: Measurer, through: str, position: Position
) -> None:
    site = Site.parse(through)
    text = REPLY if position is Position.RESPONSE_MEAN else None
    whole, part = (Reading(BARE, PROBE, position, text, end) for end in (None, site))
    outcomes = {
        found: dict(measurer.measure(Job((found, REPLY), {})))[found]  # each alone, so that it may end early
        for found in (whole, part)
    }
    expected = outcomes[whole]
    assert isinstance(expected, np.ndarray)
    assert expected.shape == (5, 32)
    assert close(outcomes[part], expected[: site.depth + 1])


def test_a_reading_of_a_reply_that_failed_fails_alike(measurer: Measurer) -> None:
    problem = MeasurementError("NaN or infinite logits")
    outcomes = dict(measurer.measure(Job((READING, Reading(BARE, PROBE)), {REPLY: problem})))
    assert outcomes[READING] is problem
    assert isinstance(outcomes[Reading(BARE, PROBE)], np.ndarray)


def test_a_law_that_cannot_be_searched_is_an_error_of_its_own(measurer: Measurer) -> None:
    broken = LawSearch(LawName.SCALE_ZERO, (BROKEN,), (PROBE,), 1e-4, 2, 0)
    outcomes = dict(measurer.measure(Job((broken, LAW), {})))
    assert isinstance(outcomes[broken], ArtefactError)
    assert isinstance(outcomes[LAW], LawOutcome)
