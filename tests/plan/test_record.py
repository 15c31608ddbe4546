import numpy as np
import pytest

from coherence.errors import MeasurementError
from coherence.plan import (
    Answer,
    Condition,
    LawName,
    LawOutcome,
    LawSearch,
    NextToken,
    Reading,
    Reasoning,
    Record,
    Reply,
    Seen,
)
from coherence.vocabulary import Decoding, Part, Probe

CONDITION, PROBE = Condition("Neutral."), Probe(id="a", text="Why?")
REPLY = Reply(CONDITION, PROBE, Decoding())
READING, NEXT = Reading(CONDITION, PROBE), NextToken(CONDITION, PROBE)
LAW = LawSearch(LawName.DOSE_ZERO, (CONDITION,), (PROBE,), 1e-4, 8, 0)


def test_every_kind_is_handed_out_as_what_it_is() -> None:
    residuals, log_probs = np.ones((5, 2), np.float32), np.zeros(3, np.float32)
    outcome = LawOutcome(Seen({}, 0.0), 8, None)
    record = Record({REPLY: Answer("Because.", (4, 2)), READING: residuals, NEXT: log_probs, LAW: outcome})
    assert record.reply(REPLY) == "Because."
    assert record.residuals(READING) is residuals
    assert record.log_probs(NEXT) is log_probs
    assert record.law(LAW) is outcome


def test_what_could_not_be_measured_raises_its_error_when_asked_for() -> None:
    problem = MeasurementError("NaN or infinite logits")
    record = Record(dict.fromkeys([REPLY, READING, NEXT, LAW], problem))
    for ask in (
        lambda: record.reply(REPLY),
        lambda: record.residuals(READING),
        lambda: record.log_probs(NEXT),
        lambda: record.law(LAW),
    ):
        with pytest.raises(MeasurementError) as caught:
            ask()
        assert caught.value is problem


def test_a_reply_has_parts() -> None:
    said = Answer("Because.", (4, 2), reasoning=Reasoning("Hm.", 1))
    record = Record({REPLY: said})
    assert [record.reply(REPLY, part) for part in Part] == ["Because.", "Hm.", "Hm.\nBecause."]
    assert record.reply(REPLY) == "Because."
    assert record.reasoning(REPLY) == Reasoning("Hm.", 1)
    whole = Record({REPLY: Answer("Because.", (4, 2))})
    assert [whole.reply(REPLY, part) for part in Part] == ["Because.", "", "Because."]
    assert whole.reasoning(REPLY) is Record({REPLY: MeasurementError("")}).reasoning(REPLY) is None
