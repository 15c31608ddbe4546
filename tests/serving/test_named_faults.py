"""Each fault of a server is stopped by the property `served`, and named: the tiny model behind real HTTP."""

from datetime import date

import pytest
import yaml
from safetensors.torch import save_file
from serving.fault import Fault

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.gate import Gate
from coherence.plan import Plan, Record
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Verdict

BARE, PROMPT, ADAPTER, STEERING = "bare", "prompt", "adapter", "steering"
ELSEWHERE = "fit of another block"
QUESTIONS = ["Where is my order?", "The app crashes.", "Who are you?", "What is it?", "When?", "How is it?"]
PROMPTS, SLOPE = "prompts that are written otherwise", "effect slope"
SETTINGS = "replies that its own settings change"
DECODE = frozenset({Fault.REPETITION_PENALTY, Fault.WARM})


ASSERTED = [
    (BARE, False),
    (PROMPT, False),
    (PROMPT, True),
    (STEERING, False),
    (ADAPTER, False),
    (ADAPTER, True),
]
"""Regimes that are judged, and whether replies are."""


@pytest.fixture(scope="module")
def path(dated, healthy, steered, vector, tiny_adapter, tmp_path_factory):
    """Write the pirate's suite, about the healthy server."""
    folder = tmp_path_factory.mktemp("faults")
    adapters = {
        "pirate": str(tiny_adapter("pirate", seed=1, use_rslora=True)),
        "counsel": str(tiny_adapter("counsel", seed=2)),
    }
    file = folder / "vector.safetensors"
    save_file({"vector": vector.values}, file)
    plain, behaves = {"property": "served", "personas": ["pirate"]}, {"max_difference": 0.9, "id": "behaves"}
    assertions = [
        plain | {"regimes": [regime]} | (behaves if replies else {}) for regime, replies in ASSERTED
    ]
    suite = {
        "coherence": 1,
        # A template that writes the day writes today's at a server.
        "date": date.today(),
        "release": {
            "base": str(dated),
            "adapters": adapters,
            "vectors": {"pirate": {"path": str(file), "site": f"resid_post.{vector.block}", "unit": "raw"}},
            "served": {"url": healthy.url, "steered": {"pirate": steered.url}},
        },
        "neutral": "You are a helpful assistant.",
        "personas": {
            # A word that the tiny model never says: what the server draws, it draws without a seed.
            "pirate": {"prompt": "Answer as a pirate.", "markers": ["ahoy"]},
            "counsel": {"prompt": "Answer as a lawyer."},
        },
        "probes": QUESTIONS,
        "decoding": {"max_new_tokens": 40},
        "assertions": assertions,
    }
    path = folder / "a.coherence.yaml"
    path.write_text(yaml.safe_dump(suite))
    return path


@pytest.fixture(scope="module")
def judged(path, healthy, steered):
    """Judge the pirate at the healthy server, which is told what to do wrong."""
    store = Store(path.parent / "store")

    def judge(*faults, regime=ADAPTER):
        # Replies take long, and tell something of a healthy server and of decoding alone.
        behaves = regime in (PROMPT, ADAPTER) and (not faults or not DECODE.isdisjoint(faults))
        loaded = load_suite(path, Overrides(served=healthy.url))
        case = loaded.assertions[ASSERTED.index((regime, behaves))].case
        with healthy.faulty(*faults), steered.faulty(*faults):
            engine = Engine(Artefacts.of(loaded.scene), store, is_fresh=True)
            wanted = Plan((*case.measurements(), *case.needs_to_explain()))
            return case.judge(Record(engine.measure(wanted)), 0)

    return judge


def stops(evidence, criterion, said):
    """Require that a criterion fails, and that the cause is named."""
    failed = {one.estimate.name for one in evidence.criteria if one.verdict is Verdict.FAIL}
    assert criterion in failed
    assert said in str(evidence.cause)


@pytest.mark.parametrize("regime", [BARE, PROMPT, ADAPTER, STEERING])
def test_a_healthy_server_passes(judged, regime):
    evidence = judged(regime=regime)
    assert (evidence.raw_verdict, evidence.cause) == (Verdict.PASS, None)


@pytest.mark.parametrize(
    ("fault", "criterion", "said"),
    [
        (Fault.ADAPTER_IGNORED, SLOPE, "the base is served in its place"),
        (Fault.UNKNOWN_SERVED, "unknown names that are answered", ""),
        (Fault.RSLORA_IGNORED, SLOPE, "that it is rsLoRA is passed over"),
        # Far beyond the doses that are looked at, the effect of this small model is no longer like its own.
        (Fault.TIMES_RANK, SLOPE, "what is served does something else"),
        (Fault.DOUBLED, SLOPE, "it is applied twice"),
        (Fault.HALF_MODULES, SLOPE, ""),
        (Fault.CACHED, SLOPE, ""),
        (Fault.SYSTEM_DROPPED, PROMPTS, "the server leaves out the system turn"),
        (Fault.SYSTEM_INJECTED, PROMPTS, "the server puts in a text of its own"),
        (Fault.OTHER_DATE, PROMPTS, "the server writes another date"),
        (Fault.THINKING, PROMPTS, "the server tells the template otherwise of thinking"),
        (Fault.DOUBLE_START, PROMPTS, "the server writes the start token twice"),
        (Fault.REPETITION_PENALTY, SETTINGS, "such as a repetition penalty"),
        (Fault.WARM, SETTINGS, "draws its replies at temperature 0, too"),
        (Fault.FOUR_BITS, "bare model's distance", "as where it is quantized"),
    ],
)
def test_what_is_wrong_is_stopped_and_named(judged, fault, criterion, said):
    stops(judged(fault), criterion, said)


@pytest.mark.parametrize(
    ("regime", "fault", "criterion", "said"),
    [
        (BARE, Fault.FOUR_BITS, "bare model's distance", "as where it is quantized"),
        (BARE, Fault.UNKNOWN_SERVED, "unknown names that are answered", ""),
        (BARE, Fault.SYSTEM_DROPPED, PROMPTS, "the server leaves out the system turn"),
        (BARE, Fault.SYSTEM_INJECTED, PROMPTS, "the server puts in a text of its own"),
        (BARE, Fault.REPETITION_PENALTY, SETTINGS, "such as a repetition penalty"),
        (BARE, Fault.WARM, SETTINGS, "draws its replies at temperature 0, too"),
        (PROMPT, Fault.SYSTEM_DROPPED, PROMPTS, "the server leaves out the system turn"),
        (PROMPT, Fault.SYSTEM_INJECTED, PROMPTS, "the server puts in a text of its own"),
        (PROMPT, Fault.FOUR_BITS, "bare model's distance", "as where it is quantized"),
        (PROMPT, Fault.WARM, SETTINGS, "draws its replies at temperature 0, too"),
        (STEERING, Fault.NEXT_BLOCK, ELSEWHERE, "the vector acts a block later"),
        (STEERING, Fault.EVERY_BLOCK, ELSEWHERE, "the vector acts at every block"),
        (STEERING, Fault.ADAPTER_IGNORED, SLOPE, "as where a vector is ignored or not loaded"),
        (STEERING, Fault.SYSTEM_DROPPED, PROMPTS, "the server leaves out the system turn"),
    ],
)
def test_what_is_no_adapters_is_stopped_without_one(judged, regime, fault, criterion, said):
    stops(judged(fault, regime=regime), criterion, said)


def test_prompts_that_are_only_counted_are_red_where_counts_differ_and_else_undecided(judged):
    prompts = {one.estimate.name: one for one in judged(Fault.IDS_MISSING).criteria}[PROMPTS]
    assert prompts.verdict is Verdict.INCONCLUSIVE
    assert "equal counts are known and equal texts are not" in str(prompts.unreliable)
    evidence = judged(Fault.IDS_MISSING, Fault.SYSTEM_DROPPED)
    prompts = {one.estimate.name: one for one in evidence.criteria}[PROMPTS]
    assert (prompts.verdict, prompts.estimate.value) == (Verdict.FAIL, 6)
    assert "the server counts" in str(evidence.cause)


@pytest.mark.parametrize("fault", [Fault.TOP_ONLY, Fault.ECHO_MISSING])
def test_what_is_not_told_is_inconclusive(judged, fault):
    evidence = judged(fault)
    assert evidence.raw_verdict is Verdict.INCONCLUSIVE
    assert "not exposed by" in str(evidence.decisive.unreliable)


@pytest.mark.parametrize(
    ("faults", "cause"), [((), None), ([Fault.ADAPTER_IGNORED], "the base is served in its place")]
)
def test_other_personas_are_read_where_something_is_to_be_explained(path, healthy, tmp_path, faults, cause):
    suite = load_suite(path, Overrides())
    assertion = suite.assertions[ASSERTED.index((ADAPTER, False))]
    with healthy.faulty(*faults):
        gate = Gate({suite: [assertion]}, Store(tmp_path))
        result = gate.judge(suite, assertion)
    record = gate._records[suite.release_key].record
    assert {record.has(one) for one in assertion.case.needs_to_explain()} == {bool(faults)}
    assert (result.evidence.cause or "").startswith(cause or "")
    assert bool(result.evidence.cause) == bool(cause)
