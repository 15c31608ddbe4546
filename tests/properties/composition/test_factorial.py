import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Divergence, Record, Reply
from coherence.properties.composition.factorial import Factorial
from coherence.reports.grounds import explain
from coherence.results import AssertionResult, sentence_of
from coherence.vocabulary import Decoding, Example, Persona, Position, Prompt, Verdict

TASKS = worlds.probes(12)
NAMES = ("pirate", "counsel")
BLOCKS, WIDTH = 4, 64
SITES = "resid_post.0..2"


def scene(tasks=TASKS, **personas):
    return worlds.scene(worlds.personas(NAMES) | personas, (), (), tasks)


def factorial(**fields):
    return Factorial(property="factorial", **{"sites": SITES, "positions": ["prompt_last"]} | fields)


def personas_in(condition):
    return [name for name in NAMES for prompt in condition.prompts if name in prompt.text]


@dataclass
class World(worlds.World):
    """Persona and task are directions that add up, with some interaction; KL is what each change is given."""

    case: object
    interaction: float = 0.3
    noise: float = 0.02
    additive: float = 0.05
    other: float = 2.0
    without: float = 1.5
    put_back: float = 1e-7
    bare: float = 6.0
    injected: float = 5.4
    oracle: float = 3.0
    tokens: int = 10

    def __post_init__(self):
        drawn = np.random.default_rng(0)
        self._persona = {name: drawn.normal(size=WIDTH) for name in NAMES}
        self._task = {task: drawn.normal(size=WIDTH) for task in self.case.grid.tasks}
        self._together = {task: drawn.normal(size=WIDTH) for task in self.case.grid.tasks}
        self._drawn = drawn

    def reading(self, need):
        where = np.full(WIDTH, 5.0)
        names, task = personas_in(need.condition), need.probe
        for name in names:
            where = where + self._persona[name]
        if task in self._task:
            where = where + self._task[task]
            where = where + self.interaction * len(names) * self._together[task]
        rows = where + self.noise * self._drawn.normal(size=(BLOCKS + 1, WIDTH))
        rows[0] = 5.0
        return rows.astype(np.float32)

    def divergence(self, need):
        share = 1 + 0.1 * self._drawn.random()
        return np.full(self.tokens, share * self.cost(need) / self.tokens, np.float32)

    def cost(self, need):
        patch = need.condition.patch
        if patch is None:
            return self.bare if not personas_in(need.condition) else 0.0
        weights = [weight for weight, _ in patch.sum]
        if not personas_in(need.condition):
            return self.oracle if weights == [1] else self.injected
        if weights == [1]:
            return self.put_back
        if weights == [1, -1, 1]:
            return self.without
        alone = [name for _, reading in patch.sum[:2] for name in personas_in(reading.condition)]
        return self.additive if alone == personas_in(need.condition) else self.other

    def reply(self, need):
        patched = need.condition.patch is not None
        return Answer(" ".join(["Well,", *personas_in(need.condition), *(["changed"] * patched)]), (1, 2))


def judged(world=World, asked=None, **fields):
    case = (asked or factorial()).cases(scene())[0]
    return case.judge(world(case, **fields).record(), seed=0)


def by_name(evidence):
    return {criterion.estimate.name: criterion for criterion in evidence.criteria}


def test_what_adds_up_passes():
    evidence = judged()
    assert evidence.verdict is Verdict.PASS
    found = by_name(evidence)
    assert found["cosine"].estimate.value > 0.95
    assert found["KL"].estimate.value == pytest.approx(0.0525, abs=0.005)
    assert set(found) == {"cosine", "KL", "highest KL"}


def test_directions_that_do_not_add_up_fail():
    evidence = judged(interaction=3)
    assert by_name(evidence)["cosine"].verdict is Verdict.FAIL
    assert by_name(evidence)["KL"].verdict is Verdict.PASS


def test_a_sum_that_points_the_right_way_can_cost_too_much():
    evidence = judged(additive=0.5)
    assert by_name(evidence)["cosine"].verdict is Verdict.PASS
    assert evidence.decisive.estimate.name == "KL"
    assert evidence.verdict is Verdict.FAIL


class Uneven(World):
    """The sum costs something on a few tasks only."""

    def cost(self, need):
        return (
            0.7 * (int(need.probe.id[1:]) < 2) if super().cost(need) == self.additive else super().cost(need)
        )


def test_a_cost_on_some_tasks_alone_is_inconclusive():
    evidence = judged(Uneven)
    assert by_name(evidence)["KL"].verdict is Verdict.INCONCLUSIVE
    assert {note.probe for note in evidence.probes[:2]} == {"q0", "q1"}


class OneBroken(World):
    """The sum breaks one task."""

    def cost(self, need):
        cost = super().cost(need)
        return 1.5 if cost == self.additive and need.probe.id == "q4" else cost


def test_one_broken_task_fails_whose_mean_decides_nothing():
    evidence = judged(OneBroken, additive=0.01)
    found = by_name(evidence)
    assert found["KL"].verdict is Verdict.INCONCLUSIVE
    assert (found["highest KL"].verdict, found["highest KL"].law) == (Verdict.FAIL, True)
    assert found["highest KL"].at_most == pytest.approx(1.0)
    assert any(note.startswith("heavy tail: 'q4' alone makes") for note in evidence.notes)


def test_the_bound_on_the_highest_kl_can_be_written():
    evidence = judged(OneBroken, factorial(max_worst_kl=2), additive=0.01)
    assert by_name(evidence)["highest KL"].verdict is Verdict.PASS
    assert any("has a KL over 2.00: at 97.5 %" in note for note in evidence.notes)


def test_a_cached_vector_that_recovers_little_does_not_replace_the_prompt():
    asked = factorial(max_recovered=0.3)
    criterion = by_name(judged(asked=asked))["share recovered"]
    assert criterion.verdict is Verdict.PASS
    assert criterion.key == "max_recovered"
    assert criterion.estimate.value == pytest.approx(0.1, abs=0.05)
    assert by_name(judged(asked=asked, injected=1.0))["share recovered"].verdict is Verdict.FAIL


def test_a_team_that_deploys_vectors_asks_for_the_opposite():
    asked = factorial(min_recovered=0.7)
    assert by_name(judged(asked=asked, injected=0.6))["share recovered"].verdict is Verdict.PASS
    assert by_name(judged(asked=asked))["share recovered"].verdict is Verdict.FAIL


class OneSite(World):
    """Injection works at one site."""

    def cost(self, need):
        patch = need.condition.patch
        helps = patch and not personas_in(need.condition) and "resid_post.1" in map(str, patch.sites)
        return 0.3 if helps else super().cost(need)


def test_the_best_set_of_sites_decides():
    evidence = judged(OneSite, factorial(max_recovered=0.3))
    assert by_name(evidence)["share recovered"].verdict is Verdict.FAIL
    (note,) = [note for note in evidence.notes if note.startswith("recovered by injection")]
    assert ") at resid_post.1 (the best of 3 single sites), " in note
    assert note.endswith(") at resid_post.0..2")


def test_what_the_sum_recovers_stands_beside_what_the_oracle_does():
    evidence = judged(asked=factorial(sites="resid_post.0..3", stride=2, max_recovered=0.3))
    assert evidence.verdict is Verdict.PASS  # judged by what the sum recovers, whatever the oracle does
    (note,) = [note for note in evidence.notes if note.startswith("recovered by injection")]
    assert re.match(
        r"recovered by injection: 0\.\d+ \(oracle 0\.[45]\d*\) at resid_post\.[13] \(the best", note
    )
    _, table, _ = evidence.tables
    assert table.name == "share recovered by injection"
    assert table.rows == ("resid_post.1", "resid_post.3", "resid_post.0..3")
    assert table.columns == ("recovered", "recovered by the oracle")
    for by_sum, by_oracle in table.cells:
        assert by_sum == pytest.approx(0.1, abs=0.05)
        assert by_oracle == pytest.approx(0.5, abs=0.05)
    for place, name in enumerate(table.columns):
        shown = [value for value in evidence.curve.series[name].values if value is not None]
        assert shown == [cells[place] for cells in table.cells[:2]]


def test_the_oracle_is_measured_where_the_sum_is_injected_and_decides_nothing():
    (case,) = factorial(personas=["pirate"], inject=["resid_post.1", "resid_post.0..2"]).cases(scene())
    oracles = [(change.of, change.weights, change.sites) for change in case.changes.oracles]
    assert oracles == [("BY", (0, 0, 0, 1), change.sites) for change in case.changes.injections]
    wanted = {case.grid.divergence(task, change) for task in TASKS for change in case.changes.oracles}
    assert wanted <= set(case.measurements())
    assert not wanted & set(case.needs())


def test_a_persona_without_effect_leaves_nothing_to_recover():
    criterion = by_name(judged(asked=factorial(max_recovered=0.3), bare=0.001, injected=0.0))[
        "share recovered"
    ]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable.startswith("without its text 'pirate' is KL ")
    assert criterion.unreliable.endswith("of at least 0.01: there is nothing to recover")


def test_own_residuals_that_cost_something_say_that_nothing_can_be_told():
    criterion = by_name(judged(put_back=0.04))["KL"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable.startswith("the model's own residuals, put back, cost KL 0.04 nat")


class Still(World):
    """One task does nothing at one site."""

    def reading(self, need):
        rows = super().reading(need)
        if need.probe.id in ("q3", "neutral-task") and not personas_in(need.condition):
            rows[2] = 5.0
        return rows


def test_what_moves_nothing_is_undefined_and_no_cosine_of_0():
    evidence = judged(Still)
    reason = "the task moves nothing at resid_post.1, prompt_last for 'q3'"
    assert [criterion.unreliable for criterion in evidence.criteria] == 3 * [reason]
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert not any("additive region" in note for note in evidence.notes)
    assert evidence.curve.series["cosine"].values[2] is None


def test_the_curve_runs_over_every_site_and_has_kl_at_tested_ones():
    curve = judged(asked=factorial(sites="resid_post.0..3", stride=2)).curve
    assert curve.at == ("resid_pre.0", *(f"resid_post.{block}" for block in range(BLOCKS)))

    def known(name):
        return [value is not None for value in curve.series[name].values]

    assert known("cosine") == known("cos(dX, dY)") == known("interaction") == [False, True, True, True, True]
    assert known("KL") == known("KL without X") == known("recovered") == [False, False, True, False, True]


def test_quartiles_lie_around_the_medians():
    evidence = judged(asked=factorial(sites="resid_post.0..3", stride=2))
    quartiles, *_ = evidence.tables
    sites = [f"resid_post.{block}" for block in range(BLOCKS)]
    assert quartiles.rows == (*sites, "mean of the band")
    for index, name in enumerate(("cosine", "interaction ratio", "KL")):
        first, last = 3 * index, 3 * index + 3
        assert quartiles.columns[first:last] == (f"{name} q1", f"{name} median", f"{name} q3")
        curve = evidence.curve.series[name.removesuffix(" ratio")].values[1:]
        for row, shown in zip(quartiles.cells[:-1], curve, strict=True):
            low, median, high = row[first:last]
            assert median == shown
            assert low is median is high is None or low <= median <= high


def test_the_last_row_of_the_quartiles_is_of_the_bands_means():
    evidence = judged()
    quartiles, _, tasks = evidence.tables
    for place, name in ((0, "cosine"), (6, "KL")):
        by_task = [row[tasks.columns.index(name)] for row in tasks.cells]
        assert quartiles.cells[-1][place : place + 3] == pytest.approx(
            np.quantile(by_task, [0.25, 0.5, 0.75])
        )


class BadSite(World):
    """Persona and task add up everywhere but at one site."""

    def reading(self, need):
        rows = super().reading(need)
        if personas_in(need.condition) and need.probe in self._task:
            rows[2] = -rows[2]
        return rows

    def cost(self, need):
        cost, patch = super().cost(need), need.condition.patch
        return 4 * cost if cost == self.additive and str(patch.sites[0]) == "resid_post.2" else cost


def test_a_bad_site_is_named_beside_the_bands_mean():
    (note,) = [note for note in judged(BadSite).notes if note.startswith("worst site")]
    found = re.fullmatch(
        r"worst site of resid_post\.0\.\.2, medians over the tasks: cosine (\S+) at resid_post\.1 "
        r"\(mean of the band (\S+)\), interaction ratio (\S+) at resid_post\.1 \(mean of the band (\S+)\), "
        r"KL (\S+) at resid_post\.2 \(mean of the band (\S+)\)",
        note,
    )
    cosine, mean_cosine, ratio, mean_ratio, kl, mean_kl = map(float, found.groups())
    assert cosine < mean_cosine - 0.5
    assert ratio > mean_ratio + 0.3
    assert (kl, mean_kl) == (pytest.approx(0.21, abs=0.01), pytest.approx(0.105, abs=0.01))


def test_a_band_of_one_site_has_no_worst_one():
    notes = judged(asked=factorial(sites="resid_post.1")).notes
    assert not [note for note in notes if note.startswith("worst site")]


class Deep(World):
    """KL rises with depth, as published."""

    def cost(self, need):
        cost, patch = super().cost(need), need.condition.patch
        return 0.04 * patch.sites[0].depth if cost == self.additive else cost


def test_the_additive_region_ends_where_kl_is_too_large():
    evidence = judged(Deep)
    (region,) = [note for note in evidence.notes if note.startswith("additive region")]
    assert region.startswith(
        "additive region: resid_post.0..1 (mean KL at most 0.1 nat and cosine at least 0.8)"
    )
    assert "with an interaction ratio of 0." in region
    (none,) = [note for note in judged(additive=3.0).notes if note.startswith("additive region")]
    assert none.startswith("additive region: none of 3 sites has mean KL at most 0.1 nat")


def test_costs_are_told_side_by_side():
    (costs,) = [note for note in judged().notes if note.startswith("mean KL in nats")]
    assert costs.startswith("mean KL in nats: sum 0.05, without X's part 1.5")
    assert "without X's text 6." in costs
    assert "own residuals put back 1" in costs


def test_every_task_has_its_row():
    *_, table = judged().tables
    assert table.rows == tuple(task.id for task in TASKS)
    assert table.columns == ("KL", "tokens", "cosine", "cos(dX, dY)", "interaction", "KL without X's text")
    for kl, tokens, cosine, overlap, interaction, bare in table.cells:
        assert 0.05 <= kl <= 0.055
        assert tokens == 10
        assert 0.9 < cosine < 1
        assert abs(overlap) < 0.5
        assert 0.1 < interaction < 0.4
        assert 6 <= bare <= 6.6


def test_what_moves_nothing_has_no_number_in_its_row():
    *_, table = judged(Still).tables
    assert [row for row, cells in zip(table.rows, table.cells, strict=True) if None in cells] == ["q3"]


def test_the_worst_tasks_show_their_replies():
    evidence = judged()
    first = evidence.probes[0]
    assert first.note == "the sum costs KL 0.05 nat"
    assert first.replies == {
        "clean": "Well, pirate",
        "additive": "Well, pirate changed",
        "without X's part": "Well, pirate changed",
        "injected": "Well, changed",
        "oracle injected": "Well, changed",
        "without X's text": "Well,",
    }
    assert len(evidence.probes) == 3


def test_markers_are_heard_under_every_change():
    (rates,) = [note for note in judged().notes if note.startswith("replies with a marker")]
    assert rates.endswith(
        "clean 100%, additive 100%, without X's part 100%, injected 0%, "
        "oracle injected 0%, without X's text 0%"
    )


class Brief(World):
    """Some replies end early."""

    def divergence(self, need):
        return super().divergence(need)[: {"q3": 4, "q7": 9}.get(need.probe.id)]


def test_replies_that_end_early_are_named_with_their_tokens():
    evidence = judged(Brief)
    (note,) = [note for note in evidence.notes if note.startswith("the reply ends")]
    assert note == "the reply ends before 10 tokens, and KL is summed over fewer: q3 (4), q7 (9)"
    *_, table = evidence.tables
    counts = [row[table.columns.index("tokens")] for row in table.cells]
    assert counts == [{3: 4, 7: 9}.get(task, 10) for task in range(12)]
    assert not [note for note in judged().notes if note.startswith("the reply ends")]


def test_a_persona_without_markers_is_judged_all_the_same():
    case = factorial(personas=["mime"]).cases(scene(mime=Persona(prompt="Be a pirate mime.")))[0]
    evidence = case.judge(World(case).record(), seed=0)
    assert evidence.verdict is Verdict.PASS
    assert evidence.probes[0].replies == {"clean": "Well, pirate"}


def test_criteria_rest_on_less_and_are_the_same():
    for asked in (factorial(), factorial(max_recovered=0.3, min_recovered=0.0)):
        (case, *_) = asked.cases(scene())
        world = World(case, noise=0)
        record = world.record()
        few = Record({need: record._values[need] for need in case.needs()})
        assert tuple(case.criteria(case.sample(few, seed=0))) == case.judge(record, seed=0).criteria
    assert len(list(case.needs())) < len(set(case.measurements()))


def outcomes(case, **world):
    """What comes of the controls, by name."""
    drawn = [each for several in case.controls().values() for each in several]
    needs = dict.fromkeys(need for each in (case, *drawn) for need in each.needs())
    made = World(case, **world)
    record = Record({need: made.value(need) for need in needs})
    return {control.name: control for control in case.controlled(record, seed=0)}


def test_neither_another_persona_alone_nor_nobody_passes():
    found = outcomes(factorial().cases(scene())[0])
    assert list(found) == ["nothing in its place", "counsel by prompt"]
    assert {control.verdict for control in found.values()} == {Verdict.FAIL}
    assert not any(control.criterion.unreliable for control in found.values())


def test_a_token_at_which_anything_adds_up_shows_in_the_controls():
    found = outcomes(factorial(min_cosine=0.0).cases(scene())[0], other=0.01)
    assert {control.verdict for control in found.values()} == {Verdict.PASS}


def test_a_single_persona_has_nobody_else_for_a_control():
    alone = replace(scene(), personas={"pirate": Persona(prompt="Be pirate.")})
    kin = replace(scene(), kin=(frozenset(NAMES),))
    for each in (alone, kin):
        assert list(factorial().cases(each)[0].controls()) == ["nothing in its place"]


def test_ids_name_persona_and_position():
    cases = factorial(positions=["prompt_last", "user_last", "g1", "g2"]).cases(scene())
    assert [(case.persona, case.slug) for case in cases] == [
        (name, slug) for name in NAMES for slug in ("prompt_last", "user_last", "g1", "g2")
    ]
    assert len(Factorial(property="factorial", sites=SITES).cases(scene())) == 3 * len(NAMES)


def said(task, **fields):
    """What the four prompts consist of."""
    (case,) = factorial(personas=["pirate"], **fields).cases(
        scene(pirate=Persona(prompt=fields.pop("prompt", "Be pirate.")))
    )
    return [
        ([(prompt.role, prompt.text) for prompt in reading.condition.prompts], reading.probe.text)
        for reading in case.grid.readings(task)
    ]


def test_the_four_prompts():
    pirate = [("system", "Be pirate.")]
    assert said(TASKS[0]) == [
        ([], "Say something."),
        (pirate, "Say something."),
        ([], "Question 0?"),
        (pirate, "Question 0?"),
    ]


def test_the_persona_is_put_into_either_turn_and_the_neutral_one_beside_it():
    found = said(TASKS[0], turn="user", neutral_persona="As a person, {probe}", neutral_task="Speak.")
    assert found[0] == ([("user", "As a person, {probe}")], "Speak.")
    assert found[3] == ([("user", "Be pirate.")], "Question 0?")
    assert said(TASKS[0], turn="system", neutral_persona="Be a person.")[0][0] == [("system", "Be a person.")]


def test_examples_stay_with_the_prompt():
    shown = Prompt(text="Be pirate.", role="user", examples=(Example(user="Hot?", reply="Aye."),))
    (case,) = factorial(personas=["pirate"], turn="system").cases(scene(pirate=Persona(prompt=shown)))
    assert case.grid.persona.prompts == (shown.model_copy(update={"role": "system"}),)


def test_in_the_response_all_four_prompts_read_the_clean_reply():
    (case,) = factorial(personas=["pirate"], positions=["g2"]).cases(scene())
    readings = case.grid.readings(TASKS[1])
    clean = Reply(case.grid.persona, TASKS[1], Decoding())
    assert {reading.text for reading in readings} == {clean}
    assert {reading.position for reading in readings} == {Position.G2}
    divergences = [need for need in case.measurements() if isinstance(need, Divergence)]
    assert {need.given for need in divergences} == {2}
    assert {need.reference for need in divergences} == {case.grid.persona}


def test_changes_are_at_the_position_and_at_the_sites_that_were_asked_for():
    asked = factorial(
        personas=["pirate"],
        sites="resid_post.0..3",
        stride=2,
        inject=["resid_post.1", ["resid_post.3", "resid_post.0..1"], "resid_post.1"],
    )
    (case,) = asked.cases(scene())
    changed = {need.condition.patch for need in case.measurements() if isinstance(need, Divergence)} - {None}
    assert {patch.position for patch in changed} == {Position.PROMPT_LAST}
    assert {" ".join(map(str, patch.sites)) for patch in changed} == {
        "resid_post.1",
        "resid_post.3",
        "resid_post.0 resid_post.1 resid_post.2 resid_post.3",
        "resid_post.0 resid_post.1 resid_post.3",
    }


def test_what_is_put_in_is_made_of_the_four_prompts():
    (case,) = factorial(personas=["pirate"], sites="resid_post.1").cases(scene())
    names = dict(zip(case.grid.readings(TASKS[0]), ("BB", "XB", "BY", "XY"), strict=True))

    def put_in(change):
        condition = case.grid.divergence(TASKS[0], change).condition
        host = "XY" if condition.prompts else "BY"
        return host, {names[reading]: weight for weight, reading in condition.patch.sum}

    changes = case.changes
    additive = {"XB": 1, "BY": 1, "BB": -1}
    assert put_in(changes.additive[0]) == ("XY", additive)
    assert put_in(changes.injections[0]) == ("BY", additive)
    assert put_in(changes.without_persona[0]) == ("XY", {"XY": 1, "XB": -1, "BB": 1})
    assert put_in(changes.self_patch) == ("XY", {"XY": 1})
    assert put_in(changes.oracles[0]) == ("BY", {"XY": 1})


@pytest.mark.parametrize("field", [{"sites": "resid_post.2..9"}, {"inject": ["resid_post.9"]}])
def test_a_site_beyond_the_model_is_an_error(field):
    case = factorial(**field).cases(scene())[0]
    world = World(case)
    with pytest.raises(MeasurementError, match=r"lies beyond the model, whose last site is resid_post\.3"):
        case.judge(world.record(), seed=0)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tasks": ["Explain gravity."]}, "needs at least 4 tasks, as its intervals run over them.* found 1"),
        ({"tasks": ["One", "Two", "Three", "one!"]}, "the task 'one!' is listed twice; what is there twice"),
        (
            {"neutral_task": "question 3"},
            "the neutral task 'question 3' is a task as well.* expected another text under 'neutral_task:'",
        ),
        (
            {"tasks": ["One", "Two", "Three", {"id": "one", "text": "Four"}]},
            "two tasks have the id 'one'; give one of them another with 'id:'",
        ),
        ({"personas": ["pirat"]}, "no persona is named 'pirat'; did you mean 'pirate'"),
        ({"personas": ["mute"]}, "'mute' cannot be put into the model by prompt: its prompt is not written"),
        (
            {"personas": ["around"], "turn": "system"},
            "the prompt of persona 'around' is put around the question, which the system turn does not hold; "
            "expected 'turn: user'",
        ),
        (
            {"personas": ["pirate"], "neutral_persona": "As one, {probe}"},
            "the prompt under 'neutral_persona:' is put around the question",
        ),
    ],
)
def test_bad_input_gets_a_sentence(fields, sentence):
    around = Persona(prompt=Prompt(text="As a pirate, {probe}", role="user"))
    with pytest.raises(SuiteError, match=sentence):
        factorial(**fields).cases(scene(mute=Persona(), around=around))


def test_tasks_of_few_templates_are_refused():
    few = tuple(task.model_copy(update={"template": f"t{i % 3}"}) for i, task in enumerate(TASKS))
    with pytest.raises(SuiteError, match=r"one template count once.* found 3"):
        factorial().cases(scene(few))


def test_without_any_prompt_there_is_nobody_to_judge():
    mute = replace(scene(), personas={"mute": Persona()})
    with pytest.raises(SuiteError, match="factorial found no persona with a prompt"):
        factorial().cases(mute)


def test_a_persona_that_is_put_around_the_question_is_no_control_in_the_system_turn():
    around = Persona(prompt=Prompt(text="As a pirate, {probe}", role="user"))
    asked = replace(scene(), personas={"pirate": Persona(prompt="Be pirate."), "around": around})
    case = factorial(personas=["pirate"], turn="system").cases(asked)[0]
    assert list(case.controls()) == ["nothing in its place"]


def test_a_mean_over_the_reply_is_no_token():
    with pytest.raises(
        ValidationError, match="no residual can take the place of a mean; expected prompt_last"
    ):
        factorial(positions=["response_mean"])


class Nothing(World):
    """Nothing moves, and nothing costs anything."""

    def reading(self, need):
        return np.zeros((BLOCKS + 1, WIDTH), np.float32)

    def divergence(self, need):
        return np.zeros(self.tokens, np.float32)


class Huge(World):
    """Residuals and costs that overflow where they are squared carelessly."""

    def reading(self, need):
        return super().reading(need) * np.float32(1e15)

    def divergence(self, need):
        return super().divergence(need) * np.float32(1e15)


class Noise(World):
    """Nothing that two measurements share."""

    def reading(self, need):
        return self._drawn.normal(size=(BLOCKS + 1, WIDTH)).astype(np.float32)

    def divergence(self, need):
        return self._drawn.exponential(size=self.tokens).astype(np.float32)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("world", [Nothing, Huge, Noise])
def test_measurements_that_hold_nothing_are_told_without_a_nan(world):
    evidence = judged(world, factorial(max_recovered=0.5, min_recovered=0.1))
    assert evidence.verdict is not Verdict.PASS
    sentence = sentence_of("a.b.c", evidence.verdict, "pass", evidence)
    result = AssertionResult(
        id="a.b.c", persona="a", family="b", suite="s", line=1,
        verdict=evidence.verdict, raw_verdict=evidence.raw_verdict, sentence=sentence, evidence=evidence,
    )  # fmt: skip
    assert "nan" not in " ".join([sentence, explain(result), result.model_dump_json()]).lower()


@pytest.mark.parametrize("field", ["inject", "positions"])
def test_lists_of_sites_and_positions_hold_something(field):
    with pytest.raises(ValidationError, match="at least 1 item"):
        factorial(**{field: []})


def test_a_set_of_sites_is_spelled_as_bands():
    with pytest.raises(ValidationError, match="'resid_post' is not a band of sites"):
        factorial(inject=[["resid_post.1", "resid_post"]])
