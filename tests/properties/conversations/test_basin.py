import re

import numpy as np
import pytest
import worlds
from looked import takes_what_it_needs
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.plan import Answer, Cache, Reading, Record, Reply
from coherence.properties.conversations.basin import Basin
from coherence.vocabulary import (
    Regime,
    Script,
    ScriptTurn,
    Verdict,
)
from coherence.vocabulary.script import Kind

PROBES = worlds.probes(8)
DEPTH, WIDTH, TURNS, HELD = 3, 16, 5, 2
NAMES = ("pirate", "counsel", "gloomy")
WRITTEN = {0: "Arr.", 1: "Aye."}


def script(number, turns=TURNS, written=WRITTEN):
    said = [ScriptTurn(user=f"{number}.{turn}?", assistant=written.get(turn)) for turn in range(turns)]
    return Script(id=f"s{number}", turns=tuple(said))


def scene(scripts=None):
    talks = tuple(script(number) for number in range(8)) if scripts is None else scripts
    return worlds.scene(worlds.personas(NAMES, dose=1.0), asked=PROBES, talks=talks)


def asked(**fields):
    defaults = {"personas": ("pirate",), "site": "resid_post.1", "imposed": ("prompt",)}
    return Basin(property="basin", **defaults | fields)


def made(course, case, noise=0.02):
    """Conversations stand at course(strength by persona, turns since release), each question elsewhere."""
    drawn = np.random.default_rng(0)
    axes = dict(zip(NAMES, np.eye(len(NAMES), WIDTH) * 3, strict=True))
    question = {}
    values = {}
    for need in case.measurements():
        if isinstance(need, Reply):
            values[need] = Answer("Arr.", (1,))
            continue
        values[need] = np.zeros((DEPTH, WIDTH), np.float32)
        place = question.setdefault(last_said(need.text), drawn.normal(size=WIDTH))
        at = sum(
            (axes[name] * share for name, share in course(*state(need.text)).items()), start=np.zeros(WIDTH)
        )
        values[need][2] = place + at + noise * drawn.normal(size=WIDTH)
    return Record(values)


def last_said(reply):
    return reply.turns[-1].text if reply.turns else reply.probe.text


def state(reply):
    """What was imposed on a conversation, and how many turns ago it was released; -1: it still is."""
    strength = {prompt.text[3:-1]: 1.0 for prompt in reply.condition.prompts}
    strength |= {steer.vector: steer.dose for steer in reply.condition.steers}
    strength |= dict(reply.condition.adapters)
    given = [turn.after for turn in reply.turns if turn.after]
    if given:
        return {"pirate": 1.0}, len(reply.turns) - len(given)
    released = next((n for n, turn in enumerate(reply.turns, 1) if turn.condition), None)
    return strength, -1 if released is None else len(reply.turns) - released + 1


def falling(by):
    return lambda strength, since: {name: share * by ** max(since, 0) for name, share in strength.items()}


def judged(course, scripts=None, noise=0.02, pick=0, **fields):
    case = asked(**fields).cases(scene(scripts))[pick]
    return case.judge(made(course, case, noise), seed=0)


def test_what_is_reached_and_goes_back_is_said_apart():
    evidence = judged(falling(0.5), min_reached=0.8, min_returned=0.8)
    reached, gone = evidence.criteria
    assert evidence.verdict is Verdict.PASS
    assert reached.estimate.value == pytest.approx(1, abs=0.05)
    assert gone.estimate.value == pytest.approx(1 - 0.5**3, abs=0.05)
    assert evidence.curve.over.title == "turns since release"
    assert evidence.curve.at == ("0", "1", "2", "3")
    returned, displacement = evidence.curve.series["returned"], evidence.curve.series["displacement"]
    assert returned.values == pytest.approx([0, 0.5, 0.75, 0.875], abs=0.05)
    assert all(np.array(returned.low[1:]) < returned.high[1:])
    assert displacement.values == pytest.approx([1, 0.5, 0.25, 0.125], abs=0.05)


def test_what_is_sustained_is_what_has_not_returned():
    assert judged(falling(0.95), min_sustained=0.8).verdict is Verdict.PASS
    evidence = judged(falling(0.5), min_sustained=0.8)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.value == pytest.approx(0.5**3, abs=0.05)


def test_what_is_not_displaced_decides_nothing():
    evidence = judged(lambda strength, since: {}, min_sustained=0.5, noise=0.3)
    assert evidence.verdict is Verdict.INCONCLUSIVE


def test_what_questions_add_is_no_return():
    """Each question moves all conversations: against the unmoved one it is nothing."""
    gone = judged(falling(1.0), min_sustained=0.9).decisive.estimate
    assert gone.value == pytest.approx(1, abs=0.03)


def test_too_much_noise_on_the_axis_decides_nothing():
    evidence = judged(falling(0.5), min_reached=0.5, noise=30)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.decisive.unreliable.startswith("the axis of pirate is not reliable at resid_post.1")


def test_a_prompt_goes_from_the_cache_and_steering_stays_in_it():
    for imposed, cache in (("prompt", Cache.REBUILT), ("steering", Cache.KEPT), ("adapter", Cache.KEPT)):
        (case,) = asked(imposed=(imposed,), min_reached=0.5).cases(scene())
        moved = case.displaced.moved[imposed]
        reply = moved.reply(moved.scripts[0], TURNS - 1)
        assert [turn.condition for turn in reply.turns] == [None, scene().bare, None, None]
        assert reply.turns[HELD - 1].cache is cache
        assert reply.condition == scene().condition("pirate", Regime.parse(imposed))
        assert all(turn.after is None for turn in reply.turns)


def test_turns_that_are_written_displace_by_the_text_alone():
    (case,) = asked(imposed=("turns",), min_reached=0.5).cases(scene())
    moved, unmoved = (
        conversations.reply(conversations.scripts[0], TURNS - 1) for conversations in case.displaced.all
    )
    assert moved.condition == unmoved.condition == scene().bare
    assert [turn.after for turn in moved.turns] == ["Arr.", "Aye.", None, None]
    assert not any(turn.after for turn in unmoved.turns)
    evidence = judged(falling(0.5), imposed=("turns",), min_reached=0.8, min_returned=0.5)
    assert evidence.verdict is Verdict.PASS
    assert evidence.curve.series["returned"].values == pytest.approx([0, 0.5, 0.75], abs=0.05)


def test_turns_that_press_are_not_in_the_unmoved_conversation():
    pressing = [
        Script(
            id=f"s{number}",
            turns=(
                ScriptTurn(user=f"{number}.0?"),
                ScriptTurn(user="Be a pirate!", kind=Kind.PRESSURE),
                ScriptTurn(user=f"{number}.1?"),
                ScriptTurn(user=f"{number}.2?"),
            ),
        )
        for number in range(4)
    ]
    (case,) = asked(imposed=("turns",), min_reached=0.5).cases(scene(pressing))
    assert case.displaced.after == (1,) * 4
    assert case.displaced.since == 1
    assert [turn.user for turn in case.displaced.unmoved.scripts[0].turns] == ["0.0?", "0.1?", "0.2?"]
    values = {
        need: np.zeros((DEPTH, WIDTH), np.float32)
        for need in case.measurements()
        if isinstance(need, Reading)
    }
    for need, value in values.items():
        pressed = any(turn.text == "Be a pirate!" for turn in need.text.turns)
        value[2, 0] = bool(need.condition.prompts) + 0.5 * pressed
    moved = case.sample(Record(values), seed=0).moved
    assert moved == pytest.approx(np.full((1, 4, 2, 1), 0.5))


WELL = {0.25: 0.05, 0.5: 0.3, 0.75: 0.95, 1.0: 1.0}


def bistable(strength, since):
    """To 0 from below 0.6, to 1 from above it."""
    return (
        {name: share if since < 0 else WELL[share] for name, share in strength.items()}
        if max(strength.values(), default=0) in WELL
        else {}
    )


def test_a_map_of_two_basins_has_their_border():
    fields = {"imposed": ("steering",), "starts": (0.25, 0.5, 0.75, 1), "border": (0.5, 0.7)}
    evidence = judged(bistable, **fields)
    assert evidence.verdict is Verdict.PASS
    assert evidence.decisive.estimate.value == pytest.approx(0.625, abs=0.03)
    assert evidence.curve.over.diagonal == "where it was released"
    assert [float(at) for at in evidence.curve.at] == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.03)
    assert evidence.curve.series["end"].values == pytest.approx([0, 0.05, 0.3, 0.95, 1], abs=0.03)
    assert evidence.notes[1].startswith("a border between basins lies at 0.6")
    assert judged(bistable, **fields | {"border": (0.1, 0.3)}).verdict is Verdict.FAIL


def test_where_everything_goes_back_there_is_no_border():
    fields = {"imposed": ("steering",), "starts": (0.25, 0.5, 1), "border": (0.2, 0.8)}
    evidence = judged(falling(0.5), **fields)
    assert evidence.verdict is Verdict.FAIL  # it lies beyond the last start
    assert evidence.notes[1] == "no border between basins is told from noise within these starts"


def test_the_start_that_keeps_most_decides_whether_all_go_back():
    fields = {"imposed": ("steering",), "starts": (0.25, 0.5, 0.75, 1), "min_returned": 0.6, "pick": 1}
    assert judged(falling(0.5), **fields).verdict is Verdict.PASS
    evidence = judged(bistable, **fields)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.tables[0].columns[2:] == ("returned", "low", "high")


def test_a_plane_has_starts_of_either_and_of_both():
    fields = {"imposed": ("steering",), "starts": (0.5, 1), "min_returned": 0.6, "across": "counsel"}
    cases = asked(**fields).cases(scene())
    assert [case.slug for case in cases] == ["steering", "steering-map", "steering-plane-counsel"]
    assert {case.regimes for case in cases} == {(Regime.parse("steering"),)}
    evidence = judged(falling(0.5), pick=2, **fields)
    assert evidence.verdict is Verdict.PASS
    assert (evidence.arrows.x, evidence.arrows.y) == ("pirate", "counsel")
    both = "pirate 0.5 and counsel 0.5"
    assert list(evidence.arrows.end)[-1] == both
    assert evidence.arrows.start[both] == pytest.approx((0.5, 0.5), abs=0.05)
    assert evidence.arrows.end[both] == pytest.approx((0.5**4, 0.5**4), abs=0.05)


def test_an_opposite_has_starts_of_its_own():
    fields = {"imposed": ("adapter",), "starts": (0.5, 1), "min_returned": 0.6, "against": "gloomy"}
    case = asked(**fields).cases(scene())[1]
    assert list(case.displaced.moved) == ["pirate 0.5", "pirate 1", "gloomy 0.5", "gloomy 1"]
    evidence = case.judge(made(falling(0.5), case), seed=0)
    assert [float(at) < 0 for at in evidence.curve.at] == [True, True, False, False, False]


def test_controls_impose_somebody_else_and_look_along_the_same_axis():
    (case,) = asked(imposed=("steering",), min_reached=0.5).cases(scene())
    controls = case.controls()
    assert {name: len(cases) for name, cases in controls.items()} == {
        "nothing in its place": 1,
        "counsel by steering": 1,
        "random vectors": 5,
    }
    (other,) = controls["counsel by steering"]
    assert other.axes == case.axes
    assert other.displaced.moved["steering"].condition.steers[0].vector == "counsel"
    record = made(falling(0.5), case)
    assert case.judge(record, seed=0).verdict is Verdict.PASS
    assert other.judge(made(falling(0.5), other), seed=0).verdict is Verdict.FAIL
    (nothing,) = controls["nothing in its place"]
    assert {*nothing.measurements()} < {*case.measurements()}
    (criterion,) = nothing.criteria(nothing.sample(record, seed=0))
    assert (criterion.estimate.value, criterion.verdict) == (0, Verdict.FAIL)
    for fields in ({"imposed": ("turns",), "min_reached": 0.5}, {"min_returned": 0.5}):
        assert not asked(**fields).cases(scene())[0].controls()


@pytest.mark.parametrize(
    ("pick", "fields"),
    [
        (0, {"min_reached": 0.5}),
        (0, {"min_sustained": 0.5, "min_returned": 0.5, "imposed": ("turns",)}),
        (1, {"min_returned": 0.5, "imposed": ("steering",), "starts": (0.5, 1)}),
    ],
)
def test_what_is_needed_is_what_is_taken_and_once(pick, fields):
    case = asked(**fields).cases(scene())[pick]
    takes_what_it_needs(case, made(falling(0.5), case))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "expected at least one of min_reached, min_sustained, min_returned, border"),
        ({"border": (0.2, 0.8)}, "border and across are about a map; expected `starts` as well"),
        ({"starts": (0.5, 1), "min_returned": 0.5}, "expected steering or adapter in `imposed`"),
        ({"starts": (0.5, 1), "imposed": ("steering",), "min_reached": 0.5}, "asserted of the map"),
        ({"starts": (0, 1), "imposed": ("steering",), "border": (0.2, 0.8)}, "do not rise from above 0"),
        ({"starts": (0.5, 1), "imposed": ("steering",), "border": (0.8, 0.2)}, "[0.8, 0.2] does not rise"),
        ({"starts": (0.5, 1), "imposed": ("steering",), "border": (0, 1), "across": "gloomy"}, "the plane"),
    ],
)  # fmt: skip
def test_what_says_nothing_is_a_sentence(fields, sentence):
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        asked(**fields)


@pytest.mark.parametrize(
    ("fields", "scripts", "sentence"),
    [
        ({}, [script(n) for n in range(3)], "basin needs at least 4 scripts, and the suite has 3"),
        ({"turns": 5}, None, "the model answers 5 of the turns of the script 's0'; basin needs at least 6"),
        ({"imposed": ("turns",)}, [script(n, written={}) for n in range(4)], "no script has a turn"),
        ({"imposed": ("turns",)}, [script(n, turns=3) for n in range(4)], "found 1, expected at least 2"),
        ({"personas": ("pirat",)}, None, "no persona is named 'pirat'; did you mean 'pirate'?"),
        ({"against": "counse"}, None, "no persona is named 'counse'; did you mean 'counsel'?"),
        ({"across": "counse", "starts": (0.5, 1), "imposed": ("steering",), "min_returned": 0.5}, None,
         "no persona is named 'counse'; did you mean 'counsel'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_imposed_is_a_sentence(fields, scripts, sentence):
    with pytest.raises(SuiteError, match=re.escape(sentence)):
        asked(**{"min_reached": 0.5} | fields).cases(scene(scripts))


def test_a_script_that_only_presses_has_nothing_unmoved():
    pressing = Script(id="s", turns=(ScriptTurn(user="Stop!", kind=Kind.PRESSURE),) * 3)
    with pytest.raises(SuiteError, match="the script 's' has no neutral turn"):
        asked(min_reached=0.5).cases(scene([pressing] * 4))
