"""Measurements that hold nothing to judge: every property says so, without a NaN and without a warning."""

from itertools import count

import numpy as np
import pytest
import worlds

from coherence.errors import SuiteError
from coherence.plan import Answer, LawOutcome, NextToken, Reading, Record, Reply, Seen
from coherence.properties.collinearity import Collinearity
from coherence.properties.composition.chimera import Chimera
from coherence.properties.composition.commutativity import Commutativity
from coherence.properties.composition.equivalence import Equivalence
from coherence.properties.markers import Markers
from coherence.properties.mixtures.attractor import Attractor
from coherence.reports.grounds import explain
from coherence.results import AssertionResult, sentence_of
from coherence.vocabulary import Verdict

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ("pirate", "counsel", "support", "oncall")
PROBES = worlds.probes(8)
PAIRS = tuple(probe.model_copy(update={"template": f"t{i // 2}"}) for i, probe in enumerate(PROBES))
DEPTH, WIDTH, VOCABULARY = 3, 16, 10
PROPERTIES = {
    "collinearity": Collinearity(property="collinearity", sites="resid_post.0..1", min_cosine=0.5),
    "markers": Markers(property="markers", min_agreement=0.6, max_difference=0.2, min_recovery=0.7),
    "chimera": Chimera(
        property="chimera", of=("pirate", "counsel"), adapter="mix", sites="resid_post.0..1",
        min_cosine=0.8, max_kl_ratio=0.3, max_difference=0.25,
    ),
    "equivalence": Equivalence(
        property="equivalence", of=("pirate", "counsel"), adapter="mix", twin="pirate",
        sites="resid_post.0..1", max_distance=2, max_asymmetry=0.3, min_profile=0.8, min_direction=0.8,
        pairs=[("steering-steering", "chimera"), ("prompt-prompt", "prompts-reversed")],
    ),
    "attractor": Attractor(
        property="attractor", poles=("pirate", "counsel"), site="resid_post.1", max_area=0.1
    ),
    "commutativity": Commutativity(property="commutativity"),
}  # fmt: skip


def scene(probes=PROBES):
    cast = worlds.personas(NAMES, markers=["arr"])
    return worlds.scene(cast, (*NAMES, "mix"), asked=probes, regimes=("prompt", "adapter", "steering"))


def still(row, condition):
    return np.zeros((DEPTH, WIDTH), np.float32)


def constant(row, condition):
    return np.ones((DEPTH, WIDTH), np.float32)


def alike_in_all_probes(row, condition):
    return np.random.default_rng(condition).normal(size=(DEPTH, WIDTH)).astype(np.float32)


def alike_in_all_conditions(row, condition):
    return np.random.default_rng(row).normal(size=(DEPTH, WIDTH)).astype(np.float32)


def moved_on_one_probe(row, condition):
    return alike_in_all_probes(row, condition) if row == 0 else still(row, condition)


def opposite_in_half_of_the_probes(row, condition):
    return (-1) ** row * alike_in_all_probes(row, condition)


def noise(row, condition):
    return np.random.default_rng((row, condition)).normal(size=(DEPTH, WIDTH)).astype(np.float32)


def huge(row, condition):
    return noise(row, condition) * np.float32(1e15)


def tiny(row, condition):
    return noise(row, condition) * np.float32(1e-30)


RESIDUALS = (
    still,
    constant,
    alike_in_all_probes,
    alike_in_all_conditions,
    moved_on_one_probe,
    opposite_in_half_of_the_probes,
    noise,
    huge,
    tiny,
)
SAID = {
    "never": lambda row, condition: "Hello.",
    "always": lambda row, condition: "Arr.",
    "nothing": lambda row, condition: "",
    "by half of the conditions": lambda row, condition: "Arr." if condition % 2 else "Hello.",
    "on half of the probes": lambda row, condition: "Arr." if row % 2 else "Hello.",
}


def certain(row, condition):
    return np.where(np.arange(VOCABULARY) == 0, 0.0, -1e4).astype(np.float32)


def certain_of_another(row, condition):
    return np.where(np.arange(VOCABULARY) == condition % VOCABULARY, 0.0, -1e4).astype(np.float32)


TOKENS = (certain, certain_of_another)


def record(case, probes, residuals=noise, said=SAID["never"], tokens=certain):
    number, conditions = count(), {}

    def value(need):
        if isinstance(need, Reading | Reply | NextToken):
            place = probes.index(need.probe), conditions.setdefault(need.condition, next(number))
        if isinstance(need, Reading):
            return residuals(*place)
        if isinstance(need, Reply):
            return Answer(said(*place), (0,))
        if isinstance(need, NextToken):
            return tokens(*place)
        return LawOutcome(Seen({"probe": "q0"}, 0.0), 3, None)

    return Record({need: value(need) for need in case.measurements()})


def judged(name, probes, **measured):
    return [
        case.judge(record(case, probes, **measured), seed=0) for case in PROPERTIES[name].cases(scene(probes))
    ]


def told(evidence):
    """All that a report says."""
    sentence = sentence_of("a.b.c", evidence.verdict, "pass", evidence)
    result = AssertionResult(
        id="a.b.c", persona="a", family="b", suite="s", line=1,
        verdict=evidence.verdict, raw_verdict=evidence.raw_verdict, sentence=sentence, evidence=evidence,
    )  # fmt: skip
    return " ".join([sentence, explain(result), result.model_dump_json()])


@pytest.mark.parametrize("probes", [PROBES, PAIRS], ids=["probes", "templates"])
@pytest.mark.parametrize("residuals", RESIDUALS)
@pytest.mark.parametrize("name", ["collinearity", "chimera", "equivalence", "attractor"])
def test_residuals_that_hold_nothing(name, residuals, probes):
    for evidence in judged(name, probes, residuals=residuals):
        assert "nan" not in told(evidence).lower()
        assert evidence.verdict is not Verdict.PASS


@pytest.mark.parametrize("probes", [PROBES, PAIRS], ids=["probes", "templates"])
@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("name", ["markers", "chimera", "equivalence"])
def test_replies_that_hold_nothing(name, said, probes):
    for evidence in judged(name, probes, said=SAID[said]):
        assert "nan" not in told(evidence).lower()


@pytest.mark.parametrize("said", ["never", "always", "nothing"])
def test_markers_that_are_the_same_everywhere_are_inconclusive(said):
    for evidence in judged("markers", PROBES, said=SAID[said]):
        assert evidence.verdict is Verdict.INCONCLUSIVE
        assert "the prompt itself hardly evokes the persona" in evidence.criteria[-1].unreliable


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("name", ["chimera", "equivalence"])
def test_next_tokens_that_hold_nothing(name, tokens):
    for evidence in judged(name, PROBES, tokens=tokens):
        assert "nan" not in told(evidence).lower()


def test_markers_that_never_show_are_no_agreement():
    for evidence in judged("markers", PROBES, said=SAID["never"]):
        assert "min_agreement" not in {criterion.key for criterion in evidence.criteria}
        assert any("agreement beyond chance cannot be told" in note for note in evidence.notes)


@pytest.mark.parametrize("name", ["collinearity", "markers", "chimera", "equivalence", "attractor"])
def test_probes_of_one_template_cannot_be_drawn_anew(name):
    probes = tuple(probe.model_copy(update={"template": "one"}) for probe in PROBES)
    with pytest.raises(SuiteError, match=f"{name} needs probes of at least 4 templates, .* are of one"):
        PROPERTIES[name].cases(scene(probes))


@pytest.mark.parametrize("name", ["collinearity", "markers", "chimera", "equivalence", "attractor"])
def test_a_template_of_its_own_for_each_probe_is_as_good_as_none(name):
    probes = tuple(probe.model_copy(update={"template": probe.id}) for probe in PROBES)
    assert list(map(told, judged(name, probes))) == list(map(told, judged(name, PROBES)))
