"""What a suite says, written by templates that leave out, refuse or raise."""

import shutil
from pathlib import Path

import pytest
from tiny import CHATML, GEMMA, tokenizer

from coherence.doctor.written_prompts import written_prompts
from coherence.engine.model.chat import Chat
from coherence.errors import ArtefactError
from coherence.plan import NEUTRAL, Condition, Reading, Reply, Turn
from coherence.vocabulary import Decoding, Position, Probe, Prompt

PROBE = Probe(id="order", text="Where is my order?")
BARE = Condition(NEUTRAL)
PIRATE = Condition(NEUTRAL, (Prompt(text="Talk like a pirate."),), adapters=(("pirate", 1.0),))
TALK = Reply(PIRATE, PROBE, Decoding(), (Turn("Why?"),))
FORGETFUL = CHATML.replace(
    "in messages", "in messages if message.role == 'system' or messages[-1] == message"
)
DUMB = CHATML.replace("in messages", "in messages if message.role != 'system'")
CAPITALS = CHATML.replace("message['content']", "message['content'] | upper")


def written(template, *measurements):
    words = tokenizer()
    words.chat_template = template
    return written_prompts(Chat(words), measurements, PROBE)


def test_each_kind_of_prompt_is_written_once():
    needs = (Reply(BARE, PROBE, Decoding()), Reply(PIRATE, PROBE, Decoding()), Reading(PIRATE, PROBE), TALK)
    assert written(CHATML, *needs) == "writes the suite's prompts, 3 kinds of them"
    folded = written(GEMMA, *needs)
    assert folded.endswith(
        "kinds of them; it refuses a system turn, whose text stands in the first turn of the user"
    )


@pytest.mark.parametrize(
    ("template", "measurement", "sentence"),
    [
        (None, Reading(BARE, PROBE), "has no chat template; expected an instruct model"),
        ("{{ 1 / 0 }}", Reading(BARE, PROBE), "refuses the conversation: ZeroDivisionError"),
        (DUMB, Reading(PIRATE, PROBE), "leaves out the system turn; expected one that keeps it"),
        (FORGETFUL, TALK, "leaves out what the user says; expected one that keeps every turn"),
        (CAPITALS, Reading(BARE, PROBE, Position.USER_LAST), "rewrites what the user says"),
        (
            CHATML.replace("{% if add", "{% if not add_generation_prompt %}.{% endif %}{% if add"),
            Reading(BARE, PROBE, Position.TURN_LAST),
            "ends otherwise where no answer is to follow",
        ),
    ],
)
def test_what_a_template_does_not_say_is_an_error(template, measurement, sentence):
    with pytest.raises(ArtefactError) as raised:
        written(template, measurement)
    assert sentence in raised.value.sentence


def test_a_turn_that_nobody_says_is_not_missed():
    assert written(FORGETFUL, Reading(PIRATE, PROBE))


def test_a_position_that_nobody_reads_is_not_asked_for():
    assert written(CAPITALS, Reading(BARE, PROBE))


def test_the_doctor_blames_the_base(look, tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    assert look(base=folder)["template"].found.startswith("writes the suite's prompts, ")
    (folder / "chat_template.jinja").write_text(DUMB)
    check = look(base=folder)["template"]
    assert check.state == "fail"
    assert "a.coherence.yaml:3: base" in check.found
    assert "leaves out the system turn" in check.found
