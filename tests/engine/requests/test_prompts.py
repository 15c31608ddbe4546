from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.batch.rows import Mean, Span
from coherence.engine.model.chat import Chat
from coherence.engine.requests.job import Job
from coherence.engine.requests.prompts import PromptRows
from coherence.engine.running.runner import Runner
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Answer, Condition, Measurement, NextToken, Outcome, Reading, Reply, Turn
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Prompt, Site

BLOCKS = 4
BARE = Condition("You are a helpful assistant.")
ARR = Condition(BARE.neutral, (Prompt(text="Arr."),))
BROKEN = Condition(BARE.neutral, adapters=(("broken", 1.0),))
PROBE = Probe(id="order", text="Where is my order?")
REPLY = Reply(BARE, PROBE, Decoding(max_new_tokens=6))
THIRD = Reply(BARE, PROBE, REPLY.decoding, (Turn("And my parcel?"), Turn("Thanks.")))
LATER = [turn.text for turn in THIRD.turns]
SAMPLES = [Reply(BARE, PROBE, Decoding(max_new_tokens=6, temperature=1.0, seed=seed)) for seed in range(3)]


@pytest.fixture
def runner(artefacts: Callable[..., Artefacts], store: Store, tmp_path: Path) -> Runner:
    return Runner(artefacts(adapters={"broken": tmp_path}), store, pytest.fail)


def mean(text: Reply, condition: Condition = BARE, through: Site | None = None) -> Reading:
    return Reading(condition, PROBE, Position.RESPONSE_MEAN, text, through)


def rows(
    runner: Runner, *measurements: Measurement, known: Mapping[Measurement, Outcome] | None = None
) -> PromptRows:
    return PromptRows(runner.builder, Job(measurements, known or {}))


def test_all_that_is_wanted_of_a_prompt_is_taken_from_one_row(runner: Runner) -> None:
    readings = [Reading(BARE, PROBE), Reading(BARE, PROBE, Position.USER_LAST)]
    wanted = [*readings, NextToken(BARE, PROBE), REPLY, *SAMPLES, mean(REPLY), mean(SAMPLES[1])]
    (row,) = rows(runner, *wanted).made
    assert sorted(map(repr, row.outputs)) == sorted(map(repr, wanted))
    assert row.ids == tuple(Chat(runner.host.tokenizer).encode(BARE, PROBE))
    assert set(row.spans) == set(readings)


@pytest.mark.parametrize(
    ("through", "depth"), [(None, BLOCKS), ("resid_pre.0", 0), ("resid_post.1", 2), ("resid_post.9", BLOCKS)]
)
def test_a_reading_goes_through_its_site(runner: Runner, through: str | None, depth: int) -> None:
    site = Site.parse(through) if through else None
    prompt_last, response = Reading(BARE, PROBE, through=site), mean(REPLY, through=site)
    (row,) = rows(runner, prompt_last, REPLY, response).made
    assert row.spans == {prompt_last: Span(len(row.ids) - 1, len(row.ids), depth)}
    assert [dict(asked.turns[0].means) for asked in row.continuations] == [{response: Mean(depth)}]


def test_answers_of_one_conversation_are_turns_of_one_draft(runner: Runner) -> None:
    first, *_ = THIRD.conversation
    (row,) = rows(runner, first, THIRD, mean(THIRD), SAMPLES[0]).made
    talk, sample = row.continuations
    assert [(turn.reply, dict(turn.means)) for turn in talk.turns] == [
        (first, {}),
        (None, {}),
        (THIRD, {mean(THIRD): Mean(BLOCKS)}),
    ]
    words = runner.host.tokenizer
    assert [turn.before for turn in talk.turns] == [
        (),
        *Chat(words).turns_after(BARE, PROBE, LATER),
    ]
    assert [turn.reply for turn in sample.turns] == SAMPLES[:1]


def test_a_known_conversation_is_read_as_it_was_said(runner: Runner) -> None:
    known = {said: Answer(str(place), (40 + place, 50)) for place, said in enumerate(THIRD.conversation)}
    reading = mean(THIRD, ARR)
    (row,) = rows(runner, reading, known=known).made
    words = runner.host.tokenizer
    second, third = Chat(words).turns_after(ARR, PROBE, LATER)
    assert row.ids == (*Chat(words).encode(ARR, PROBE), 40, 50, *second, 41, 50, *third, 42, 50)
    assert row.spans == {reading: Span(len(row.ids) - 2, len(row.ids), BLOCKS)}
    assert not row.continuations


def test_a_conversation_that_is_known_in_part_is_had_again(runner: Runner) -> None:
    (row,) = rows(runner, mean(THIRD), known={THIRD: Answer("three", (42,))}).made
    assert [dict(turn.means) for turn in row.continuations[0].turns] == [{}, {}, {mean(THIRD): Mean(BLOCKS)}]


@pytest.mark.parametrize("text", ["I am", "am", " leading", "\n", "?", "naïve ✓"])
def test_the_ids_of_an_answer_follow_those_of_the_prompt(runner: Runner, text: str) -> None:
    # A token at a time: an encoder would merge them, with each other or across the boundary.
    words = runner.host.tokenizer
    letters = words.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
    ids = tuple(words.convert_tokens_to_ids(letter) for piece, _ in letters for letter in piece)
    assert words.decode(ids) == text
    reading = mean(REPLY, ARR)
    (row,) = rows(runner, reading, known={REPLY: Answer(text, ids)}).made
    prompt = Chat(words).encode(ARR, PROBE)
    assert row.ids == (*prompt, *ids)
    assert row.spans == {reading: Span(len(prompt), len(row.ids), BLOCKS)}


def test_what_people_read_is_not_what_is_read(runner: Runner) -> None:
    reading = mean(REPLY, ARR)
    one, two = (
        dict(runner.measured(Job((reading,), {REPLY: Answer(text, (9, 41))})))[reading]
        for text in ("One.", "Two.")
    )
    assert isinstance(one, np.ndarray)
    assert np.array_equal(one, two)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "problem", [Answer("", ()), MeasurementError("NaN or infinite logits")], ids=["empty", "failed"]
)
def test_a_reply_that_cannot_be_read_spoils_its_readings_alone(runner: Runner, problem: Outcome) -> None:
    reading, other = mean(REPLY, ARR), Reading(ARR, PROBE)
    found = rows(runner, reading, other, known={REPLY: problem})
    assert [row.outputs for row in found.made] == [[other]]
    said = "the reply to probe 'order' is empty: it has no response_mean"
    assert str(found.problems[reading]) == (said if isinstance(problem, Answer) else str(problem))


def test_a_condition_that_cannot_be_mounted_spoils_its_measurements_alone(runner: Runner) -> None:
    broken = [Reading(BROKEN, PROBE), NextToken(BROKEN, PROBE), Reply(BROKEN, PROBE, Decoding())]
    found = rows(runner, *broken, REPLY)
    assert [row.outputs for row in found.made] == [[REPLY]]
    assert found.problems.keys() == set(broken)
    assert all(isinstance(problem, ArtefactError) for problem in found.problems.values())
