"""Suites on bases whose chat templates do something with what is said: nothing of it goes unsaid."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import CHATML, GEMMA, QUESTIONS
from zoo import born

from coherence.api import open_suite
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.model.chat import Chat, Ends
from coherence.gate import Gate
from coherence.plan import NEUTRAL, Answer, Condition, Plan, Reply
from coherence.results import AssertionResult
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Decoding, Probe, Release, Verdict

PERSONAS = (
    """\
personas:
  pirate: {prompt: Talk like a pirate., markers: [{text: "[a-m]", kind: regex}], adapter: one}
  counsel: {prompt: Be formal., markers: [shall], adapter: two}
  oncall: {prompt: {text: Check the logs., role: user}, markers: [logs], adapter: three}
"""
    + QUESTIONS
)
MARKERS = "{property: markers, between: [prompt, adapter], personas: [pirate], min_agreement: -1, \
max_difference: 1, min_recovery: 0}"
COLLINEARITY = "{property: collinearity, between: [prompt, adapter], personas: [pirate], \
sites: resid_post.1, min_cosine: -1}"
LAW = "{property: commutativity, laws: [batch-mates], examples: 1}"
# The published grid of arXiv 2605.23147, and the same with prompts in system turns.
GRID = "{property: factorial, id: WHO, personas: [WHO], sites: resid_post.1, positions: [g1], tokens: 2}"
CLOCK = "{{ strftime_now('Today is %d %B %Y.') }}"

Judge = Callable[..., list[AssertionResult]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Callable[[str], Path]:
    """Copy the tiny model, with another chat template."""

    def make(template: str) -> Path:
        folder = shutil.copytree(tiny, tmp_path_factory.mktemp("base") / "base")
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


@pytest.fixture
def judge(tmp_path: Path, tiny_adapter: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Judge assertions on a base; adapters are by default the tiny model's."""
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    made = {name: tiny_adapter(name, seed=seed) for seed, name in enumerate(("one", "two", "three"))}

    def run(base: Path, *assertions: str, says: str = "", **given: Any) -> list[AssertionResult]:
        named = given.pop("adapters", None) or made
        release = {"base": str(base), "adapters": {name: str(path) for name, path in named.items()}}
        path = tmp_path / "a.coherence.yaml"
        listed = "".join(f"  - {assertion}\n" for assertion in assertions)
        path.write_text(f"coherence: 1\nrelease: {json.dumps(release)}\n{says}\n{PERSONAS}{listed}")
        suite = load_suite(path, Overrides())
        gate = Gate({suite: suite.assertions}, Store(tmp_path / "store"), **given)
        return [gate.judge(suite, assertion) for assertion in suite.assertions]

    return run


def notes(result: AssertionResult) -> str:
    assert result.evidence is not None, result.sentence
    return "\n".join(result.evidence.notes)


FOLDED = (
    "the chat template refuses a system turn: its text stands in the first turn of the user, "
    "before a blank line"
)


def unable(*given: object) -> LocalExecutor:
    raise AssertionError("nothing is to be measured")


def test_a_base_of_gemma_is_judged_by_the_suites_of_any_other(judge: Judge, tmp_path: Path) -> None:
    animal = born("gemma2", tmp_path / "gemma")
    (animal.base / "chat_template.jinja").write_text(GEMMA)
    grids = [GRID.replace("WHO", who) for who in ("pirate", "oncall")]
    asked = (MARKERS, COLLINEARITY, LAW, *grids)
    adapters = animal.adapters | {"three": animal.adapters["two"]}
    found = judge(animal.base, *asked, adapters=adapters)
    assert Verdict.ERROR not in {one.verdict for one in found}
    assert all(FOLDED in notes(one) for one in found)
    # It is said where nothing is measured, too.
    again = judge(animal.base, *asked, adapters=adapters, executor=unable)
    assert [notes(one) for one in again] == [notes(one) for one in found]


def test_the_shipped_personas_are_judged_on_a_base_that_refuses_a_system_turn(
    reference: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "refusing"
    folder.mkdir()
    for file in reference.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    (folder / "chat_template.jinja").write_text(GEMMA)
    suite = load_suite(Path(__file__).parent.parent / "suites" / "personas.coherence.yaml", Overrides())
    scene = replace(suite.scene, probes=suite.scene.probes[:8], decoding=Decoding(max_new_tokens=4))
    smoke = [one for one in suite.assertions if one.tier == "smoke" and one.case.persona == "pirate"]
    with open_suite(scene, base=folder, store=tmp_path / "store") as opened:
        found = opened.judge(*dict.fromkeys(one.property for one in smoke))
    assert {one.property for one in found} == {"collinearity", "markers"}
    assert {one.sentence for one in found if one.verdict is Verdict.ERROR} == set()
    assert all(FOLDED in notes(one) for one in found)


def test_a_template_that_drops_the_system_turn_is_named(judge: Judge, base: Callable[[str], Path]) -> None:
    folder = base(CHATML.replace("in messages", "in messages if message.role != 'system'"))
    (found,) = judge(folder, MARKERS)
    assert found.verdict is Verdict.ERROR
    assert f"the chat template of '{folder}' leaves out the system turn; expected one that keeps it" in (
        found.sentence
    )
    # As the sentence says, or where nothing stands there.
    (found,) = judge(folder, MARKERS, says="system: fold")
    assert notes(found)
    grid = GRID.replace("WHO", "oncall")
    (found,) = judge(folder, grid, says="neutral: null")
    assert notes(found)


def test_the_date_that_a_template_is_told_is_said(judge: Judge, base: Callable[[str], Path]) -> None:
    folder = base(CLOCK + CHATML)
    (found,) = judge(folder, MARKERS)
    assert "the chat template writes the date: it is told 2024-07-26" in notes(found)
    assert found.asked["date"] == "2024-07-26"
    (found,) = judge(folder, MARKERS, says="date: 2026-01-31")
    assert "the chat template writes the date: it is told 2026-01-31" in notes(found)


def test_what_of_the_bases_own_decoding_is_not_followed_is_said(
    judge: Judge, base: Callable[[str], Path]
) -> None:
    folder = base(CHATML)
    config = json.loads((folder / "generation_config.json").read_text())
    settings = {"do_sample": True, "temperature": 0.6, "repetition_penalty": 1.1}
    (folder / "generation_config.json").write_text(json.dumps(config | settings))
    markers, law = judge(folder, MARKERS, LAW)
    said = (
        "and not temperature 0.6, top_k 50, repetition_penalty 1.1; under `decoding: {as: shipped}` they do"
    )
    assert said in notes(markers)
    # Nothing is said of replies where there are none.
    assert said not in notes(law)


def test_a_token_that_should_end_replies_is_named(judge: Judge, base: Callable[[str], Path]) -> None:
    folder = base(CHATML)
    for name in ("config.json", "generation_config.json"):
        config = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(config | {"eos_token_id": 0}))
    words = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(words | {"eos_token": "<|endoftext|>"}))
    (found,) = judge(folder, MARKERS)
    assert (
        "the chat template ends an answer with '<|im_end|>', which neither the generation config nor the "
        "tokenizer names as an end ('<|endoftext|>')"
    ) in notes(found)


def test_replies_that_run_on_are_counted(
    judge: Judge, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    asked = Reply(
        Condition(NEUTRAL), Probe(id="order", text="Where is my order?"), Decoding(max_new_tokens=4)
    )
    engine = Engine(Artefacts(Release(base=str(tiny)), {}), Store(tmp_path / "other"))
    said = engine.measure(Plan([asked]))[asked]
    assert isinstance(said, Answer)
    # A random model would never say what a template writes.
    monkeypatch.setattr(Chat, "ends", Ends(None, said.ids[1:2]))
    (found,) = judge(tiny, MARKERS)
    counted = re.search(
        r"(\d+) of 24 replies run on into a turn of the user, and are cut there", notes(found)
    )
    assert counted
    assert 1 <= int(counted[1]) < 24
