from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conditions import NEUTRAL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft.tuners.lora import LoraLayer
from torch import Tensor
from worlds.plain import apart

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.batch.rows import Row, Weights
from coherence.engine.executors.measurer import Measurer
from coherence.engine.interventions.adapters import lora_layers
from coherence.engine.interventions.merging import COMBINED, WRITTEN
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job
from coherence.engine.running.runner import Runner
from coherence.errors import MeasurementError
from coherence.plan import Condition, Measurement, NextToken, Outcome, Reading, Way, WeightError
from coherence.store import Store
from coherence.vocabulary import Probe

TOLERANCE = 1e-5  # float32, relative to the largest logit
BOTH: Weights = (("pirate", 1.0), ("counsel", 1.0))
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "some layers": {"layers_to_transform": [1, 2]},
}
IDS = (5, 9, 40, 41, 7, 8)
PROBE = Probe(id="order", text="Where is my order?")
Make = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def carrying(host: Host, tiny_adapter: Make) -> Callable[..., Host]:
    """Mount two adapters of a kind, the second of another one if that is given."""

    def mount(kind: str = "plain", other: str | None = None) -> Host:
        host.mount("pirate", tiny_adapter("pirate", 1, **KINDS[kind]))
        host.mount("counsel", tiny_adapter("counsel", 2, **KINDS[other or kind]))
        return host

    return mount


def logits(host: Host, weights: Weights = BOTH, way: Way = Way.STACKED) -> Tensor:
    with host.switched(*host.fit(weights, way)):
        found: Tensor = host.model(input_ids=torch.tensor([IDS])).logits
    return found


def error(host: Host, way: Way, weights: Weights = BOTH) -> float:
    return float(host.weight_errors(weights, way).max())


def state(host: Host) -> tuple[list[Any], dict[str, Tensor]]:
    """Switches of all layers, and all tensors, by their place in memory too."""
    switches = [
        (
            list(layer.active_adapters),
            layer.disable_adapters,
            dict(layer.scaling),
            list(layer.merged_adapters),
        )
        for layer in lora_layers(host.model)
    ]
    places = [parameter.data_ptr() for parameter in host.model.parameters()]
    return [switches, places], {name: value.clone() for name, value in host.model.state_dict().items()}


def same(one: tuple[list[Any], dict[str, Tensor]], two: tuple[list[Any], dict[str, Tensor]]) -> bool:
    return one[0] == two[0] and all(torch.equal(value, two[1][name]) for name, value in one[1].items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [Way.MERGED, Way.UNMERGED])
def test_what_is_merged_is_the_stack(carrying: Callable[..., Host], kind: str, way: Way) -> None:
    host = carrying(kind)
    stacked, found = logits(host), logits(host, way=way)
    assert apart(found, stacked) < TOLERANCE
    assert apart(stacked, logits(host, ())) > 0.01
    assert error(host, way) == pytest.approx(error(host, Way.STACKED), abs=1e-4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(weights=st.tuples(*[st.sampled_from([-1.0, 0.0, 0.3, 1.0])] * 2))
def test_weights_are_merged_and_combined_too(rslora: Host, weights: tuple[float, float]) -> None:
    named = tuple(zip(("pirate", "counsel"), weights, strict=True))
    stacked = logits(rslora, named)
    assert apart(logits(rslora, named, Way.MERGED), stacked) < TOLERANCE
    if any(weights):
        assert error(rslora, Way.MERGED, named) < 1e-4
        # Of rsLoRA sources PEFT makes an rsLoRA adapter, which is scaled by the root of its rank once more.
        assert error(rslora, Way.CAT, named) == pytest.approx(np.sqrt(8) - 1, abs=1e-4)


@pytest.fixture
def rslora(carrying: Callable[..., Host]) -> Host:
    return carrying("rslora")


def test_cat_is_the_sum_of_plain_adapters(carrying: Callable[..., Host]) -> None:
    host = carrying()
    assert error(host, Way.CAT) < 1e-5
    assert apart(logits(host, way=Way.CAT), logits(host)) < TOLERANCE


@pytest.mark.parametrize("way", sorted({*COMBINED} - {Way.CAT}))
def test_other_combinations_are_not(carrying: Callable[..., Host], way: Way) -> None:
    host = carrying()
    assert error(host, way) > 0.1
    assert apart(logits(host, way=way), logits(host)) > 0.01


def test_a_linear_combination_is_as_wrong_as_the_change_is_large(carrying: Callable[..., Host]) -> None:
    # (A1 + A2)(B1 + B2) holds A1 B2 and A2 B1 as well, each as large as what is asked for.
    assert error(carrying(), Way.LINEAR) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("way", COMBINED)
def test_the_magnitudes_of_dora_are_lost_in_a_combination(carrying: Callable[..., Host], way: Way) -> None:
    assert error(carrying("dora"), way) > 0.1


def test_two_doras_are_not_the_sum_of_their_changes(carrying: Callable[..., Host]) -> None:
    # At their full weight the magnitudes of these, which were never trained, are those of the sum.
    host, halved = carrying("dora"), (("pirate", 0.5), ("counsel", 0.5))
    assert error(host, Way.STACKED, halved) > 0.03
    assert error(host, Way.STACKED, halved[:1]) < 1e-6
    assert apart(logits(host, halved, Way.MERGED), logits(host, halved)) < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_drifts(carrying: Callable[..., Host], kind: str) -> None:
    host = carrying(kind)
    drift = apart(logits(host, way=Way.MERGED_BFLOAT16), logits(host))
    assert 100 * TOLERANCE < drift < 0.5
    assert error(host, Way.MERGED_BFLOAT16) > 1e-3
    assert error(host, Way.MERGED_BFLOAT16) > 10 * error(host, Way.MERGED) - 10 * error(host, Way.STACKED)


def test_a_merge_in_bfloat16_is_no_worse_than_rounding(carrying: Callable[..., Host]) -> None:
    host = carrying()
    layers = list(lora_layers(host.model))
    with host.switched(BOTH, Way.MERGED):
        exact = [layer.get_base_layer().weight.data.clone() for layer in layers]
    with host.switched(BOTH, Way.MERGED_BFLOAT16):
        for layer, expected in zip(layers, exact, strict=True):
            found = layer.get_base_layer().weight.data
            assert found.dtype == torch.float32
            assert torch.equal(found, found.bfloat16().float())
            # Three roundings: of the base, and after each of the two.
            assert torch.allclose(found, expected, rtol=0, atol=3 * 2**-9 * float(expected.abs().max()))


def test_modules_that_one_adapter_leaves_alone_are_lost_by_a_combination(
    carrying: Callable[..., Host],
) -> None:
    # PEFT takes over which blocks the first adapter acts in, and forgets those of the second.
    host = carrying("some layers", "plain")
    errors = host.weight_errors(BOTH, Way.CAT)
    assert len(errors) == 12
    assert (errors > 0.99).sum() == 6
    assert host.weight_errors(BOTH, Way.MERGED).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WRITTEN)
def test_the_base_is_back_bit_for_bit_also_after_an_exception(
    carrying: Callable[..., Host], monkeypatch: pytest.MonkeyPatch, way: Way, kind: str
) -> None:
    host = carrying(kind)
    before, base = state(host), logits(host, ())
    logits(host, way=way)
    assert same(state(host), before)
    with pytest.raises(ZeroDivisionError), host.switched(BOTH, way):
        _ = 1 / 0
    assert same(state(host), before)
    last = list(lora_layers(host.model))[-1]
    monkeypatch.setattr(last, "merge", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        logits(host, way=way)
    assert same(state(host), before)
    assert torch.equal(logits(host, ()), base)


def test_measuring_weights_leaves_everything_as_it_was(carrying: Callable[..., Host]) -> None:
    host = carrying("plain", "dora")
    before = state(host)
    for way in (Way.STACKED, *WRITTEN):
        host.weight_errors(BOTH, way)
        assert same(state(host), before)


def test_a_combination_acts_by_row_and_is_made_once(
    carrying: Callable[..., Host], measure: Callable[..., dict[Any, Any]]
) -> None:
    host = carrying()
    rows = []
    for way in COMBINED:
        adapters, then = host.fit(BOTH, way)
        assert (adapters, then) == host.fit(BOTH, way)
        assert host.by_row(adapters, then)
        rows.append(Row(IDS, adapters, log_probs=way))
    found = measure(host, [*rows, Row(IDS, log_probs="bare")])
    assert apart(found["bare"], logits(host, ())[0, -1].log_softmax(dim=-1)) < TOLERANCE
    for way in COMBINED:
        assert apart(found[way], logits(host, way=way)[0, -1].log_softmax(dim=-1)) < TOLERANCE


def test_what_is_merged_is_switched_for_its_own_batch(
    carrying: Callable[..., Host], measure: Callable[..., dict[Any, Any]]
) -> None:
    host = carrying()
    rows = [Row(IDS, switched=BOTH, way=way, log_probs=way) for way in Way if way not in COMBINED]
    found = measure(host, [*rows, Row(IDS, log_probs="bare")])
    for row in rows:
        expected = logits(host, BOTH, row.way)[0, -1].log_softmax(dim=-1)
        assert apart(found[row.way], expected) < TOLERANCE
    assert not torch.equal(found[Way.MERGED], found[Way.MERGED_BFLOAT16])


@pytest.mark.parametrize("way", [Way.LINEAR, Way.CAT, Way.TIES_SVD])
def test_adapters_of_other_layers_that_peft_cannot_combine(host: Host, tiny_adapter: Make, way: Way) -> None:
    host.mount("pirate", tiny_adapter("pirate", 1))
    host.mount("counsel", tiny_adapter("counsel", 2, target_modules=["o_proj"], layers_to_transform=[1]))
    before = logits(host, ()), logits(host)
    # The second time as well: what PEFT leaves half made must not be taken for an adapter.
    for _ in range(2):
        with pytest.raises(MeasurementError) as problem:
            host.fit(BOTH, way)
        assert problem.value.sentence.startswith(
            f"adapter 'pirate' and adapter 'counsel' cannot be put in by {way}, as they do not act on the "
            "same modules: "
        )
    assert torch.equal(logits(host, ()), before[0])
    assert torch.equal(logits(host), before[1])


def test_adapters_of_different_ranks_cannot_be_combined_linearly(host: Host, tiny_adapter: Make) -> None:
    host.mount("pirate", tiny_adapter("pirate", 1, r=4))
    host.mount("counsel", tiny_adapter("counsel", 2, r=2))
    before = state(host)
    for _ in range(2):
        with pytest.raises(
            MeasurementError, match=r"'pirate' and adapter 'counsel' cannot be put in by linear: .* same r"
        ):
            host.fit(BOTH, Way.LINEAR)
    assert same(state(host), before)
    assert error(host, Way.CAT) < 1e-5


def test_a_combination_that_fails_halfway_leaves_nothing(
    carrying: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = carrying()
    before = state(host)
    with monkeypatch.context() as patched:
        patched.setattr(torch.linalg, "svd", _raising)
        with pytest.raises(MeasurementError, match="by svd: no convergence"):
            host.fit(BOTH, Way.SVD)
    assert same(state(host), before)
    assert 0.1 < error(host, Way.SVD) < 1


def _raising(*_: object, **__: object) -> None:
    raise ValueError("no convergence")


def test_a_bias_without_a_place_cannot_be_merged(host: Host, tiny_adapter: Make) -> None:
    host.mount("pirate", tiny_adapter("pirate", 1, lora_bias=True))
    with pytest.raises(MeasurementError, match=r"'pirate' cannot be merged .*: a bias belongs to a module"):
        host.fit(BOTH[:1], Way.MERGED)


def test_an_offloaded_base_can_be_neither_merged_nor_combined(carrying: Callable[..., Host]) -> None:
    host = carrying()
    layer: LoraLayer = next(lora_layers(host.model))
    layer.get_base_layer().to("meta")
    for way in (Way.MERGED, Way.CAT):
        with pytest.raises(MeasurementError, match="offloaded"):
            host.fit(BOTH, way)
    with pytest.raises(MeasurementError, match="offloaded"):
        host.weight_errors(BOTH, Way.STACKED)


@pytest.fixture
def measurer(artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make) -> Measurer:
    adapters = {name: tiny_adapter(name, seed) for seed, (name, _) in enumerate(BOTH)}
    adapters["small"] = tiny_adapter("small", 3, r=2)
    return Measurer(artefacts(adapters=adapters), store, pytest.fail)


def outcomes(measurer: Measurer, *wanted: Measurement) -> list[Outcome]:
    found = dict(measurer.measure(Job(wanted, {})))
    return [found[measurement] for measurement in wanted]


def test_a_condition_is_measured_in_its_way(measurer: Measurer) -> None:
    stacked, cat, ties = (
        Condition(NEUTRAL, adapters=BOTH, way=way) for way in (Way.STACKED, Way.CAT, Way.TIES)
    )
    one, same_one, other = outcomes(measurer, *(NextToken(each, PROBE) for each in (stacked, cat, ties)))
    assert np.allclose(one, same_one, atol=1e-4)
    assert not np.allclose(one, other, atol=1e-2)
    sound, wrong = outcomes(measurer, WeightError(cat), WeightError(ties))
    assert sound.dtype == np.float32
    assert sound.shape == (12,)
    assert sound.max() < 1e-5
    assert wrong.min() > 0.1


def test_what_cannot_be_combined_is_an_error_of_its_own(measurer: Measurer) -> None:
    unlike = Condition(NEUTRAL, adapters=(("pirate", 1.0), ("small", 1.0)), way=Way.LINEAR)
    sound = Condition(NEUTRAL, adapters=BOTH, way=Way.MERGED)
    wanted = NextToken(unlike, PROBE), WeightError(unlike), Reading(sound, PROBE), WeightError(sound)
    first, second, third, fourth = outcomes(measurer, *wanted)
    assert isinstance(first, MeasurementError)
    assert isinstance(second, MeasurementError)
    assert isinstance(third, np.ndarray)
    assert isinstance(fourth, np.ndarray)


def test_a_row_says_in_which_way(
    artefacts: Callable[..., Artefacts], store: Store, tiny_adapter: Make
) -> None:
    adapters = {name: tiny_adapter(name, seed) for seed, (name, _) in enumerate(BOTH)}
    runner = Runner(artefacts(adapters=adapters), store, pytest.fail)
    row = runner.builder.row(Condition(NEUTRAL, adapters=BOTH, way=Way.MERGED), PROBE)
    assert (row.adapters, row.switched, row.way) == ((), BOTH, Way.MERGED)
    assert row.label.endswith("adapter 'pirate', adapter 'counsel', merged")
