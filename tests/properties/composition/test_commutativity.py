import json
from dataclasses import replace

import pytest
import worlds

from coherence.errors import SuiteError
from coherence.plan import Condition, LawName, LawOutcome, Record, Seen, Steer
from coherence.properties.composition.commutativity import LAWS, Commutativity
from coherence.vocabulary import Operation, Persona, Probe, Verdict

PROBES = (Probe(id="crash", text="It crashes."), Probe(id="login", text="I cannot log in."))


def scene(adapters=("pirate", "counsel"), vectors=("pirate", "counsel")):
    cast = {"pirate": Persona(dose=0.4), "counsel": Persona(), "plain": Persona()}
    return replace(worlds.scene(cast, adapters, vectors, PROBES), seed=7)


def commutativity(**fields):
    return Commutativity(property="commutativity", **fields)


def judged(deviation, counterexample=None):
    case = commutativity(laws=["vector-order"]).cases(scene())[0]
    example = counterexample or {"probe": "login", "pair": ["vector a", "vector b"], "weights": (1.0, 1.0)}
    seen = Seen(example, deviation)
    outcome = LawOutcome(seen, 8, seen if counterexample else None)
    return case.judge(Record({case.search: outcome}), seed=0)


def test_every_law_has_its_sentence():
    assert set(LAWS) == set(LawName)


def test_one_case_per_law_for_the_release_as_a_whole():
    cases = commutativity().cases(scene())
    assert [case.slug for case in cases] == [law.value for law in LawName]
    assert {case.persona for case in cases} == {"release"}
    assert all(list(case.measurements()) == [case.search] for case in cases)


def test_a_search_holds_what_may_take_part():
    searches = {case.slug: case.search for case in commutativity(tolerance=1e-3, examples=3).cases(scene())}
    order = searches["vector-order"]
    assert order.conditions == (
        Condition("Be helpful.", steers=(Steer("pirate", 0.4),)),
        Condition("Be helpful.", steers=(Steer("counsel", 0.5),)),
    )
    assert (order.probes, order.tolerance, order.examples, order.seed) == (PROBES, 1e-3, 3, 7)
    assert Condition("Be helpful.") in searches["batch-mates"].conditions
    assert len(searches["batch-mates"].conditions) == 5


def test_a_law_without_its_artefacts_is_left_out_by_default():
    cases = commutativity().cases(scene(adapters=["pirate"], vectors=[]))
    assert [case.slug for case in cases] == [
        "scale-zero",
        "adapter-disabled",
        "adapter-merged",
        "adapter-unmerged",
        "batch-mates",
    ]


@pytest.mark.parametrize("operation", [Operation.ABLATE, Operation.CLAMP])
def test_laws_of_sums_are_not_for_vectors_that_are_not_added(operation):
    given = scene()
    ablated = given.release.vectors["counsel"].model_copy(update={"operation": operation})
    release = given.release.model_copy(update={"vectors": given.release.vectors | {"counsel": ablated}})
    given = replace(given, release=release)
    posed = {case.slug: case.search.conditions for case in commutativity().cases(given)}
    assert "vector-order" not in posed
    assert [condition.steers[0].vector for condition in posed["dose-zero"]] == ["pirate"]
    assert len(posed["batch-mates"]) == 5
    with pytest.raises(SuiteError, match=r"needs 2 personas with a vector that is added .*; found 1"):
        commutativity(laws=["vector-order"]).cases(given)


def test_personas_restrict_the_artefacts():
    cases = commutativity(personas=["pirate"]).cases(scene())
    assert "adapter-order" not in [case.slug for case in cases]


@pytest.mark.parametrize(
    ("law", "kind"),
    [("vector-order", "a vector"), ("adapter-order", "an adapter"), ("adapter-by-row", "an adapter")],
)
def test_a_law_asked_for_by_name_that_cannot_be_posed_is_an_error(law, kind):
    with pytest.raises(SuiteError, match=f"the law '{law}' needs 2 personas with {kind} .*; found 1"):
        commutativity(laws=[law]).cases(scene(adapters=["pirate"], vectors=["pirate"]))


def test_personas_that_share_an_artefact_cannot_pose_a_law_of_two():
    shared = scene()
    shared.personas["counsel"] = Persona(vector="pirate", dose=0.9)
    assert "vector-order" not in [case.slug for case in commutativity().cases(shared)]


def test_an_unknown_persona_is_an_error():
    with pytest.raises(SuiteError, match="did you mean 'pirate'"):
        commutativity(personas=["pirat"]).cases(scene())


def test_a_law_holds_up_to_the_tolerance():
    evidence = judged(1e-6)
    assert evidence.verdict is Verdict.PASS
    assert evidence.notes == (
        "the law: two vectors added in either order equal their sum",
        "largest deviation seen, 1e-06: probe login, pair vector a and vector b, weights 1.0 and 1.0",
    )
    assert evidence.decisive.estimate.n == 8


def test_a_broken_law_shows_its_smallest_counterexample():
    evidence = judged(0.02, {"probe": "crash", "pair": ["vector a", "vector b"], "weights": (0.5, -1.0)})
    assert evidence.verdict is Verdict.FAIL
    assert evidence.probes[0].probe == "crash"
    assert json.loads(evidence.probes[0].example)["weights"] == [0.5, -1.0]
    assert (
        evidence.notes[-2]
        == "smallest counterexample, 0.02: probe crash, pair vector a and vector b, weights 0.5 and -1.0"
    )
