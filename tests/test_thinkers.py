"""Suites on bases that reason before they answer: what is judged is the answer."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from thinkers import CHANNELS, HARMONY, OPENED, SWITCHED, THINK, V3, thinker, words
from tiny import CHATML, QUESTIONS
from transformers import AutoTokenizer, LlamaForCausalLM

from coherence.api import open_suite
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.model.chat import Chat
from coherence.errors import SuiteError
from coherence.gate import Gate
from coherence.plan import (
    Answer,
    Condition,
    Divergence,
    Likelihood,
    Measurement,
    Plan,
    Reading,
    Reasoning,
    Reply,
    Turn,
)
from coherence.results import AssertionResult
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Decoding, Part, Position, Probe, Regime, Release, Thinking, Verdict

SAID = ("Hm", " so", "</think>", "Arr", " matey")
MARKERS = "{property: markers, between: [prompt, steering], min_agreement: -1, max_difference: 1, \
min_recovery: 0}"
PROBE = Probe(id="order", text="Where is my order?")

Judge = Callable[..., list[AssertionResult]]


@pytest.fixture
def judge(tmp_path: Path, tiny_vector: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Judge:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))

    def run(
        base: Path, *assertions: str, says: str = "", tokens: int = 8, dose: float = 0.001
    ) -> list[AssertionResult]:
        release = {"base": str(base), "vectors": {"pirate": str(tiny_vector("pirate"))}}
        persona = f"{{prompt: Talk like a pirate., markers: [arr], dose: {dose}}}"
        path = tmp_path / "a.coherence.yaml"
        listed = "".join(f"  - {assertion}\n" for assertion in assertions)
        asked = QUESTIONS.replace("max_new_tokens: 4", f"max_new_tokens: {tokens}")
        path.write_text(
            f"coherence: 1\nrelease: {json.dumps(release)}\n{says}\npersonas:\n  pirate: {persona}\n"
            f"{asked}{listed}"
        )
        suite = load_suite(path, Overrides())
        gate = Gate({suite: suite.assertions}, Store(tmp_path / "store"))
        return [gate.judge(suite, assertion) for assertion in suite.assertions]

    return run


def measured(base: Path, store: Path, *measurements: Measurement) -> list[Any]:
    found = Engine(Artefacts(Release(base=str(base)), {}), Store(store)).measure(Plan(measurements))
    return [found[one] for one in measurements]


def test_the_answer_is_what_follows_the_reasoning(tmp_path: Path) -> None:
    base = thinker(tmp_path / "base", OPENED, *SAID)
    reply = Reply(Condition(None), PROBE, Decoding(max_new_tokens=8))
    (found,) = measured(base, tmp_path / "store", reply)
    assert isinstance(found, Answer)
    assert (found.text, found.reasoning, len(found.ids)) == ("Arr matey", Reasoning("Hm so", 3), 5)
    # The store keeps all of it.
    assert measured(base, tmp_path / "store", reply) == [found]


@pytest.mark.parametrize(
    ("part", "tokens"), [(Part.ANSWER, [3, 4]), (Part.REASONING, [0, 1, 2]), (Part.BOTH, [*range(5)])]
)
@pytest.mark.parametrize("known", [False, True], ids=["heard", "read"])
def test_residuals_and_likelihoods_are_those_of_a_part(
    tmp_path: Path, part: Part, tokens: list[int], known: bool
) -> None:
    base = thinker(tmp_path / "base", OPENED, *SAID)
    reply = Reply(Condition(None), PROBE, Decoding(max_new_tokens=8))
    if known:
        measured(base, tmp_path / "store", reply)
    mean = Reading(reply.condition, PROBE, Position.RESPONSE_MEAN, reply, part=part)
    likelihood = Likelihood(reply.condition, PROBE, reply, part)
    said, read, scored = measured(base, tmp_path / "store", reply, mean, likelihood)
    # Nothing is added to the embeddings, so that they are the residuals.
    embedded = LlamaForCausalLM.from_pretrained(base).model.embed_tokens.weight.detach().numpy()
    assert read[-1] == pytest.approx(embedded[[said.ids[token] for token in tokens]].mean(0), abs=1e-5)
    assert len(scored) == len(tokens)


@pytest.mark.parametrize(("part", "token"), [(Part.ANSWER, 3), (Part.REASONING, 0), (Part.BOTH, 0)])
def test_the_first_token_of_a_response_is_that_of_a_part(tmp_path: Path, part: Part, token: int) -> None:
    base = thinker(tmp_path / "base", OPENED, *SAID)
    reply = Reply(Condition(None), PROBE, Decoding(max_new_tokens=8))
    said, read = measured(
        base, tmp_path / "store", reply, Reading(reply.condition, PROBE, Position.G1, reply, part=part)
    )
    embedded = LlamaForCausalLM.from_pretrained(base).model.embed_tokens.weight.detach().numpy()
    assert read[-1] == pytest.approx(embedded[said.ids[token]], abs=1e-5)


@pytest.mark.parametrize("known", [False, True], ids=["heard", "read"])
def test_every_answer_of_a_conversation_has_its_own_reasoning(tmp_path: Path, known: bool) -> None:
    base = thinker(tmp_path / "base", OPENED, *SAID)
    second = Reply(Condition(None), PROBE, Decoding(max_new_tokens=8), (Turn("And now?"),))
    if known:
        measured(base, tmp_path / "store", second)
    mean = Reading(second.condition, PROBE, Position.RESPONSE_MEAN, second)
    first, said, read = measured(base, tmp_path / "store", second.conversation[0], second, mean)
    assert first == said == Answer("Arr matey", first.ids, reasoning=Reasoning("Hm so", 3))
    embedded = LlamaForCausalLM.from_pretrained(base).model.embed_tokens.weight.detach().numpy()
    assert read[-1] == pytest.approx(embedded[list(said.ids[3:])].mean(0), abs=1e-5)


def test_a_divergence_begins_with_the_answer(tmp_path: Path) -> None:
    base = thinker(tmp_path / "base", OPENED, *SAID)
    bare, other = Condition(None), Condition("Be brief.")
    reply = Reply(bare, PROBE, Decoding(max_new_tokens=8))
    (found,) = measured(base, tmp_path / "store", Divergence(other, PROBE, bare, reply))
    # Two tokens, and the one that ends it.
    assert len(found) == 3


def test_a_part_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    base = thinker(tmp_path / "base", OPENED, *SAID)
    cut = Reply(Condition(None), PROBE, Decoding(max_new_tokens=2))
    mean = Reading(cut.condition, PROBE, Position.RESPONSE_MEAN, cut)
    reply, *lacking = measured(
        base,
        tmp_path / "store",
        cut,
        mean,
        Likelihood(cut.condition, PROBE, cut),
        replace(mean, position=Position.G1),
    )
    assert (reply.text, reply.reasoning) == ("", Reasoning("Hm so", 2, closed=False))
    for problem in lacking:
        assert "was still reasoning at 2 tokens, and has no answer; raise max_new_tokens" in str(problem)
    plain = thinker(tmp_path / "plain", CHATML, "Arr")
    (problem,) = measured(plain, tmp_path / "store", replace(mean, part=Part.REASONING))
    assert "has no reasoning; expected a model that reasons" in str(problem)


def test_replies_are_judged_by_their_answers(judge: Judge, tmp_path: Path) -> None:
    # Its reasoning has the marker, and its answer has not.
    base = thinker(tmp_path / "base", OPENED, "Arr", "</think>", " matey")
    (found,) = judge(base, MARKERS)
    assert found.evidence is not None
    assert "bare: markers in 0%" in "\n".join(found.evidence.notes)
    assert {reply for probe in found.evidence.probes for reply in probe.replies.values()} == {"matey"}


def test_replies_that_are_still_reasoning_are_said_and_decide_nothing(judge: Judge, tmp_path: Path) -> None:
    base = thinker(tmp_path / "base", OPENED, *SAID)
    (found,) = judge(base, MARKERS, tokens=2)
    said = "24 of 24 replies were still reasoning at 2 tokens, and have no answer; raise max_new_tokens"
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.evidence is not None
    assert said in found.evidence.notes
    assert {one.unreliable for one in found.evidence.criteria if one.key == "max_difference"} == {said}


def told(base: Path, store: Path, thinking: Thinking) -> Any:
    reply = Reply(Condition(None, thinking=thinking), PROBE, Decoding(max_new_tokens=8))
    (found,) = measured(base, store, reply)
    return found


def test_a_template_is_told_to_reason(tmp_path: Path) -> None:
    base = thinker(tmp_path / "base", SWITCHED, "<think>", *SAID)
    assert told(base, tmp_path / "store", "on").reasoning == Reasoning("Hm so", 4)
    # Told not to, whatever it says is its answer, as it was before anybody could tell it to.
    assert told(base, tmp_path / "store", "auto").text == "<think>Hm so</think>Arr matey"


def test_a_switch_may_have_another_name(tmp_path: Path) -> None:
    chat = Chat(words(V3, *THINK))
    ends = {
        thinking: chat.render(Condition(None, thinking=thinking), PROBE).rpartition("\n")[2]
        for thinking in ("auto", "off", "on")
    }
    assert ends == {"auto": "</think>", "off": "</think>", "on": "<think>"}


def test_an_effort_is_told(tmp_path: Path) -> None:
    chat = Chat(words(HARMONY, *CHANNELS))
    for effort in ("low", "high"):
        assert f"Reasoning: {effort}" in chat.render(Condition(None, thinking=effort), PROBE)
    assert "Reasoning: medium" in chat.render(Condition(None), PROBE)


def test_an_answer_on_a_channel_ends_as_the_last_one_does() -> None:
    vocabulary = words(HARMONY, *CHANNELS)
    assert vocabulary.convert_ids_to_tokens(Chat(vocabulary).ends.answer) == "<|return|>"


@pytest.mark.parametrize(
    ("template", "thinking", "expected"),
    [
        (CHATML, "on", "auto"),
        (OPENED, "off", "auto"),
        (HARMONY, "on", "auto, low, medium or high"),
        (V3, "low", "auto, off or on"),
    ],
    ids=["none", "always", "effort", "switch"],
)
def test_a_template_without_such_a_switch_is_a_sentence(
    judge: Judge, tmp_path: Path, template: str, thinking: str, expected: str
) -> None:
    base = thinker(tmp_path / "base", template, "Arr")
    (found,) = judge(base, MARKERS, says=f"thinking: {thinking}")
    assert found.verdict is Verdict.ERROR
    assert (
        f"has no switch for `thinking: {thinking}`: it writes the same with and without; expected {expected}"
        in (found.sentence)
    )


@pytest.mark.parametrize(
    ("written", "thinking"),
    [("on", "on"), ("off", "off"), ("'on'", "on"), ("high", "high"), ("auto", "auto")],
)
def test_a_suite_says_what_its_conditions_are_told(tmp_path: Path, written: str, thinking: str) -> None:
    path = tmp_path / "a.coherence.yaml"
    path.write_text(
        f"coherence: 1\nthinking: {written}\nprobes: [Why?]\npersonas:\n"
        "  pirate: {prompt: Arr.}\n"
        "release: {vectors: {pirate: {extract: {persona: pirate, site: resid_post.1}}}}\n"
    )
    scene = load_suite(path, Overrides(), must_assert=False).scene
    regimes = [Regime.parse(name) for name in ("bare", "prompt", "steering")]
    assert {scene.condition("pirate", regime).thinking for regime in regimes} == {thinking}
    assert {
        side.thinking for side in (scene.extracts["pirate"].positive, scene.extracts["pirate"].negative)
    } == {"auto"}


def test_what_is_no_word_of_thinking_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.coherence.yaml"
    path.write_text("coherence: 1\nthinking: onn\n")
    with pytest.raises(SuiteError, match=r"a.coherence.yaml:2.*onn"):
        load_suite(path, Overrides(), must_assert=False)


def test_a_reply_is_not_read_where_the_prompt_begins_it_otherwise(tmp_path: Path) -> None:
    base = thinker(tmp_path / "base", SWITCHED, "<think>", *SAID)
    on, off = (Condition(None, thinking=thinking) for thinking in ("on", "off"))
    reply = Reply(on, PROBE, Decoding(max_new_tokens=8))
    mean = Reading(off, PROBE, Position.RESPONSE_MEAN, reply)
    (problem,) = measured(base, tmp_path / "store", mean)
    assert "a reply said with `thinking: on` cannot be read with `thinking: off`" in str(problem)


CHANNEL = "{property: channel, regimes: [steering], min_agreement: -1, max_difference: 0.6, min_rise: 0.1}"


def test_a_persona_of_both_channels_passes_and_one_of_the_answer_alone_fails(
    judge: Judge, tmp_path: Path
) -> None:
    plain = ("Hm", "</think>", "Yes")
    both = thinker(tmp_path / "both", OPENED, *plain, steered={"Hm": "Arr", "Yes": " arr"})
    (found,) = judge(both, CHANNEL, dose=0.5)
    assert found.verdict is Verdict.PASS, found.sentence
    assert found.evidence is not None
    assert found.evidence.probes[0].replies == {"reasoning": "Arr", "answer": "arr"}
    assert {control.name for control in found.evidence.controls} == {"nothing in its place", "random vectors"}
    answer = thinker(tmp_path / "answer", OPENED, *plain, steered={"Yes": " arr"})
    (found,) = judge(answer, CHANNEL.replace("min_rise: 0.1", "min_rise: 0.4"), dose=0.5)
    assert found.verdict is Verdict.FAIL
    assert "rise of reasoning 0.00" in found.sentence


def test_a_base_that_does_not_reason_has_no_channels(judge: Judge, tmp_path: Path) -> None:
    (found,) = judge(thinker(tmp_path / "base", CHATML, "Arr"), CHANNEL)
    assert found.verdict is Verdict.ERROR
    assert "none of 8 replies has any reasoning; expected a base that reasons" in found.sentence


def test_a_regime_lets_it_reason(judge: Judge, tmp_path: Path) -> None:
    # Where the template is told not to reason, the reply goes on behind what the prompt has closed.
    base = thinker(
        tmp_path / "base", SWITCHED, "<think>", "Hm", "</think>", "Yes", steered={"Hm": "Arr", "Yes": " arr"}
    )
    (found,) = judge(base, CHANNEL.replace("[steering]", "[steering+thinking]"), dose=0.5)
    assert found.id == "pirate.channel.steering+thinking"
    assert found.verdict is Verdict.PASS, found.sentence
    (found,) = judge(base, CHANNEL, dose=0.5)
    assert "none of 8 replies has any reasoning" in found.sentence


@pytest.fixture
def opening(reference: Path, tmp_path: Path) -> Path:
    """The reference model with a template that opens reasoning, or closes it, where it is told to."""
    base = Path(shutil.copytree(reference, tmp_path / "opening", copy_function=os.symlink))
    template = base / "chat_template.jinja"
    text = template.read_text()
    template.unlink()
    opens = "{% if add_generation_prompt and thinking is defined %}{{ '<think>' if thinking else "
    template.write_text(text + opens + "'<think></think>\n\n' }}{% endif %}")
    return base


def test_marks_need_no_token_of_their_own(opening: Path, tmp_path: Path) -> None:
    assert len(AutoTokenizer.from_pretrained(opening)("</think>")["input_ids"]) > 1
    on, off = (told(opening, tmp_path / "store", thinking) for thinking in ("on", "off"))
    assert (on.text, on.reasoning.tokens, on.reasoning.closed) == ("", 8, False)
    assert off.text
    assert off.reasoning is None


def test_the_shipped_personas_are_judged_on_a_base_that_reasons(opening: Path, tmp_path: Path) -> None:
    suite = load_suite(Path(__file__).parent.parent / "suites" / "personas.coherence.yaml", Overrides())
    scene = replace(
        suite.scene,
        probes=suite.scene.probes[:8],
        decoding=Decoding(max_new_tokens=4),
        thinking="on",
    )
    smoke = [one for one in suite.assertions if one.tier == "smoke" and one.case.persona == "pirate"]
    with open_suite(scene, base=opening, store=tmp_path / "store") as opened:
        found = opened.judge(*dict.fromkeys(one.property for one in smoke))
    assert {one.property for one in found} == {"collinearity", "markers"}
    assert {one.sentence for one in found if one.verdict is Verdict.ERROR} == set()
    cut = "24 of 24 replies were still reasoning at 4 tokens, and have no answer; raise max_new_tokens"
    for one in found:
        if one.property == "markers":
            assert one.evidence is not None
            assert cut in one.evidence.notes
            assert one.verdict is Verdict.INCONCLUSIVE
