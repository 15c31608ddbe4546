import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conditions import BARE, PROMPT

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.requests.resolved import Resolved
from coherence.engine.requests.transcript import Transcript
from coherence.engine.running.runner import Runner
from coherence.errors import MeasurementError
from coherence.plan import Answer, Condition, Patch, Reading, Reply, Turn
from coherence.store import Store
from coherence.vocabulary import Decoding, Part, Position, Probe, Site

PROBE = Probe(id="order", text="Where is my order?")
REPLY = Reply(PROMPT, PROBE, Decoding())
SAID = Transcript((40, 41), ((0, 2),))
SITES = (Site.parse("resid_pre.0"), Site.parse("resid_post.2"))
ONE, TWO = Reading(BARE, PROBE), Reading(PROMPT, PROBE)
RESIDUALS = {
    reading: np.arange(5 * 32, dtype=np.float32).reshape(5, 32) * scale
    for reading, scale in ((ONE, 1), (TWO, 10))
}
ENDS_WITH_THE_SYSTEM = (
    "{% for message in messages %}{{ message.role + ': ' + message.content + '\n' }}{% endfor %}"
    "{{ messages[0].content }} says: "
)


@pytest.fixture
def runner(artefacts: Callable[..., Artefacts], store: Store) -> Runner:
    return Runner(artefacts(), store, pytest.fail)


def patched(position: Position = Position.PROMPT_LAST) -> Condition:
    return replace(BARE, patch=Patch(((2.0, ONE), (-1.0, TWO)), SITES, position))


@pytest.mark.parametrize(
    ("position", "after"), [(Position.PROMPT_LAST, -1), (Position.G1, 0), (Position.G2, 1)]
)
def test_a_patch_is_the_weighted_sum_at_its_sites_in_place_of_its_token(
    runner: Runner, position: Position, after: int
) -> None:
    prompt = len(runner.builder.row(BARE, PROBE).ids)
    row = Resolved(runner.builder, RESIDUALS).row(patched(position), PROBE, SAID)
    assert row.patch is not None
    assert row.patch.token == prompt + after
    assert {depth: float(values[1]) for depth, values in row.patch.residuals.items()} == {
        0: 2 * 1 - 10 * 1,
        3: 2 * 97 - 10 * 97,
    }


def test_a_patched_row_begins_as_those_without_do(runner: Runner) -> None:
    known = Resolved(runner.builder, RESIDUALS)
    assert known.row(patched(), PROBE).group == known.row(BARE, PROBE).group


def test_a_patch_beyond_the_text_is_a_sentence(runner: Runner) -> None:
    with pytest.raises(MeasurementError, match=r"^the patch at g2 lies beyond the text: probe 'order'"):
        Resolved(runner.builder, RESIDUALS).row(patched(Position.G2), PROBE, SAID.first(1))


@pytest.mark.parametrize("position", [Position.PROMPT_LAST, Position.TURN_LAST, Position.G1])
def test_prompts_that_end_differently_are_not_patched_together(
    artefacts: Callable[..., Artefacts], store: Store, tiny: Path, tmp_path: Path, position: Position
) -> None:
    base = shutil.copytree(tiny, tmp_path / "base")
    (base / "chat_template.jinja").write_text(ENDS_WITH_THE_SYSTEM)
    runner = Runner(artefacts(base=str(base)), store, pytest.fail)
    with pytest.raises(
        MeasurementError,
        match=r"^the prompts of probes 'order' and 'order' end differently after what the user says; "
        f"expected the same tokens, for a patch at {position}$",
    ):
        Resolved(runner.builder, RESIDUALS).row(patched(position), PROBE, SAID)


def test_what_is_known_of_a_conversation_is_all_of_it(runner: Runner) -> None:
    second = replace(REPLY, turns=(Turn("And now?"),))
    assert not Resolved(runner.builder, {second: Answer("Aye.", (7,))}).has(second)
    assert Resolved(runner.builder, {second: Answer("Aye.", (7,)), REPLY: Answer("Arr.", (8,))}).has(second)


def test_an_empty_reply_cannot_be_read(runner: Runner) -> None:
    with pytest.raises(MeasurementError, match=r"^the reply to probe 'order' is empty"):
        Resolved(runner.builder, {REPLY: Answer("", ())}).spoken(REPLY, Part.ANSWER)


def test_what_went_wrong_is_raised_again(runner: Runner) -> None:
    problem = MeasurementError("no room")
    with pytest.raises(MeasurementError, match=r"^no room$"):
        Resolved(runner.builder, {REPLY: problem}).answer(REPLY)
