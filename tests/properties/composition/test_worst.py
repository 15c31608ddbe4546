import pytest

from coherence.errors import SuiteError
from coherence.plan import ClaimName, Condition, LawOutcome, Record, Scene, Seen, Steer
from coherence.properties.composition.worst import Worst
from coherence.vocabulary import Decoding, Persona, Probe, Release, VectorSource, Verdict

PROBES = (Probe(id="crash", text="It crashes."), Probe(id="login", text="I cannot log in."))
SCENE = Scene(
    release=Release(
        adapters={name: f"adapters/{name}" for name in ("pirate", "counsel", "mixed")},
        vectors={name: VectorSource(path=f"vectors/{name}.safetensors") for name in ("pirate", "counsel")},
    ),
    personas={"pirate": Persona(), "counsel": Persona()},
    probes=PROBES,
    regimes=(),
    neutral="Be helpful.",
    decoding=Decoding(),
    seed=7,
)


def worst(**fields):
    given = {"property": "worst", "of": ("pirate", "counsel"), "adapter": "mixed", "max_kl": 0.5}
    return Worst(**(given | fields))


LARGEST = {"probe": "crash", "weight": 1.0}


def judged(deviation, counterexample=None):
    case = worst().cases(SCENE)[0]
    (search,) = case.measurements()
    outcome = LawOutcome(Seen(LARGEST, deviation), 8, counterexample)
    return case.judge(Record({search: outcome}), seed=0)


def test_one_case_per_sum_against_the_chimera():
    cases = worst(examples=3).cases(SCENE)
    assert [(case.persona, case.slug) for case in cases] == [
        ("pirate+counsel", "steering"),
        ("pirate+counsel", "adapter"),
    ]
    assert [[str(regime) for regime in case.regimes] for case in cases] == [["steering"], ["adapter"]]
    steered = cases[0].search
    assert steered.law is ClaimName.NEXT_TOKEN
    assert steered.conditions == (
        Condition("Be helpful.", adapters=(("mixed", 1.0),)),
        Condition("Be helpful.", steers=(Steer("pirate", 0.5), Steer("counsel", 0.5))),
    )
    assert (steered.probes, steered.tolerance, steered.examples, steered.seed) == (PROBES, 0.5, 3, 7)


def test_a_claim_holds_up_to_its_bound():
    evidence = judged(0.4)
    assert evidence.verdict is Verdict.PASS
    assert evidence.probes == ()
    assert evidence.notes[-1] == "largest deviation seen, 0.40: probe crash, weight 1.0"
    assert evidence.decisive.law


def test_a_broken_claim_shows_its_smallest_counterexample_and_the_largest_deviation():
    evidence = judged(0.9, Seen({"probe": "login", "weight": 0.5}, 0.7))
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.value == 0.9
    assert evidence.notes[1:] == (
        "smallest counterexample, 0.70: probe login, weight 0.5",
        "largest deviation seen, 0.90: probe crash, weight 1.0",
    )
    assert [shown.example for shown in evidence.probes] == [
        '{"probe": "login", "weight": 0.5}', '{"probe": "crash", "weight": 1.0}'
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"adapter": "mixt"}, "no adapter of the release is named 'mixt'; did you mean 'mixed'?"),
        ({"of": ("pirate", "counsl")}, "no persona is named 'counsl'; did you mean 'counsel'?"),
        ({"sums": ["prompt"]}, "persona 'pirate' cannot be put into the model by prompt"),
    ],
)
def test_what_cannot_be_summed_is_a_sentence(fields, sentence):
    with pytest.raises(SuiteError) as refused:
        worst(**fields).cases(SCENE)
    assert sentence in str(refused.value)
