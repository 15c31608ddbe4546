from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coherence.engine.artefacts import Artefacts
from coherence.engine.keys import key_of
from coherence.engine.measurer import Measurer
from coherence.errors import MeasurementError
from coherence.plan import Condition, LawName, LawSearch, Measurement, NextToken, Reading, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe

BARE = Condition("You are a helpful assistant.")
ADAPTER = Condition(BARE.neutral, adapters=(("pirate", 1.0),))
PROBE = Probe(id="order", text="Where is my order?")
REPLY = Reply(BARE, PROBE, Decoding(max_new_tokens=6))
READING = Reading(ADAPTER, PROBE, Position.RESPONSE_MEAN, REPLY)
LAW = LawSearch(LawName.SCALE_ZERO, (ADAPTER,), (PROBE,), 1e-4, 2, 0)


@pytest.fixture
def release(artefacts: Callable[..., Artefacts], tiny_adapter: Callable[..., Path]) -> Artefacts:
    return artefacts(adapters={"pirate": tiny_adapter("pirate")})


def test_it_measures_in_the_order_of_dependence_and_says_so(release: Artefacts, store: Store) -> None:
    heard: list[tuple[str, int, int]] = []
    missing = [LAW, NextToken(BARE, PROBE), READING, Reading(BARE, PROBE), REPLY]
    Measurer(release, store, lambda *said: heard.append(said)).measure(missing, {})
    assert heard == [
        ("loading the model", 0, 1),
        ("loading the model", 1, 1),
        ("replies", 1, 1),
        ("residuals", 1, 2),
        ("residuals", 2, 2),
        ("next tokens", 1, 1),
        ("laws", 1, 1),
    ]


def test_a_value_is_stored_before_anybody_hears_of_it(release: Artefacts, store: Store) -> None:
    order: list[Measurement] = [REPLY, READING, NextToken(BARE, PROBE), LAW]

    def listen(what: str, done: int, total: int) -> None:
        if what != "loading the model":
            assert store.get(key_of(order[len(seen)], release)) is not None
            seen.append(what)

    seen: list[str] = []
    Measurer(release, store, listen).measure(order, {})
    assert len(seen) == 4


def test_a_reading_appends_the_reply_that_is_known_already(release: Artefacts, store: Store) -> None:
    def read(text: str) -> np.ndarray:
        value = Measurer(release, store, lambda *said: None).measure([READING], {REPLY: text})[READING]
        assert isinstance(value, np.ndarray)
        return value

    assert not np.array_equal(read("I am so sorry!"), read("Thank you for telling us!"))


def test_a_reading_of_a_reply_that_failed_fails_alike(release: Artefacts, store: Store) -> None:
    problem = MeasurementError("NaN or infinite logits")
    missing = [READING, Reading(BARE, PROBE)]
    outcomes = Measurer(release, store, lambda *said: None).measure(missing, {REPLY: problem})
    assert outcomes[READING] is problem
    assert isinstance(outcomes[Reading(BARE, PROBE)], np.ndarray)


def test_a_reading_of_an_empty_reply_says_so(release: Artefacts, store: Store) -> None:
    outcomes = Measurer(release, store, lambda *said: None).measure([READING], {REPLY: ""})
    assert str(outcomes[READING]) == "the reply to probe 'order' is empty: it has no response_mean"
