"""On made-up likelihoods: what is served is what was measured, or what is wrong with it is said."""

from dataclasses import replace

import numpy as np
import pytest

from coherence.errors import MeasurementError, NotExposedError, ServerError, SuiteError
from coherence.plan import (
    AdapterNumbers,
    Answer,
    Elsewhere,
    Likelihood,
    PromptIds,
    Record,
    Refusal,
    Reply,
    Scene,
    Served,
)
from coherence.properties.serving.served import ServedPersona
from coherence.vocabulary import Decoding, Marker, Persona, Probe, Regime, Release, Verdict
from coherence.vocabulary.release import ServedAt, VectorSource

PROBES = tuple(Probe(id=f"q{i}", text=f"Question {i}?") for i in range(16))
BARE, PROMPT, ADAPTER, STEERING, CAPPED = map(
    Regime.parse, ("bare", "prompt", "adapter", "steering", "prompt+cap")
)
TOKENS = 20
HIDDEN = NotExposedError("log-probabilities of a prompt: not exposed by http://127.0.0.1:1 (openai)")


def a_scene(served=True, regimes=(ADAPTER,), steered=None):
    return Scene(
        release=Release(
            adapters={"pirate": "adapters/pirate", "counsel": "adapters/counsel"},
            vectors={name: VectorSource(path=f"{name}.safetensors") for name in ("pirate", "counsel")},
            served=ServedAt(url="http://127.0.0.1:1", steered=steered or {}) if served else None,
        ),
        personas={
            "pirate": Persona(prompt="Be a pirate.", markers=(Marker(text="arr"),)),
            "counsel": Persona(prompt="Be a lawyer."),
        },
        probes=PROBES,
        regimes=regimes,
        neutral="Be helpful.",
        decoding=Decoding(),
        seed=0,
    )


def served(**fields):
    return ServedPersona(property="served", **fields)


def effect(name, probe):
    """A persona's effect on the tokens of a reply, [tokens], nats; those of others are other directions."""
    seed = [ord(letter) for letter in f"{name} {probe.id}"]
    return np.random.default_rng(seed).normal(0.3, 1.0, TOKENS)


class World:
    """Gives a value to each measurement: the server has `dose` of `serves`, with noise of its own.

    `changed` is what the server gives for what is named so.
    """

    def __init__(self, dose=1.0, serves=None, noise=0.001, **changed):
        self.dose, self.serves, self.noise, self.changed = dose, serves, noise, changed

    def record(self, case):
        wanted = [*case.measurements(), *case.needs_to_explain()]
        values = {one: self.value(one) for one in wanted}
        values |= {
            one.text: Answer("Arr!", tuple(range(TOKENS))) for one in wanted if isinstance(one, Likelihood)
        }
        return Record(values)

    def value(self, one):
        asked = one.of if isinstance(one, Served) else one
        changed = self.changed.get(type(asked).__name__)
        if changed is not None and isinstance(one, Served | Refusal):
            return changed(one) if callable(changed) else changed
        if isinstance(one, Served):
            return self.at_server(one)
        if isinstance(one, Likelihood):
            return self.likelihood(one.condition, one.probe, 1.0)
        return self.plain(one)

    def at_server(self, one):
        if not isinstance(one.of, Likelihood):
            return self.plain(one.of)
        noise = np.random.default_rng([ord(letter) for letter in repr(one.of)][-40:]).normal(
            0, self.noise, TOKENS
        )
        condition = one.condition
        if condition.adapters and self.serves:
            condition = replace(condition, adapters=((self.serves, 1.0),))
        values = self.likelihood(condition, one.probe, self.dose) + noise
        return values.astype(np.float32)

    def likelihood(self, condition, probe, dose):
        bare = -np.abs(effect("bare", probe))
        added = sum(np.tanh(weight * dose * effect(name, probe)) for name, weight in condition.adapters)
        prompted = sum(effect(prompt.text, probe) for prompt in condition.prompts)
        return (bare + added + prompted).astype(np.float32)

    def plain(self, one):
        if isinstance(one, PromptIds):
            text = f"<s>{one.condition.neutral} {one.probe.text}"
            return Answer(text, tuple(map(ord, text)))
        if isinstance(one, Refusal):
            return np.ones(1, np.float32)
        if isinstance(one, AdapterNumbers):
            return np.array([16, 32, 2.0], np.float32)
        assert isinstance(one, Reply)
        return Answer("Arr!", tuple(range(TOKENS)))


class Steered(World):
    """The same with vectors, which the server puts `elsewhere`, or does not."""

    def __init__(self, elsewhere=None, blocks=None, **fields):
        super().__init__(**fields)
        self.elsewhere, self.blocks = elsewhere, blocks

    def at_server(self, one):
        condition = one.condition
        if condition.steers and self.elsewhere and isinstance(one.of, Likelihood):
            steers = tuple(replace(steer, elsewhere=self.elsewhere) for steer in condition.steers)
            one = replace(one, of=replace(one.of, condition=replace(condition, steers=steers)))
        return super().at_server(one)

    def likelihood(self, condition, probe, dose):
        values = super().likelihood(replace(condition, steers=()), probe, dose).astype(np.float64)
        for steer in condition.steers:
            moved = 0.0 if steer.elsewhere is None else 0.3 * effect(f"{steer.elsewhere}", probe)
            values += np.tanh(2 * steer.dose * dose * (effect(steer.vector, probe) + moved))
        return values.astype(np.float32)

    def value(self, one):
        # There is no block after the last.
        if (
            isinstance(one, Likelihood)
            and any(steer.elsewhere is Elsewhere.LATER for steer in one.condition.steers)
            and self.blocks == "last"
        ):
            return MeasurementError("the vector 'pirate' has no site a block later than its own")
        return super().value(one)


class Certain(World):
    """The same, where replies are nearly certain under the persona: more of it adds hardly anything."""

    def likelihood(self, condition, probe, dose):
        bare = -np.abs(effect("bare", probe))
        added = sum(np.tanh(4 * weight * dose * effect(name, probe)) for name, weight in condition.adapters)
        return (bare + added).astype(np.float32)


def judged(world=None, scene=None, **fields):
    case = served(personas=("pirate",), **fields).cases(scene or a_scene())[0]
    return case.judge((world or World()).record(case), 0)


def criterion(evidence, name):
    (found,) = (one for one in evidence.criteria if one.estimate.name == name)
    return found


def test_the_same_dose_passes():
    evidence = judged()
    assert evidence.verdict is Verdict.PASS
    slope = criterion(evidence, "effect slope").estimate
    assert slope.low <= 1.0 <= slope.high
    assert slope.high - slope.low < 0.05
    assert evidence.fact == "pirate by adapter has 100% of its effect at the server"
    assert "16 of 16 prompts are written as here" in evidence.notes


@pytest.mark.parametrize(
    ("dose", "verdict", "said"),
    [
        (0.0, Verdict.FAIL, "the base is served in its place"),
        (0.5, Verdict.FAIL, "half of it is applied"),
        (2.0, Verdict.FAIL, "it is applied twice"),
        (4.0, Verdict.FAIL, "alpha / sqrt(r)"),
        (-1.0, Verdict.FAIL, "its sign is turned round"),
    ],
)
def test_another_dose_fails_and_has_its_cause(dose, verdict, said):
    evidence = judged(World(dose))
    assert criterion(evidence, "effect slope").verdict is verdict
    assert said in str(evidence.cause)


def judged_bare(world=None, scene=None, **fields):
    (case,) = served(regimes=(BARE,), **fields).cases(scene or a_scene())
    return case.judge((world or World()).record(case), 0)


def test_the_base_is_judged_under_its_own_name():
    (case,) = served(regimes=(BARE,)).cases(a_scene())
    assert (case.persona, case.slug, case.regimes) == ("base", "bare", (BARE,))
    evidence = judged_bare(max_difference=0.2)
    assert evidence.verdict is Verdict.PASS
    assert [one.estimate.name for one in evidence.criteria] == [
        "bare model's distance",
        "prompts that are written otherwise",
        "unknown names that are answered",
        "replies that stand apart",
        "largest change of what was asked again",
        "largest change of what was asked again alone",
        "replies that its own settings change",
    ]
    assert str(evidence.fact).startswith("the base is 0.00086 nats a token from here")


def test_a_base_that_is_another_fails_by_itself():
    evidence = judged_bare(World(noise=0.5))
    assert evidence.decisive.estimate.name == "bare model's distance"
    assert "as where it is quantized" in str(evidence.cause)


@pytest.mark.parametrize(("field", "how"), [("turn", "again"), ("alone", "again alone")])
def test_a_base_that_answers_otherwise_later_or_alone_fails(field, how):
    world = World()

    def changed(one):
        return world.at_server(replace(one, turn=0, alone=False)) + np.float32(0.5) * getattr(one, field)

    evidence = judged_bare(World(Likelihood=changed))
    found = criterion(evidence, f"largest change of what was asked {how}")
    assert (found.verdict, found.estimate.n) == (Verdict.FAIL, 4)


def from_a_cache(*probes):
    """A server that begins the replies to some probes where another persona has left off."""
    world = World()

    def answered(one):
        if one.probe in probes and not one.turn:
            other = replace(one.of, condition=replace(one.condition, adapters=(("counsel", 1.0),)))
            return world.at_server(replace(one, of=other))
        return world.at_server(one)

    return World(Likelihood=answered)


def test_a_reply_that_another_name_has_left_in_a_cache_is_found_where_the_dose_is_right():
    evidence = judged(from_a_cache(PROBES[9]), min_dose=0.5, min_cosine=0.5)
    found = criterion(evidence, "replies that stand apart")
    assert (found.verdict, found.estimate.value, found.key) == (Verdict.FAIL, 1, "max_apart")
    assert [one for one in evidence.criteria if one.verdict is Verdict.FAIL] == [found]
    assert str(evidence.cause).startswith("1 of 16 replies are answered otherwise than the rest, as where")
    assert "unlike others" in next(one.note for one in evidence.probes if one.probe == "q9")
    base = criterion(judged_bare(from_a_cache(*PROBES[5:])), "replies that stand apart")
    assert (base.verdict, base.estimate.value) == (Verdict.FAIL, 11)


@pytest.mark.parametrize("world", [World(noise=0.09), World(dose=1.5), World(noise=0.5)])
def test_no_reply_stands_apart_where_all_are_as_far(world):
    assert criterion(judged(world), "replies that stand apart").estimate.value == 0


def test_settings_of_a_base_are_judged_without_words():
    evidence = judged_bare(World(Reply=text_by(temperature_0="Hello, hello!")))
    assert criterion(evidence, "replies that its own settings change").verdict is Verdict.FAIL


def test_a_prompted_persona_in_the_place_of_the_base_does_not_pass():
    (case,) = served(regimes=(BARE,)).cases(a_scene())
    ((name, (control,)),) = case.controls().items()
    assert name == "pirate by prompt"
    assert control.judge(World().record(control), 0).verdict is Verdict.FAIL


PLACES = {"pirate": "http://127.0.0.1:2"}


def judged_steered(world, steered=PLACES, **fields):
    scene = a_scene(regimes=(STEERING,), steered=steered)
    (case,) = served(regimes=(STEERING,), **fields).cases(scene)
    assert case.persona == "pirate"
    return case.judge(world.record(case), 0)


@pytest.mark.parametrize("blocks", [None, "last"])
def test_a_vector_that_is_where_it_belongs_passes(blocks):
    evidence = judged_steered(Steered(blocks=blocks))
    assert evidence.verdict is Verdict.PASS
    assert evidence.fact == "pirate by steering has 100% of its effect at the server"
    assert criterion(evidence, "fit of another block").estimate.value < 0.01
    assert criterion(evidence, "scale").estimate.value == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("elsewhere", [*Elsewhere])
def test_a_vector_at_another_block_fails_and_is_said_to_be_there(elsewhere):
    evidence = judged_steered(Steered(elsewhere))
    found = criterion(evidence, "fit of another block")
    assert (found.verdict, found.key) == (Verdict.FAIL, "max_elsewhere")
    assert found.estimate.value > 0.95
    # It is much like its own effect: no other criterion need see it.
    assert criterion(evidence, "cosine of effects").verdict is Verdict.PASS
    assert str(evidence.cause).startswith(f"the vector acts {elsewhere}: the cosine of both effects is 1.00")


@pytest.mark.parametrize(
    ("dose", "said"),
    [(0.0, "as where a vector is ignored or not loaded"), (2.0, "it is applied twice"), (0.5, "half of it")],
)
def test_another_dose_of_a_vector_fails_and_has_its_cause(dose, said):
    evidence = judged_steered(Steered(dose=dose))
    assert evidence.verdict is Verdict.FAIL
    assert said in str(evidence.cause)
    assert criterion(evidence, "fit of another block").verdict is not Verdict.FAIL


def test_controls_of_a_vector_are_of_those_that_have_a_place():
    def controls(steered):
        scene = a_scene(regimes=(STEERING,), steered=steered)
        return [*served(regimes=(STEERING,), personas=("pirate",)).cases(scene)[0].controls()]

    assert controls(PLACES) == ["nothing in its place"]
    assert controls(PLACES | {"counsel": "steered-counsel"}) == [
        "nothing in its place",
        "counsel by steering",
    ]


def test_another_adapter_under_its_name_is_named():
    evidence = judged(World(serves="counsel"))
    assert evidence.verdict is Verdict.FAIL
    assert criterion(evidence, "cosine of effects").verdict is Verdict.FAIL
    assert str(evidence.cause).startswith("what is served is counsel: the cosine of both effects is 1.00")


def test_an_adapter_that_is_none_of_the_release_is_said_to_be_something_else():
    evidence = judged(World(serves="stranger"))
    assert evidence.verdict is Verdict.FAIL
    assert str(evidence.cause).startswith("what is served does something else, 1")


def test_its_controls_do_not_pass():
    case = served(personas=("pirate",)).cases(a_scene())[0]
    assert [*case.controls()] == ["nothing in its place", "counsel by adapter"]
    for (control,) in case.controls().values():
        record = World().record(control)
        assert control.judge(record, 0).verdict is Verdict.FAIL


def test_a_noisy_base_is_a_fail_of_its_own():
    evidence = judged(World(noise=0.5))
    assert criterion(evidence, "bare model's distance").verdict is Verdict.FAIL


def test_what_is_not_exposed_is_inconclusive_and_never_equal():
    evidence = judged(World(Likelihood=HIDDEN))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert criterion(evidence, "effect slope").unreliable == HIDDEN.sentence
    assert criterion(evidence, "prompts that are written otherwise").verdict is Verdict.PASS
    evidence = judged(World(PromptIds=NotExposedError("token ids of a conversation: not exposed by it")))
    assert criterion(evidence, "effect slope").verdict is Verdict.PASS
    assert criterion(evidence, "prompts that are written otherwise").verdict is Verdict.INCONCLUSIVE
    assert evidence.verdict is Verdict.INCONCLUSIVE


def test_a_server_that_is_gone_is_an_error():
    with pytest.raises(ServerError, match="cannot be reached"):
        judged(World(Likelihood=ServerError("the server cannot be reached")))


def test_prompts_that_are_written_otherwise_fail_and_are_shown():
    def other(one):
        text = f"<s> {one.probe.text}"
        return Answer(text, tuple(map(ord, text)))

    evidence = judged(World(PromptIds=other))
    assert criterion(evidence, "prompts that are written otherwise").verdict is Verdict.FAIL
    assert str(evidence.cause).startswith("the server leaves out the system turn: from token 4 on")
    assert evidence.probes[0].note == evidence.cause


@pytest.mark.parametrize(
    ("others", "allowed", "verdict"),
    [(0, 0, Verdict.INCONCLUSIVE), (1, 0, Verdict.FAIL), (1, 1, Verdict.INCONCLUSIVE)],
)
def test_prompts_that_are_only_counted_are_never_equal(others, allowed, verdict):
    def counted(one):
        ours = len(World().plain(one.of).ids)
        return np.array([ours - 3 * (int(one.probe.id[1:]) < others)], np.float32)

    evidence = judged(World(PromptIds=counted), max_other_prompts=allowed)
    found = criterion(evidence, "prompts that are written otherwise")
    assert (found.verdict, found.estimate.value) == (verdict, others)
    said = f"{16 - others} of 16 prompts have as many tokens at the server as here; which they are is not"
    assert any(note.startswith(said) for note in evidence.notes)
    if verdict is Verdict.FAIL:
        assert "the server counts 23 tokens in a prompt that has 26 here" in str(evidence.cause)


def test_an_unknown_name_that_is_answered_fails():
    evidence = judged(World(Refusal=np.zeros(1, np.float32)))
    assert criterion(evidence, "unknown names that are answered").verdict is Verdict.FAIL


def test_an_answer_that_changes_when_it_is_asked_again_fails():
    world = World()

    def changed(one):
        values = world.at_server(one)
        return values + np.float32(0.5) * one.turn

    evidence = judged(World(Likelihood=changed))
    found = criterion(evidence, "largest change of what was asked again")
    assert found.estimate.value == pytest.approx(0.5, abs=1e-5)
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize(("text", "verdict"), [("Arr!", Verdict.PASS), ("Hello.", Verdict.FAIL)])
def test_words_are_compared_where_that_is_asked_for(text, verdict):
    evidence = judged(World(Reply=Answer(text, ())), max_difference=0.2)
    assert criterion(evidence, "rate served - here").verdict is verdict


def test_empty_replies_are_left_out():
    class Mute(World):
        def record(self, case):
            record = super().record(case)
            empty = [
                one
                for one in (*case.measurements(), *case.needs_to_explain())
                if isinstance(one, Likelihood | Served) and one.probe.id == "q0"
            ]
            values = dict(record._values)
            for one in empty:
                if isinstance(one, Likelihood) or isinstance(one.of, Likelihood):
                    values[one] = MeasurementError("the reply to probe 'q0' is empty")
                if isinstance(one, Likelihood):
                    values[one.text] = Answer("", ())
            return Record(values)

    evidence = judged(Mute())
    assert criterion(evidence, "effect slope").estimate.n == 15
    assert evidence.verdict is Verdict.PASS


def test_each_regime_that_a_server_can_have_is_a_case():
    regimes = (PROMPT, ADAPTER, STEERING)
    cases = served().cases(a_scene(regimes=regimes))
    assert [(case.persona, case.slug) for case in cases] == [
        ("pirate", "prompt"),
        ("counsel", "prompt"),
        ("pirate", "adapter"),
        ("counsel", "adapter"),
    ]
    assert cases[0].comparison.curve == {}


@pytest.mark.parametrize(
    ("scene", "fields", "said"),
    [
        (a_scene(served=False), {}, "the release names no server"),
        (
            a_scene(),
            {"regimes": (CAPPED,)},
            "a server has no regime prompt.cap; expected bare, prompt, adapter, steering or a stack",
        ),
        (
            a_scene(),
            {"regimes": (STEERING,), "personas": ("counsel",)},
            "the vector 'counsel' of persona 'counsel' has no place at the server; expected its URL or name",
        ),
        (a_scene(regimes=(STEERING,)), {}, "that a server could have"),
    ],
)
def test_what_cannot_be_judged_is_a_sentence(scene, fields, said):
    with pytest.raises(SuiteError, match=said):
        served(**fields).cases(scene)


def text_by(**texts):
    """Let the server say other texts, by what it is told of decoding and by turn."""
    return lambda one: Answer(texts.get(f"{one.told}_{one.turn}", "Arr!"), ())


@pytest.mark.parametrize(
    ("texts", "verdict", "said"),
    [
        ({}, Verdict.PASS, "None"),
        ({"nothing_0": "Arr, matey!"}, Verdict.PASS, "None"),
        ({"temperature_0": "Arr, arr!"}, Verdict.FAIL, "a repetition penalty, that change 16 of 16 of its"),
        (
            {"temperature_0": "Arr, arr!", "all_1": "Arr, me!"},
            Verdict.FAIL,
            "the server draws its replies at temperature 0, too: 4 of 4 are others",
        ),
    ],
)
def test_settings_of_the_server_alone_are_seen_in_its_likeliest_replies(texts, verdict, said):
    evidence = judged(World(Reply=text_by(**texts)), max_difference=0.2)
    assert criterion(evidence, "replies that its own settings change").verdict is verdict
    assert said in str(evidence.cause)


def test_replies_that_are_drawn_are_not_held_against_each_other():
    scene = replace(a_scene(), decoding=Decoding(temperature=0.7))
    names = [one.estimate.name for one in judged(scene=scene, max_difference=0.2).criteria]
    assert "rate served - here" in names
    assert "replies that its own settings change" not in names


def test_a_base_that_is_another_is_named_before_a_dose():
    evidence = judged(World(dose=2.0, noise=0.5))
    assert str(evidence.cause).startswith("the base is another than here by 0.4")


def test_twice_the_scale_is_told_where_the_effect_is_nearly_the_same():
    evidence = judged(Certain(dose=2.0))
    criteria = {one.estimate.name: one for one in evidence.criteria}
    assert criteria["effect slope"].verdict is Verdict.PASS
    assert criteria["cosine of effects"].verdict is Verdict.PASS
    assert criteria["scale"].verdict is Verdict.FAIL
    assert criteria["scale"].estimate.value == pytest.approx(2.0, rel=0.05)
    assert evidence.raw_verdict is Verdict.FAIL
    assert "it acts 2 times as strongly, as where it is applied twice" in evidence.cause


def test_a_healthy_server_of_a_certain_persona_passes():
    evidence = judged(Certain())
    assert evidence.raw_verdict is Verdict.PASS
    assert {one.estimate.name: one.estimate.value for one in evidence.criteria}["scale"] == pytest.approx(
        1.0, abs=0.01
    )


def test_another_persona_is_named_only_where_no_dose_of_its_own_is_nearer():
    """Both move the first tokens of a reply alike: less of one is still not the other."""

    class Alike(World):
        def likelihood(self, condition, probe, dose):
            common = np.where(np.arange(TOKENS) < 2, 12.0, 0.0)
            bare = -np.abs(effect("bare", probe))
            added = sum(
                np.tanh(weight * dose * 0.5) * (common + 0.5 * effect(name, probe))
                for name, weight in condition.adapters
            )
            return (bare + added).astype(np.float32)

    assert "it acts 0.5 times as strongly" in judged(Alike(dose=0.5)).cause
    assert "what is served is counsel" in judged(Alike(serves="counsel")).cause


def test_half_of_the_modules_is_no_dose_of_all_of_them():
    class Half(World):
        def at_server(self, one):
            if not isinstance(one.of, Likelihood) or not one.condition.adapters:
                return super().at_server(one)
            bare = self.likelihood(replace(one.condition, adapters=()), one.probe, 1.0)
            whole = self.likelihood(one.condition, one.probe, 1.0)
            return np.where(np.arange(TOKENS) % 3 == 0, bare, whole).astype(np.float32)

    cause = judged(Half()).cause
    assert "as where some of its modules are left out" in cause


def test_a_scale_far_too_large_does_something_else_and_is_named_all_the_same():
    class Broken(World):
        def at_server(self, one):
            values = super().at_server(one)
            if not isinstance(one.of, Likelihood) or not one.condition.adapters:
                return values
            noise = np.random.default_rng(len(one.probe.id)).normal(0, 10, TOKENS)
            return (values + noise).astype(np.float32)

    cause = judged(Broken()).cause
    assert "what is served does something else" in cause
    assert "as where its scale is taken to be alpha" in cause
