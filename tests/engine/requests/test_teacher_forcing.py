from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conditions import BARE, PROMPT
from safetensors.numpy import load_file

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.vectors import save_vector
from coherence.engine.batch.rows import Row
from coherence.engine.engine import Engine
from coherence.engine.requests.job import Job
from coherence.engine.requests.teacher_forcing import REFERENCES, teacher_forced
from coherence.engine.running.runner import Runner
from coherence.errors import MeasurementError
from coherence.plan import (
    Answer,
    Condition,
    Divergence,
    Likelihood,
    Measurement,
    Outcome,
    Patch,
    Plan,
    Reading,
    Reply,
    Steer,
)
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Site, Tokens

PROBES = [Probe(id=name, text=f"{name}?") for name in ("a", "b", "c")]
TEXT = Reply(PROMPT, PROBES[0], Decoding(max_new_tokens=6))
SITE = Site.parse("resid_post.1")
Measure = Callable[..., dict[Measurement, Outcome]]


@pytest.fixture
def measure(artefacts: Callable[..., Artefacts], store: Store, tmp_path: Path) -> Measure:
    release = artefacts(adapters={"broken": tmp_path})

    def run(*measurements: Measurement) -> dict[Measurement, Outcome]:
        return Engine(release, store).measure(Plan(measurements))

    return run


@pytest.fixture
def runner(artefacts: Callable[..., Artefacts], store: Store) -> Runner:
    return Runner(artefacts(), store, pytest.fail)


def patched(condition: Condition, reading: Reading, *sites: Site) -> Condition:
    return replace(condition, patch=Patch(((1.0, reading),), sites or (SITE,), reading.position))


def test_nothing_diverges_from_itself(measure: Measure) -> None:
    divergence = Divergence(PROMPT, TEXT.probe, PROMPT, TEXT)
    assert measure(divergence)[divergence].max() < 1e-6


@pytest.mark.parametrize(
    ("position", "given"), [(Position.PROMPT_LAST, 0), (Position.G1, 1), (Position.G2, 2)]
)
def test_a_condition_patched_with_its_own_residuals_is_itself(
    measure: Measure, position: Position, given: int
) -> None:
    oracle = patched(PROMPT, Reading(PROMPT, TEXT.probe, position, TEXT if given else None))
    divergence = Divergence(oracle, TEXT.probe, PROMPT, TEXT, given=given)
    assert measure(divergence)[divergence].max() < 1e-6


def test_all_residuals_of_the_last_token_do_not_make_another_prompt(measure: Measure) -> None:
    last = Reading(PROMPT, TEXT.probe)
    sites = [Site(block, "post") for block in range(4)]
    bare, injected = (
        Divergence(each, TEXT.probe, PROMPT, TEXT) for each in (BARE, patched(BARE, last, *sites))
    )
    found = measure(bare, injected)
    # The next token is read off the residuals that were put there; the one after it looks back at the prompt.
    assert found[injected][0] < 1e-6 < found[bare][0]
    assert found[injected][1:].max() > 1e-3


@pytest.mark.parametrize("given", [0, 2])
def test_the_token_that_ends_a_reply_is_the_last_to_be_scored(runner: Runner, given: int) -> None:
    wanted = Divergence(BARE, TEXT.probe, PROMPT, TEXT, tokens=10, given=given)
    ran: list[Row] = []

    def run(rows: Sequence[Row]) -> list[tuple[object, object]]:
        ran.extend(rows)
        return [(row.log_probs, MeasurementError("not run")) for row in rows]

    list(teacher_forced(runner.builder, Job((wanted,), {TEXT: Answer("Aye.", (40, 41, 42))}), run))
    (reference,) = ran
    assert reference.ids[-3:] == (40, 41, 42)
    assert reference.score.last == 4 - given


def test_a_reply_shorter_than_what_is_given_is_a_sentence(runner: Runner) -> None:
    wanted = Divergence(BARE, TEXT.probe, PROMPT, TEXT, given=2)
    found = dict(teacher_forced(runner.builder, Job((wanted,), {TEXT: Answer("", ())}), lambda rows: []))
    assert str(found[wanted]) == "the reply to probe 'a' has 0 tokens; expected at least 2"


def test_an_empty_reply_has_no_likelihood(runner: Runner) -> None:
    wanted = Likelihood(BARE, TEXT.probe, TEXT)
    found = dict(teacher_forced(runner.builder, Job((wanted,), {TEXT: Answer("", ())}), lambda rows: []))
    assert "is empty" in str(found[wanted])


def test_a_likelihood_has_a_value_for_every_token(measure: Measure) -> None:
    likelihood = Likelihood(BARE, TEXT.probe, TEXT)
    found = measure(likelihood)
    said = found[TEXT]
    assert isinstance(said, Answer)
    assert found[likelihood].shape == (len(said.ids),)
    assert (found[likelihood] < 0).all()


def test_a_greedy_reply_is_likeliest_under_its_own_condition(measure: Measure) -> None:
    own, other = (Likelihood(each, TEXT.probe, TEXT) for each in (PROMPT, BARE))
    found = measure(own, other)
    assert found[own].sum() > found[other].sum()


def test_a_patch_beyond_the_model_is_a_sentence(measure: Measure) -> None:
    far = patched(PROMPT, Reading(PROMPT, TEXT.probe), Site.parse("resid_post.4"))
    divergence = Divergence(far, TEXT.probe, PROMPT, TEXT)
    problem = measure(divergence)[divergence]
    assert str(problem) == "resid_post.4 lies beyond the model, whose last site is resid_post.3"


def test_what_a_patch_rests_on_and_cannot_be_measured_is_its_error(measure: Measure) -> None:
    broken = Condition(BARE.neutral, adapters=(("broken", 1.0),))
    divergence = Divergence(patched(BARE, Reading(broken, TEXT.probe)), TEXT.probe, BARE, TEXT)
    found = measure(divergence)
    assert "adapter 'broken'" in str(found[divergence])


def test_a_reference_that_cannot_be_measured_is_the_error_of_all_that_is_compared_with_it(
    measure: Measure,
) -> None:
    broken = Condition(BARE.neutral, adapters=(("broken", 1.0),))
    divergence = Divergence(BARE, TEXT.probe, broken, TEXT)
    assert "adapter 'broken'" in str(measure(divergence)[divergence])


def test_many_references_are_held_in_turn(measure: Measure) -> None:
    probes = [Probe(id=f"p{index}", text=f"Number {index}?") for index in range(REFERENCES + 3)]
    texts = [Reply(PROMPT, probe, Decoding(max_new_tokens=2)) for probe in probes]
    wanted = [Divergence(BARE, text.probe, PROMPT, text, tokens=2) for text in texts]
    together = measure(*wanted)
    assert all(np.isfinite(together[one]).all() for one in wanted)


def test_a_token_that_the_reply_does_not_have_cannot_be_read(measure: Measure) -> None:
    short = Reply(PROMPT, TEXT.probe, Decoding(max_new_tokens=1))
    reading = Reading(BARE, TEXT.probe, Position.G2, short)
    assert str(measure(reading)[reading]) == "the reply to probe 'a' has 1 token: it has no g2"


def put_at(block: int) -> Condition:
    return replace(BARE, steers=(Steer("pirate", 2.0, at=Site(block, "post"), tokens=Tokens.REPLY),))


def test_a_vector_put_at_one_site_after_the_other_is_what_it_is_alone_at_each(
    artefacts: Callable[..., Artefacts], store: Store, tiny_vector: Callable[..., Path]
) -> None:
    path = tiny_vector("pirate", site="resid_post.2")
    deployed = {f"at-{block}": {"path": str(_moved(path, block)), "tokens": "reply"} for block in range(4)}
    vectors = {"pirate": str(path), **deployed}

    def measured(*conditions: Condition) -> list[np.ndarray]:
        wanted = [Divergence(one, TEXT.probe, PROMPT, TEXT, tokens=3) for one in conditions]
        values = Engine(artefacts(vectors=vectors), store).measure(Plan(wanted))
        return [values[one] for one in wanted]

    bare, *swept = measured(BARE, *map(put_at, range(4)))
    each = [measured(replace(BARE, steers=(Steer(name, 2.0),)))[0] for name in deployed]
    assert np.allclose(swept, each, atol=1e-4)
    assert all(np.abs(one - bare).max() > 1e-3 for one in swept)


def _moved(path: Path, block: int) -> Path:
    moved = path.with_name(f"at-{block}.safetensors")
    save_vector(moved, load_file(path)["vector"], Site(block, "post"), {})
    return moved
