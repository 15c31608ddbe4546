from collections.abc import Callable, Container
from typing import Any

import pytest
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Condition, Reasoning, Record, Scene
from coherence.properties.channel import Channel
from coherence.vocabulary import (
    Decoding,
    Evidence,
    Marker,
    Persona,
    Probe,
    Prompt,
    Regime,
    Release,
    Verdict,
)

PROBES = tuple(Probe(id=f"q{i}", text=f"Question {i}?") for i in range(24))
PIRATE = Persona(prompt=Prompt(text="Be a pirate."), markers=(Marker(text="arr"), Marker(text="matey")))
CLERK = Persona(prompt=Prompt(text="Be formal."), markers=(Marker(text="shall"),))
PROMPT, ADAPTER = Regime.PROMPT, Regime.ADAPTER
ALL: Container[int] = range(24)
Says = Callable[[Condition, int], Answer]


def a_scene(**given: Any) -> Scene:
    settings: dict[str, Any] = {
        "release": Release.model_validate({"adapters": {"pirate": "adapters/pirate"}}),
        "personas": {"pirate": PIRATE, "clerk": CLERK, "mute": Persona(prompt=Prompt(text="Say little."))},
        "probes": PROBES,
        "regimes": (PROMPT, ADAPTER),
        "neutral": "Be helpful.",
        "decoding": Decoding(),
        "seed": 0,
    }
    return Scene(**settings | given)


def channel(**fields: Any) -> Channel:
    defaults = {"property": "channel", "min_agreement": 0.5, "max_difference": 0.25, "min_rise": 0.2}
    return Channel.model_validate(defaults | fields)


def said(reasoning: str, answer: str) -> Answer:
    return Answer(answer, (1, 2), reasoning=Reasoning(reasoning, 1))


def judged(says: Says, controlled: bool = False, **fields: Any) -> Evidence:
    case = channel(**fields).cases(a_scene())[0]
    needs = [
        *case.measurements(),
        *(one for several in case.controls().values() for each in several for one in each.needs()),
    ]
    record = Record({reply: says(reply.condition, PROBES.index(reply.probe)) for reply in needs})  # type: ignore[union-attr]
    evidence = case.judge(record, 0)
    return evidence.model_copy(update={"controls": case.controlled(record, 0)}) if controlled else evidence


def shows(reasoning: Container[int] = ALL, answer: Container[int] = ALL) -> Says:
    """Markers in the reasoning and the answers to some probes, under the pirate's prompt."""

    def says(condition: Condition, row: int) -> Answer:
        pirate = PIRATE.prompt in condition.prompts
        return said(
            "Arr, hm." if pirate and row in reasoning else "Hm.",
            "Aye, matey." if pirate and row in answer else "Yes.",
        )

    return says


def verdicts(evidence: Evidence) -> dict[str, Verdict]:
    return {one.estimate.name: one.verdict for one in evidence.criteria}


def test_a_persona_that_shows_in_both_on_the_same_probes_passes() -> None:
    evidence = judged(shows(range(14), range(14)), controlled=True)
    assert set(verdicts(evidence)) == {
        "Cohen's kappa", "rate answer - reasoning", "rise of reasoning", "rise of answer"
    }  # fmt: skip
    assert evidence.verdict is Verdict.PASS
    assert {control.name for control in evidence.controls} == {
        "nothing in its place",
        "clerk by prompt",
        "mute by prompt",
    }
    assert all(control.verdict is not Verdict.PASS for control in evidence.controls)
    for one in evidence.criteria:
        assert one.estimate.high - one.estimate.low > 0.05


def test_where_it_always_shows_agreement_is_no_criterion_and_the_rises_tell_it_from_nothing() -> None:
    evidence = judged(shows(), controlled=True)
    assert "Cohen's kappa" not in verdicts(evidence)
    assert any("independent channels would disagree on 0.0 of 24 probes" in note for note in evidence.notes)
    assert evidence.verdict is Verdict.PASS


def test_a_persona_that_only_answers_fails() -> None:
    found = verdicts(judged(shows(reasoning=())))
    assert found["rate answer - reasoning"] is found["rise of reasoning"] is Verdict.FAIL
    assert found["rise of answer"] is Verdict.PASS


def test_equal_rates_on_other_probes_are_no_agreement() -> None:
    evidence = judged(shows(range(12), range(12, 24)))
    assert verdicts(evidence)["Cohen's kappa"] is Verdict.FAIL
    first, _ = evidence.probes
    assert first.replies == {"reasoning": "Arr, hm.", "answer": "Yes."}
    assert first.marks == {"reasoning": ((0, 3),), "answer": ()}
    assert "McNemar p = 1 between reasoning and answer" in evidence.notes


def test_a_few_probes_more_on_one_side_decide_nothing() -> None:
    assert verdicts(judged(shows(range(10), range(14))))["rate answer - reasoning"] is Verdict.INCONCLUSIVE


def test_what_the_bare_model_shows_as_well_is_no_rise() -> None:
    evidence = judged(lambda condition, row: said("Arr.", "Matey."))
    assert verdicts(evidence)["rise of answer"] is Verdict.FAIL
    assert "bare, answer: markers in 100%" in "\n".join(evidence.notes)


def test_replies_without_any_reasoning_are_a_sentence() -> None:
    with pytest.raises(MeasurementError, match="none of 24 replies has any reasoning; expected a base that"):
        judged(lambda condition, row: Answer("Arr.", (1,)))


def test_one_case_per_regime_and_persona_with_markers() -> None:
    cases = channel().cases(a_scene())
    assert [(case.persona, case.slug) for case in cases] == [
        ("pirate", "prompt"),
        ("clerk", "prompt"),
        ("pirate", "adapter"),
    ]
    with pytest.raises(SuiteError, match="persona 'mute' has no markers"):
        channel(personas=["mute"]).cases(a_scene())
    with pytest.raises(SuiteError, match="found no persona with markers"):
        channel().cases(a_scene(personas={}))
    with pytest.raises(SuiteError, match="channel needs at least 8 probes; the suite has 7"):
        channel().cases(a_scene(probes=PROBES[:7]))


def test_the_bare_model_has_no_persona_to_show() -> None:
    with pytest.raises(ValidationError, match="the bare model has no persona to keep"):
        channel(regimes=["bare"])


def test_the_bare_model_reasons_where_the_persona_does() -> None:
    case = channel(regimes=["prompt+thinking"]).cases(a_scene())[0]
    assert {reply.condition.thinking for reply in case.needs()} == {"on"}  # type: ignore[union-attr]


def test_several_samples_are_paired_within_each_reply() -> None:
    case = channel().cases(a_scene(decoding=Decoding(temperature=1.0), samples=2))[0]
    replies = list(case.measurements())
    assert len(replies) == 2 * 2 * len(PROBES)
    first = {reply.decoding.seed: reply for reply in replies}[0].decoding
    shown = {
        reply: said("Arr, hm.", "Aye, matey.") if reply.decoding == first and reply.condition.prompts
        else said("Hm.", "Yes.")
        for reply in replies
    }  # fmt: skip
    evidence = case.judge(Record(dict(shown)), 0)
    kappa = {one.estimate.name: one.estimate for one in evidence.criteria}["Cohen's kappa"]
    assert (kappa.value, kappa.n) == (1, 24)
