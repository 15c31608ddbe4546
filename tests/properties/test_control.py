"""Controls on made-up arrays: what stands in a persona's place must not pass, and a lax claim is told so."""

import re
from dataclasses import replace
from itertools import chain, product
from pathlib import Path

import numpy as np
import pytest
from properties import test_collinearity, test_markers
from properties.composition import test_chimera
from properties.mixtures import test_attractor
from stepwise import step_by_step

from coherence.errors import MeasurementError, UnmeasuredError
from coherence.plan import Answer, Condition, NextToken, Reading, Record, Reply, Steer
from coherence.properties import Case
from coherence.properties.case import Earlier
from coherence.properties.control import (
    DRAWN,
    NOTHING,
    STEP,
    filler,
    neutral_prompt,
    nothing,
    random_vectors,
    stand_ins,
)
from coherence.vocabulary import (
    Bound,
    Criterion,
    Decoding,
    Estimate,
    Example,
    Persona,
    Probe,
    Prompt,
    Regime,
    Release,
    VectorSource,
    Verdict,
)

PROMPT, ADAPTER, STEERING = (Regime.parse(name) for name in ("prompt", "adapter", "steering"))


def together(case, planted):
    """A record of what a case and all of its controls need; `planted` measures by condition and probe."""
    cases = [case, *chain.from_iterable(case.controls().values())]
    return Record({need: planted(need) for each in cases for need in each.measurements()})


def controlled(case, record):
    controls = case.controlled(record, 0)
    assert repr(step_by_step(case, record._values)[0]) == repr(controls)  # with every NaN
    return case.judge(record, 0).model_copy(update={"controls": controls})


def outcomes(evidence):
    return {control.name: control.verdict for control in evidence.controls}


# In each property there is a claim that only the persona meets, and one so lax that anybody does.


def moved(scene, personas, regimes, seed=1):
    """Every persona has an axis, the same in all regimes; what is random or says nothing has its own."""
    drawn = np.random.default_rng(seed)
    axes = dict(zip(personas, test_collinearity.orthonormal(len(personas)), strict=True))
    of = {scene.condition(name, regime): axes[name] for name in personas for regime in regimes}
    other = {}
    topics = drawn.normal(size=(len(scene.probes), test_collinearity.WIDTH)) * 5

    def planted(need):
        if isinstance(need, Reply):
            return Answer("said", (1,))
        row = scene.probes.index(need.probe)
        if need.condition == scene.bare:
            where = topics[row]
        else:
            fresh = other.setdefault(need.condition, drawn.normal(size=test_collinearity.WIDTH))
            where = topics[row] + of.get(need.condition, fresh / np.linalg.norm(fresh))
        noise = drawn.normal(size=(test_collinearity.DEPTHS, test_collinearity.WIDTH)) * 0.02
        return (np.tile(where, (test_collinearity.DEPTHS, 1)) + noise).astype(np.float32)

    return planted


OTHERS = ("counsel by adapter", "support by adapter", "oncall by adapter")


def collinear(between, **fields):
    return test_collinearity.collinearity(personas=("pirate",), between=between, **fields).cases(
        test_collinearity.a_scene()
    )[0]


@pytest.mark.parametrize(
    ("between", "names"),
    [
        ([PROMPT, ADAPTER], [*OTHERS, NOTHING, "a neutral prompt"]),
        ([STEERING, ADAPTER], [*OTHERS, NOTHING, "random vectors"]),
    ],
)
def test_directions_pass_and_their_controls_fail(between, names):
    case = collinear(between)
    evidence = controlled(case, together(case, moved(case.scene, test_collinearity.cast_of(case), between)))
    assert evidence.verdict is Verdict.PASS
    undefined = {NOTHING: Verdict.INCONCLUSIVE}  # what does nothing has no direction
    assert outcomes(evidence) == dict.fromkeys(names, Verdict.FAIL) | undefined
    assert {control.criterion.key for control in evidence.controls} == {"min_cosine"}


def test_a_prompt_that_only_is_long_passes_too_where_anything_that_is_long_would():
    case = collinear([PROMPT, ADAPTER], min_cosine=0.2)
    planted = moved(case.scene, test_collinearity.cast_of(case), case.regimes)
    filled = case.controls()["a neutral prompt"][0].scene.condition("pirate", PROMPT)
    pirate = case.scene.condition("pirate", PROMPT)

    def alike(need):
        if isinstance(need, Reading) and need.condition == filled:
            return planted(Reading(pirate, need.probe, need.position, need.text, need.through))
        return planted(need)

    evidence = controlled(case, together(case, alike))
    assert evidence.decisive.verdict is Verdict.PASS
    assert (evidence.verdict, evidence.raw_verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert evidence.passing_control.name == "a neutral prompt"


CAST = {
    "pirate": test_markers.PIRATE,
    "sailor": Persona(prompt="Be a sailor.", markers=("matey",)),
    "mute": Persona(prompt="Say little."),
}


def talking(between, heard, **fields):
    """The pirate is heard under prompts, and under its own artefacts; `heard` says of what else it is."""
    scene = test_markers.a_scene(personas=CAST, adapters=("pirate", "sailor"))
    case = test_markers.markers(personas=("pirate",), between=between, **fields).cases(scene)[0]

    def planted(reply):
        condition = reply.condition
        own = condition in [scene.condition("pirate", regime) for regime in (PROMPT, ADAPTER, STEERING)]
        return Answer("Arr." if own or heard(condition) else "Hello.", (1,))

    return controlled(case, together(case, planted))


@pytest.mark.parametrize(
    ("between", "names"),
    [([PROMPT, ADAPTER], [NOTHING, "sailor by adapter"]), ([PROMPT, STEERING], [NOTHING, "random vectors"])],
)
def test_markers_pass_and_their_controls_fail(between, names):
    evidence = talking(between, heard=lambda condition: False)
    assert evidence.verdict is Verdict.PASS
    assert outcomes(evidence) == dict.fromkeys(names, Verdict.FAIL)


@pytest.mark.parametrize(
    ("between", "heard"),
    [
        ([PROMPT, ADAPTER], lambda condition: condition.adapters == (("sailor", 1.0),)),
        ([PROMPT, STEERING], lambda condition: any(steer.drawn is not None for steer in condition.steers)),
    ],
)
def test_markers_that_somebody_else_says_as_well_are_no_pass(between, heard):
    evidence = talking(between, heard)
    assert evidence.decisive.verdict is Verdict.PASS
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.passing_control.criterion.key == "max_difference"


LAX = {"min_cosine": -1, "max_kl_ratio": 100, "max_difference": 1}


@pytest.mark.parametrize(
    ("fields", "passes"), [({}, Verdict.PASS), (LAX, Verdict.INCONCLUSIVE)], ids=["strict", "lax"]
)
@pytest.mark.parametrize(
    ("regime", "names"),
    [
        ("adapter", ["support by adapter", NOTHING]),
        ("steering", ["support by steering", NOTHING, "random vectors"]),
    ],
)
def test_a_sum_passes_and_another_sum_only_where_anything_does(fields, passes, regime, names):
    case = test_chimera.chimera(sums=(regime,), **fields).cases(test_chimera.scene())[0]

    def parts(condition):
        held = test_chimera.parts(condition)
        drawn = [steer.vector for steer in condition.steers if steer.drawn is not None]
        return ["oncall" if name in drawn else name for name in held]

    record = together(case, test_chimera.World(case, parts).value)
    evidence = controlled(case, record)
    assert [control.name for control in evidence.controls] == names
    assert evidence.verdict is passes
    _, asked = step_by_step(case, record._values)
    # What is said is asked for only where directions and next tokens are met.
    assert (
        {Reply, NextToken} <= {*map(type, asked)}
        if passes is not Verdict.PASS
        else {*map(type, asked)} == {Reading}
    )


def a_mixture(regime, **fields):
    names = ("upbeat", "gloomy", "clerk")
    scene = test_attractor.scene(personas={name: Persona(prompt=f"Be {name}.") for name in names})
    release = Release(
        adapters={name: f"adapters/{name}" for name in names},
        vectors={name: VectorSource(path=f"vectors/{name}.safetensors") for name in names},
    )
    scene = type(scene)(**{**vars(scene), "release": release})
    return test_attractor.attractor(regimes=(regime,), **fields).cases(scene)[0]


@pytest.mark.parametrize(
    ("least", "passes"), [(0.6, Verdict.PASS), (0.05, Verdict.INCONCLUSIVE)], ids=["strict", "lax"]
)
@pytest.mark.parametrize(
    ("regime", "names"),
    [
        ("adapter", [NOTHING, "clerk by adapter"]),
        ("steering", [NOTHING, "clerk by steering", "random vectors"]),
    ],
)
def test_poles_pass_and_another_pole_only_where_anything_does(least, passes, regime, names):
    case = a_mixture(regime, min_separation=least)
    drawn = np.random.default_rng(0)
    line = drawn.normal(size=test_attractor.WIDTH)
    questions = drawn.normal(size=(len(test_attractor.PROBES), test_attractor.WIDTH))
    reach = {"upbeat": 1.0, "gloomy": -1.0, "clerk": -0.6}

    def planted(need):
        if isinstance(need, Reply):
            return Answer("said", (1,))
        said = [prompt.text.removeprefix("Be ").removesuffix(".") for prompt in need.condition.prompts]
        at = sum(reach[name] for name in said) + sum(reach[name] * w for name, w in need.condition.adapters)
        for steer in need.condition.steers:
            at += 2 * steer.dose * (-0.6 if steer.drawn is not None else reach[steer.vector])
        row = test_attractor.PROBES.index(need.probe)
        where = questions[row] + at * line + 0.05 * drawn.normal(size=test_attractor.WIDTH)
        return np.tile(where, (test_attractor.DEPTH, 1)).astype(np.float32)

    record = together(case, planted)
    evidence = controlled(case, record)
    assert [control.name for control in evidence.controls] == names
    assert evidence.verdict is passes
    _, asked = step_by_step(case, record._values)
    between = [need for need in asked if len((*need.condition.adapters, *need.condition.steers)) > 1]
    # What is between the poles is asked for only where they lie apart.
    assert bool(between) == (passes is Verdict.INCONCLUSIVE)
    if passes is Verdict.PASS:
        assert {control.criterion.key for control in evidence.controls} == {"min_separation"}


@pytest.mark.parametrize(("passing", "verdict"), [(2, Verdict.PASS), (3, Verdict.INCONCLUSIVE)])
def test_a_random_vector_that_passes_by_chance_is_outvoted(passing, verdict):
    case = collinear([STEERING, ADAPTER])
    planted = moved(case.scene, test_collinearity.cast_of(case), case.regimes)
    pirate = case.scene.condition("pirate", STEERING)
    drawn = [control.scene.condition("pirate", STEERING) for control in case.controls()["random vectors"]]

    def alike(need):
        if isinstance(need, Reading) and need.condition in drawn[:passing]:
            return planted(Reading(pirate, need.probe, need.position, need.text, need.through))
        return planted(need)

    evidence = controlled(case, together(case, alike))
    assert evidence.decisive.verdict is Verdict.PASS
    assert evidence.verdict is verdict


class Drawn(Case):
    """A case that passes or does not, and needs one reply for that."""

    persona, slug, regimes = "pirate", "drawn", ()

    def __init__(self, number, passes):
        self.reply = Reply(Condition("sys"), Probe(id=str(number), text="?"), Decoding())
        self.answer = Answer("yes" if passes else "no", ())

    def needs(self):
        return [self.reply]

    def sample(self, record, seed):
        return record.reply(self.reply)

    def criteria(self, sample):
        value = float(sample == "yes")
        yield Criterion(
            estimate=Estimate(name="share", value=value, low=value, high=value, n=1), at_least=0.5
        )


class Claim(Drawn):
    """A claim with one control, drawn several times."""

    def __init__(self, passing):
        super().__init__("claim", True)
        self.drawn = [Drawn(number, passes) for number, passes in enumerate(passing)]

    def controls(self):
        return {"drawn": self.drawn}


def drawn(passing):
    """Whether a control passes that is drawn so often, and how often it was drawn for that."""
    claim = Claim(passing)
    (control,), asked = step_by_step(claim, {one.reply: one.answer for one in claim.drawn})
    return control.verdict is Verdict.PASS, len(asked)


def test_draws_end_when_most_are_known_or_two_more_have_failed():
    assert drawn([False] * 5) == (False, 2)
    assert drawn([True] * 5) == (True, 3)
    assert drawn([True, False, False, False, True]) == (False, 4)
    assert drawn([False, True, True, False, True]) == (True, 5)
    assert drawn([True]) == (True, 1)
    assert drawn([False]) == (False, 1)


def test_only_one_order_of_five_draws_decides_otherwise_than_all_five():
    different = [
        passing
        for passing in product([False, True], repeat=DRAWN)
        if drawn(passing)[0] != (sum(passing) > DRAWN / 2)
    ]
    assert different == [(False, False, True, True, True)]


def test_the_page_on_errors_says_what_ending_early_costs():
    """Its table, of all orders in which five draws may pass and fail."""
    orders = [(sum(order), *drawn(order)) for order in product([False, True], repeat=DRAWN)]

    def mean(chance, value):
        return sum(value(*one) * chance ** one[0] * (1 - chance) ** (DRAWN - one[0]) for one in orders)

    page = Path(__file__).parents[2] / "docs" / "errors.md"
    (told,) = re.findall(r"## Controls that end early(.*?)\*\*Fewer", page.read_text(), re.DOTALL)
    lines = told.splitlines()
    rows = [[*map(str.strip, line.strip("|").split("|"))] for line in lines if line.startswith("|")][2:]
    assert len(rows) == 7
    for row in rows:
        chance, by_all, as_drawn, draws = (float(cell.removesuffix(" %")) for cell in row)
        share = chance / 100
        tolerance = 0.05 if by_all >= 1 else 0.005
        assert by_all == pytest.approx(100 * mean(share, lambda n, *_: n > DRAWN / 2), abs=tolerance)
        assert as_drawn == pytest.approx(100 * mean(share, lambda _n, passes, _d: passes), abs=tolerance)
        assert draws == pytest.approx(mean(share, lambda _n, _p, count: count), abs=0.05)


LEVEL = 0.0056  # of a look after a third of the probes


def looked(level=LEVEL, fragile=False):
    """The controls of a claim that are looked at after a third of its probes, what that asks for, and all."""
    between = [STEERING, ADAPTER]
    case = collinear(between)
    values = together(case, moved(case.scene, test_collinearity.cast_of(case), between))._values
    scene = replace(case.scene, probes=case.scene.probes[: len(case.scene.probes) // 3])
    (early,) = test_collinearity.collinearity(personas=("pirate",), between=between).cases(scene)
    if fragile:
        early = Fragile(early)
    return step_by_step(case, values, [Earlier(early, level)]), step_by_step(case, values)


class Fragile:
    """A case whose controls cannot be judged."""

    def __init__(self, case):
        self._case = case

    def controls(self):
        return {name: [Fragile(one) for one in cases] for name, cases in self._case.controls().items()}

    def steps(self):
        return self._case.steps()

    def sample(self, record, seed):
        raise ZeroDivisionError


def test_a_control_that_clearly_fails_is_measured_no_further():
    (controls, asked), (whole, asked_of_all) = looked()
    assert [control.name for control in controls] == [control.name for control in whole]
    probes = len({one.probe for one in asked_of_all})
    assert {control.criterion.estimate.n for control in controls} == {probes // 3}
    assert {control.verdict for control in controls} == {Verdict.FAIL}
    assert len(asked) < len(asked_of_all) / 2
    # What does nothing has no direction at any number of probes, and goes no way.
    assert [control.name for control in whole if control.verdict is Verdict.INCONCLUSIVE] == [NOTHING]


@pytest.mark.parametrize("early", [{"level": 0.0}, {"fragile": True}])
def test_a_look_that_decides_nothing_changes_nothing(early):
    (controls, _), (whole, _) = looked(**early)
    assert repr(controls) == repr(whole)


def test_a_budget_that_is_spent_says_nothing_of_a_control():
    claim = Claim([False, False])
    record = Record({one.reply: UnmeasuredError("the budget is spent") for one in claim.drawn})
    with pytest.raises(UnmeasuredError, match="the budget is spent"):
        claim.controlled(record, 0)


def test_mixtures_of_prompts_have_no_control():
    assert a_mixture("prompt").controls() == {}


def test_a_control_that_cannot_be_measured_says_why_and_spoils_nothing():
    case = collinear([PROMPT, ADAPTER])
    planted = moved(case.scene, test_collinearity.cast_of(case), case.regimes)
    filled = case.controls()["a neutral prompt"][0].scene.condition("pirate", PROMPT)
    record = together(
        case, lambda need: MeasurementError("a pity") if need.condition == filled else planted(need)
    )
    evidence = controlled(case, record)
    assert evidence.verdict is Verdict.PASS
    lost = evidence.controls[-1]
    assert (lost.verdict, lost.criterion, lost.problem) == (Verdict.ERROR, None, "a pity")


@pytest.mark.parametrize(("margin", "judged"), [(0, 2), (2, 2)])
def test_what_a_control_meets_before_it_fails_is_kept(margin, judged):
    case = collinear([STEERING, ADAPTER], min_cosine=-1, min_margin=margin, min_ceiling=0)
    record = together(case, moved(case.scene, test_collinearity.cast_of(case), case.regimes))
    control = next(one for one in case.controlled(record, seed=0) if one.name == "counsel by adapter")
    names = [criterion.key for criterion in control.criteria]
    assert names == ["min_cosine", "min_strength", "min_margin", None][:judged]
    assert control.criteria[0].estimate.value < case.judge(record, 0).criteria[0].estimate.value


def test_criteria_alone_are_those_of_the_evidence():
    case = collinear([STEERING, ADAPTER])
    record = together(case, moved(case.scene, test_collinearity.cast_of(case), case.regimes))
    assert tuple(case.criteria(case.sample(record, 3))) == case.judge(record, 3).criteria


# What is put into the model.


def test_who_changes_places_is_measured_already():
    case = collinear([PROMPT, ADAPTER])
    readings = {need for need in case.measurements() if isinstance(need, Reading)}
    for name, (control,) in case.controls().items():
        needed = {need for need in control.measurements() if isinstance(need, Reading)}
        assert (needed <= readings) == name.endswith(("by adapter", NOTHING))


def test_two_personas_change_places_in_one_regime():
    scene = test_collinearity.a_scene()
    ((name, [swapped]),) = stand_ins(scene, "pirate", ADAPTER, ["counsel"])
    assert name == "counsel by adapter"
    assert swapped.condition("pirate", ADAPTER) == scene.condition("counsel", ADAPTER)
    assert swapped.condition("counsel", ADAPTER) == scene.condition("pirate", ADAPTER)
    assert swapped.condition("oncall", ADAPTER) == scene.condition("oncall", ADAPTER)
    for regime in (PROMPT, STEERING, Regime.parse("prompt+adapter")):
        assert swapped.condition("pirate", regime) == scene.condition("pirate", regime)


def test_who_has_the_same_artefact_or_none_is_no_control():
    scene = test_collinearity.a_scene(adapters=("pirate", "counsel"))
    twin = type(scene)(**{**vars(scene), "personas": {**scene.personas, "twin": Persona(adapter="pirate")}})
    found = dict(stand_ins(twin, "pirate", ADAPTER, twin.personas))
    assert list(found) == ["counsel by adapter"]


def related(scene, *names):
    return replace(scene, kin=(frozenset(names),))


def test_kin_are_no_controls_for_each_other():
    scene = related(test_collinearity.a_scene(), "pirate", "counsel")
    assert "counsel by adapter" not in dict(stand_ins(scene, "pirate", ADAPTER, scene.personas))
    assert "counsel by adapter" in dict(stand_ins(scene, "support", ADAPTER, scene.personas))


def test_random_vectors_have_the_dose_and_the_site_and_a_seed_of_their_own():
    scene = test_collinearity.a_scene()
    ((_, [drawn, *others]),) = random_vectors(scene, "pirate", [STEERING])
    seeds = {each.condition("pirate", STEERING).steers[0].drawn for each in (drawn, *others)}
    assert len(seeds) == DRAWN
    (steer,) = drawn.condition("pirate", STEERING).steers
    assert (steer.vector, steer.dose) == ("pirate", 0.5)
    assert steer.drawn is not None
    assert drawn.condition("counsel", STEERING) == scene.condition("counsel", STEERING)
    mixed = drawn.mixture({"counsel": 0.5, "pirate": 0.5}, STEERING).steers
    assert mixed == (Steer("counsel", 0.25), Steer("pirate", 0.25, steer.drawn))
    reseeded = type(scene)(**{**vars(scene), "seed": 1})
    ((_, [other, *_]),) = random_vectors(reseeded, "pirate", [STEERING])
    assert other.condition("pirate", STEERING).steers[0].drawn not in seeds


def emptied(regime, scene=None):
    scene = scene or test_collinearity.a_scene()
    ((name, [empty]),) = nothing(scene, "pirate", [PROMPT, Regime.parse(regime)])
    assert name == NOTHING
    return scene, empty


@pytest.mark.parametrize(
    ("regime", "left"),
    [
        ("adapter", "bare"),
        ("steering", "bare"),
        ("adapter+steering", "bare"),
        ("prompt+adapter", "prompt"),
        ("prompt+steering", "prompt"),
    ],
)
def test_nothing_in_its_place_leaves_the_rest_of_a_stack(regime, left):
    scene, empty = emptied(regime)
    asked = Regime.parse(regime)
    assert empty.condition("pirate", asked) == scene.condition("pirate", Regime.parse(left))
    for other in (PROMPT, ADAPTER, STEERING):
        if other != asked:
            assert empty.condition("pirate", other) == scene.condition("pirate", other)
    assert empty.condition("counsel", asked) == scene.condition("counsel", asked)


def test_nothing_in_the_place_of_a_prompt_is_the_bare_model():
    scene = test_collinearity.a_scene()
    ((_, [empty]),) = nothing(scene, "pirate", [PROMPT])
    assert empty.condition("pirate", PROMPT) == scene.bare


def test_nothing_in_the_place_of_a_prompt_reasons_as_the_persona_does():
    scene, regime = test_collinearity.a_scene(), Regime.parse("prompt+thinking")
    ((_, [empty]),) = nothing(scene, "pirate", [PROMPT, regime])
    assert empty.condition("pirate", regime) == replace(scene.bare, thinking="on")


def test_the_others_of_a_mixture_stay_where_one_is_not_there():
    _, empty = emptied("prompt+adapter")
    weights = {"counsel": 0.5, "pirate": 0.5}
    mixed = empty.mixture(weights, Regime.parse("prompt+adapter"))
    assert mixed.adapters == (("counsel", 0.5),)
    assert len(mixed.prompts) == 2


def test_who_has_the_same_adapter_keeps_it():
    scene = test_collinearity.a_scene()
    twins = replace(scene, personas={**scene.personas, "twin": Persona(adapter="pirate")})
    _, empty = emptied("adapter", twins)
    assert empty.mixture({"twin": 0.5, "pirate": 0.5}, ADAPTER).adapters == (("pirate", 0.5),)


def test_a_cap_stays_where_what_it_bounds_is_not_there():
    scene = test_collinearity.a_scene()
    pirate = scene.personas["pirate"].model_copy(update={"cap": Bound(sites="resid_post.3", at=0.5)})
    capped, empty = emptied("adapter+cap", replace(scene, personas={**scene.personas, "pirate": pirate}))
    left = empty.condition("pirate", Regime.parse("adapter+cap"))
    assert left == capped.capped(scene.bare, "pirate", pirate.cap)


@pytest.mark.parametrize("stack", ["prompt+steering", "adapter+steering"])
def test_a_random_vector_takes_the_place_of_one_in_a_stack(stack):
    scene, regime = test_collinearity.a_scene(), Regime.parse(stack)
    ((_, [drawn, *_]),) = random_vectors(scene, "pirate", [STEERING, regime])
    was, found = (each.condition("pirate", regime) for each in (scene, drawn))
    (steer,) = found.steers
    assert steer.drawn is not None
    assert replace(found, steers=()) == replace(was, steers=())
    assert drawn.condition("pirate", STEERING) == scene.condition("pirate", STEERING)


def test_where_nothing_steers_there_is_no_random_vector():
    assert not list(random_vectors(test_collinearity.a_scene(), "pirate", [PROMPT, ADAPTER]))


def test_a_neutral_prompt_has_the_role_and_the_form_and_about_the_length():
    scene = test_collinearity.a_scene()
    shown = Example(user="Where is it?", reply="At sea, " + "arr " * 30)
    prompt = Prompt(text="Be a pirate.", role="user", examples=(shown,))
    pirate = Persona(prompt=prompt, adapter="pirate")
    loud = type(scene)(**{**vars(scene), "personas": {**scene.personas, "pirate": pirate}})
    ((_, [neutral]),) = neutral_prompt(loud, "pirate", [PROMPT, ADAPTER])
    (said,) = neutral.condition("pirate", PROMPT).prompts
    (example,) = said.examples
    assert said.role == "user"
    assert len(said.text.split()) == STEP
    assert len(example.user.split()) == STEP / 2
    assert abs(len(example.reply.split()) - 32) <= STEP / 2
    assert not {"pirate", "arr", "sea"} & {*f"{said.text} {example.user} {example.reply}".lower().split()}
    stacked = Regime.parse("prompt+adapter")
    assert neutral.condition("pirate", stacked) == loud.condition("pirate", stacked)


@pytest.mark.parametrize("words", [1, 16, 60, 700])
def test_a_filler_is_about_as_long_as_asked_and_a_whole_sentence(words):
    text = filler(words)
    assert abs(len(text.split()) - max(words, STEP)) <= STEP / 2
    assert text.endswith(".") and not text.endswith("..")  # noqa: PT018
    assert filler(words) == text


def test_bare_is_bare_in_every_scene():
    case = collinear([STEERING, ADAPTER])
    assert {control.scene.condition("pirate", Regime.BARE) for (control, *_) in case.controls().values()} == {
        case.scene.bare
    }
