from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from coherence.engine.forward import next_tokens, residuals, token_norms
from coherence.engine.host import Host
from coherence.engine.rows import Row
from coherence.engine.taps import Taps
from coherence.errors import MeasurementError

WIDTH = 32
fixture_too = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def rows(draw: st.DrawFn) -> Row:
    stem = draw(st.sampled_from([[], [7, 8, 9], [7, 8, 9, 40, 41]]))
    ids = stem + draw(st.lists(st.integers(3, 300), min_size=2, max_size=9))
    first = draw(st.integers(0, len(ids) - 1))
    seed, depth = draw(st.integers(0, 2)), draw(st.sampled_from([None, 0, 2, 4]))
    delta = torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))
    adapters = draw(st.sampled_from([(), (("pirate", 0.5),)]))
    deltas = {} if depth is None else {depth: delta}
    group = draw(st.sampled_from([None, (adapters, depth, seed)]))
    return Row(tuple(ids), adapters, deltas, (first, draw(st.integers(first + 1, len(ids)))), group=group)


@pytest.fixture
def mounted(host: Host, tiny_adapter: Callable[..., Path]) -> Host:
    host.mount("pirate", tiny_adapter("pirate"))
    return host


def apart(one: Any, two: Any) -> float:
    """Relative to the largest entry, as the laws have it."""
    return float((one - two).abs().max() / two.abs().max())


@fixture_too
@given(batch=st.lists(rows(), min_size=2, max_size=5))
def test_a_row_does_not_depend_on_its_batch_mates(mounted: Host, batch: list[Row]) -> None:
    for measure in (residuals, next_tokens, token_norms):
        together = dict(measure(mounted, batch))
        assert together.keys() == set(batch)
        for row in batch:
            ((_, alone),) = measure(mounted, [row])
            assert apart(together[row], alone) < 1e-5


@fixture_too
@given(row=rows())
def test_measures_are_what_a_naive_pass_gives(mounted: Host, row: Row) -> None:
    ids = torch.tensor([row.ids])
    with mounted.under(row.adapters, [row.deltas]), Taps(mounted.blocks, lambda hidden: hidden) as taps:
        logits = mounted.model(input_ids=ids).logits
    hidden = taps.stacked()[0]
    first, end = row.span
    assert apart(dict(residuals(mounted, [row]))[row], hidden[:, first:end].mean(dim=1)) < 1e-5
    assert apart(dict(token_norms(mounted, [row]))[row], median(hidden[:, 1:].norm(dim=-1))) < 1e-5
    assert apart(dict(next_tokens(mounted, [row]))[row], logits[0, -1].log_softmax(dim=-1)) < 1e-5


def median(norms: Tensor) -> Tensor:
    return norms.sort(dim=1).values[:, [(norms.shape[1] - 1) // 2]]


def test_log_probabilities_are_of_one_distribution(host: Host) -> None:
    ((_, found),) = next_tokens(host, [Row((5, 9), (), {})])
    assert isinstance(found, Tensor)
    assert found.dtype == torch.float32
    assert found.exp().sum().item() == pytest.approx(1)


def test_nothing_is_measured_of_nothing(host: Host) -> None:
    assert not list(residuals(host, []))
    assert not list(next_tokens(host, []))


def test_bfloat16_is_read_as_float32(tiny: Path) -> None:
    host = Host.load(tiny, "bfloat16")
    row = Row((5, 9, 40), (), {1: torch.ones(WIDTH)}, (1, 3))
    values = dict(residuals(host, [row]))[row]
    assert isinstance(values, Tensor)
    assert values.dtype == torch.float32
    exact = dict(residuals(Host.load(tiny, "float32"), [row]))[row]
    assert apart(values, exact) < 0.05


def poisoned(folder: Path, name: str) -> Path:
    """Put NaN into one weight of an adapter."""
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    (key,) = [key for key in weights if name in key]
    weights[key][0, 0] = torch.nan
    save_file(weights, path)
    return folder


def test_nan_in_an_adapter_names_site_and_probe_of_the_rows_concerned(
    host: Host, tiny_adapter: Callable[..., Path]
) -> None:
    host.mount("broken", poisoned(tiny_adapter("broken"), "layers.2.mlp.down_proj.lora_B"))
    batch = [
        Row((5, 9), adapters, {}, (1, 2), f"probe {name!r}, base 'tiny' in float32")
        for name, adapters in [("one", (("broken", 1.0),)), ("two", ()), ("three", (("broken", 1.0),))]
    ]
    problems = [str(value) for _, value in residuals(host, batch) if isinstance(value, MeasurementError)]
    assert problems == [
        f"NaN or infinite activation at resid_post.2 for probe {name!r}, base 'tiny' in float32"
        for name in ("one", "three")
    ]
    assert [str(value) for _, value in next_tokens(host, batch) if isinstance(value, MeasurementError)] == [
        f"NaN or infinite logits for probe {name!r}, base 'tiny' in float32" for name in ("one", "three")
    ]


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
@pytest.mark.parametrize("depth", range(5))
def test_one_row_that_is_not_finite_leaves_its_batch_mates_alone(host: Host, odd: float, depth: int) -> None:
    site = f"resid_post.{depth - 1}" if depth else "resid_pre.0"
    good = Row((5, 9, 40, 41), (), {depth: torch.ones(WIDTH)}, (1, 4))
    bad = Row((7, 8, 60), (), {depth: torch.full((WIDTH,), odd)}, (1, 3), "probe 'bad'")
    found = dict(residuals(host, [good, bad]))
    assert str(found[bad]) == f"NaN or infinite activation at {site} for probe 'bad'"
    assert apart(found[good], dict(residuals(host, [good]))[good]) < 1e-5
