from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from worlds.plain import apart

from coherence.engine.batch.budget import Budget
from coherence.engine.batch.rows import Continuation, Exchange, Mean, Patched, Row, Score, Span
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.forward import token_norms
from coherence.engine.model.host import Host
from coherence.errors import MeasurementError, UnforeseenError
from coherence.vocabulary import Decoding

WIDTH, BLOCKS = 32, 4
TOLERANCE = 1e-5  # float32, relative to the largest value
ADAPTERS = [(), (("pirate", 0.5),), (("pirate", 0.7), ("gloomy", -0.5)), (("dora", 1.0),)]
Make = Callable[..., Path]
Measure = Callable[..., dict[Any, Any]]
fixture_too = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A row under some condition; what it wants is named by numbers, see `named`."""
    stem = draw(st.sampled_from([[], [7, 8, 9], [7, 8, 9, 40, 41]]))
    ids = stem + draw(st.lists(st.integers(3, 300), min_size=2, max_size=9))
    scored, spans = draw(st.booleans()), {}
    for place in range(draw(st.integers(0 if scored else 1, 3))):
        first = draw(st.integers(0, len(ids) - 1))
        spans[place] = Span(first, draw(st.integers(first + 1, len(ids))), draw(st.integers(0, BLOCKS)))
    depth, adapters = draw(st.sampled_from([None, 0, 2, 4])), draw(st.sampled_from(ADAPTERS))
    switched = adapters == ADAPTERS[-1]
    last = draw(st.integers(1, len(ids)))
    patched = draw(st.sampled_from([None, (0,), (2, 4)]))
    patch = patched and Patched(
        draw(st.integers(0, len(ids) - 1)), {at: 10 * delta(at + 7) for at in patched}
    )
    return Row(
        tuple(ids),
        () if switched else adapters,
        {} if depth is None else {depth: delta(depth)},
        adapters if switched else (),
        draw(st.sampled_from([None, (adapters, depth)])),
        spans=spans,
        log_probs="scores" if scored else None,
        score=Score(last, lambda log_probs: log_probs),
        patch=patch,
    )


def delta(seed: int) -> Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def named(batch: list[Row]) -> list[Row]:
    """Rows that want the same by names of their own."""
    return [
        replace(
            row,
            spans={(index, place): span for place, span in row.spans.items()},
            log_probs=row.log_probs and (index, row.log_probs),
        )
        for index, row in enumerate(batch)
    ]


batches = st.lists(rows(), min_size=1, max_size=5).map(named)


@pytest.fixture
def mounted(either: Host, tiny_adapter: Make) -> Host:
    host = either
    host.mount("pirate", tiny_adapter("pirate", seed=1))
    host.mount("gloomy", tiny_adapter("gloomy", seed=2, use_rslora=True))
    host.mount("dora", tiny_adapter("dora", seed=3, use_dora=True))
    return host


def naive(host: Host, row: Row) -> dict[Any, Tensor]:
    """What a row wants, from a pass over it alone, at full depth, with PEFT's own switching."""
    with (
        host.switched((*row.adapters, *row.switched)),
        host.steered(row.deltas),
        plainly_patched(host, row.patch),
        Taps(host.blocks, lambda hidden, depth: hidden) as taps,
    ):
        logits = host.model(input_ids=torch.tensor([row.ids])).logits
    hidden = taps.stacked()[0]
    found: dict[Any, Tensor] = {
        name: hidden[: span.through + 1, span.first : span.end].mean(dim=1)
        for name, span in row.spans.items()
    }
    scores = logits[0, len(row.ids) - row.score.last :].log_softmax(dim=-1)
    return found | ({row.log_probs: scores} if row.log_probs else {})


@contextmanager
def plainly_patched(host: Host, patch: Patched | None) -> Iterator[None]:
    """Write residuals over those of a token of a single line, with plain hooks."""

    def written(values: Tensor, hidden: Tensor) -> Tensor:
        assert patch
        return torch.cat([hidden[:, : patch.token], values[None, None], hidden[:, patch.token + 1 :]], dim=1)

    handles = [
        host.blocks[depth - 1].register_forward_hook(
            lambda module, args, output, v=values: written(v, output)
        )
        if depth
        else host.blocks[0].register_forward_pre_hook(lambda module, args, v=values: (written(v, args[0]),))
        for depth, values in (patch.residuals if patch else {}).items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@fixture_too
@given(batch=batches)
def test_all_that_is_wanted_is_what_a_naive_pass_gives(
    mounted: Host, measure: Measure, batch: list[Row]
) -> None:
    found = measure(mounted, batch)
    expected = {name: value for row in batch for name, value in naive(mounted, row).items()}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        assert found[name].dtype == torch.float32
        assert apart(found[name], value) < TOLERANCE


@fixture_too
@given(batch=batches, tokens=st.integers(1, 40))
def test_a_row_does_not_depend_on_its_batch_mates(
    mounted: Host, measure: Measure, batch: list[Row], tokens: int
) -> None:
    together, apart_ = measure(mounted, batch), measure(mounted, batch, budget=Budget(pytest.fail, tokens))
    assert together.keys() == apart_.keys()
    for name, value in together.items():
        assert apart(apart_[name], value) < TOLERANCE


@pytest.mark.parametrize("through", range(BLOCKS + 1))
def test_no_block_is_run_that_nothing_is_read_of(host: Host, measure: Measure, through: int) -> None:
    ran: list[int] = []
    assert host.packs > 0
    for index, block in enumerate(host.blocks):
        block.register_forward_hook(lambda module, args, output, index=index: ran.append(index))
    found = measure(host, [Row((5, 9, 40), spans={"one": Span(0, 3, through)})])
    assert found["one"].shape == (through + 1, WIDTH)
    assert ran == list(range(max(1, through)))
    assert host.model.model.layers is host.blocks


@pytest.mark.parametrize("steered", range(BLOCKS + 1))
@pytest.mark.parametrize("group", [None, "shared"])
def test_steering_beyond_what_is_read_changes_nothing(
    host: Host, measure: Measure, steered: int, group: str | None
) -> None:
    stem = (5, 9, 40)
    batch = [
        Row((*stem, 7), (), {steered: delta(1)}, group=group, spans={"one": Span(3, 4, 1)}),
        Row((*stem, 8), (), {steered: delta(1)}, group=group, spans={"two": Span(3, 4, 2)}),
    ]
    found = measure(host, batch)
    for row in batch:
        for name, value in naive(host, row).items():
            assert apart(found[name], value) < TOLERANCE


def test_adapters_met_first_in_a_shallow_pass_act_on_all_blocks_later(
    mounted: Host, measure: Measure
) -> None:
    both = (("pirate", 1.0), ("gloomy", 1.0))
    measure(mounted, [Row((5, 9), both, spans={"shallow": Span(0, 2, 1)})])
    deep = Row((5, 9), both, spans={"deep": Span(0, 2, BLOCKS)})
    assert apart(measure(mounted, [deep])["deep"], naive(mounted, deep)["deep"]) < TOLERANCE


def test_an_exception_leaves_the_host_as_it_was(mounted: Host, measure: Measure) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    row = Row((5, 9), (("pirate", 1.0),), {1: delta(1)}, spans={"one": Span(0, 2, 2)})
    before = measure(mounted, [row])["one"]
    handle = mounted.blocks[1].register_forward_hook(fail)
    raised = measure(mounted, [row])["one"]
    assert isinstance(raised, UnforeseenError)
    assert isinstance(raised.__cause__, ZeroDivisionError)
    handle.remove()
    assert mounted.model.model.layers is mounted.blocks
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in mounted.model.modules())
    assert torch.equal(measure(mounted, [row])["one"], before)


def test_out_of_memory_changes_no_number(mounted: Host, measure: Measure) -> None:
    def notice(module: object, args: tuple[Tensor, ...], output: Tensor) -> None:
        if output[..., 0].numel() > 25:
            torch.empty(1 << 60, dtype=torch.uint8)

    batch = named(
        [
            Row((7, 8, *range(9, 11 + length)), adapters, group=adapters, spans={0: Span(1, 4, through)})
            for length in range(4)
            for through, adapters in enumerate(ADAPTERS[:3])
        ]
    )
    whole = measure(mounted, batch)
    mounted.blocks[0].register_forward_hook(notice)
    warnings: list[str] = []
    found = measure(mounted, batch, budget=Budget(warnings.append))
    assert warnings[0] == "out of memory with 12 rows of up to 7 tokens; going on with half"
    assert found.keys() == whole.keys()
    for name, value in whole.items():
        assert apart(found[name], value) < TOLERANCE


def test_replies_scores_and_readings_come_from_one_row(host: Host, measure: Measure) -> None:
    row = Row(
        (5, 9, 40),
        spans={"last": Span(2, 3, 2)},
        log_probs="scores",
        continuations=(Continuation(Decoding(max_new_tokens=3), (Exchange("reply", {"mean": Mean(4)}),)),),
    )
    found = measure(host, [row])
    assert found.keys() == {"last", "scores", "reply", "mean"}
    said = (*row.ids, *found["reply"].ids)
    mean = naive(host, Row(said, spans={"mean": Span(3, len(said), 4)}))["mean"]
    assert found["reply"].ids[0] == found["scores"].argmax()
    assert apart(found["mean"], mean) < TOLERANCE


def test_sinks_are_left_out_of_means(host: Host, measure: Measure) -> None:
    # Steered so far at the second depth that tokens are sinks by the norms that are given.
    batch = [
        Row((5, 9, 40), (), {2: 1e6 * delta(1)}, label="probe 'far'", spans={"far": Span(0, 3, 4)}),
        Row((5, 9, 40), label="probe 'near'", spans={"near": Span(0, 3, 4)}),
    ]
    found = measure(host, batch, norms=torch.full((BLOCKS + 1,), 100.0))
    assert str(found["far"]) == (
        "only attention sinks to read at resid_post.1 for probe 'far'; "
        "expected a position with other tokens, such as response_mean"
    )
    assert apart(found["near"], naive(host, batch[1])["near"]) < TOLERANCE


def test_log_probabilities_are_of_one_distribution(host: Host, measure: Measure) -> None:
    found = measure(host, [Row((5, 9), log_probs="scores")])["scores"]
    assert found.dtype == torch.float32
    assert found.exp().sum().item() == pytest.approx(1)


def test_nothing_is_measured_of_nothing(host: Host, measure: Measure) -> None:
    assert measure(host, []) == {}


def test_bfloat16_is_read_as_float32(tiny: Path, measure: Measure) -> None:
    row = Row((5, 9, 40), (), {1: torch.ones(WIDTH)}, spans={"one": Span(1, 3, 4)})
    values = measure(Host.load(tiny, "bfloat16"), [row])["one"]
    assert values.dtype == torch.float32
    assert apart(values, measure(Host.load(tiny, "float32"), [row])["one"]) < 0.05


@fixture_too
@given(prompts=st.lists(st.lists(st.integers(3, 300), min_size=2, max_size=9).map(tuple), min_size=1))
def test_token_norms_are_medians_row_by_row_without_the_first_token(
    host: Host, prompts: list[tuple[int, ...]]
) -> None:
    found = token_norms(host, [Row(ids) for ids in prompts], Budget(pytest.fail, 40))
    assert found.shape == (len(prompts), BLOCKS + 1)
    for ids, norms in zip(prompts, found, strict=True):
        with torch.inference_mode(), Taps(host.blocks, lambda hidden, depth: hidden.norm(dim=-1)) as taps:
            host.core(input_ids=torch.tensor([ids]))
        expected = taps.stacked()[0, :, 1:].quantile(0.5, dim=1)
        assert apart(norms, expected) < TOLERANCE


@pytest.mark.parametrize("labels", [["probe 'long'", "probe 'short'"], ["probe", "probe"]])
def test_token_norms_that_memory_does_not_hold_are_an_error(host: Host, labels: list[str]) -> None:
    def notice(module: object, args: tuple[Tensor, ...], output: Tensor) -> None:
        if output.shape[1] > 3:
            torch.empty(1 << 60, dtype=torch.uint8)

    host.blocks[0].register_forward_hook(notice)
    long, short = Row((5, 9, 40, 41), label=labels[0]), Row((5, 9), label=labels[1])
    with pytest.raises(MeasurementError, match=f"^out of memory with 4 tokens alone, for {labels[0]}$"):
        token_norms(host, [long, short], Budget(lambda sentence: None))


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
@pytest.mark.parametrize("depth", range(BLOCKS + 1))
def test_one_row_that_is_not_finite_leaves_its_batch_mates_alone(
    host: Host, measure: Measure, odd: float, depth: int
) -> None:
    site = f"resid_post.{depth - 1}" if depth else "resid_pre.0"
    good = Row((5, 9, 40, 41), (), {depth: torch.ones(WIDTH)}, spans={"good": Span(1, 4, 4)})
    wrong = {depth: torch.full((WIDTH,), odd)}
    bad = Row((7, 8, 60), (), wrong, label="probe 'bad'", spans={"bad": Span(1, 3, 4)})
    scored = [replace(good, spans={}, log_probs="scores"), replace(bad, spans={}, log_probs="bad scores")]
    found = measure(host, [good, bad, *scored])
    assert str(found["bad"]) == f"NaN or infinite activation at {site} for probe 'bad'"
    assert str(found["bad scores"]) == "NaN or infinite logits for probe 'bad'"
    for row in (good, scored[0]):
        for name, value in naive(host, row).items():
            # Of the next token alone there is no axis of tokens.
            assert apart(found[name], value.squeeze(0)) < TOLERANCE


def test_a_reply_to_a_patched_prompt_is_that_of_its_first_pass(either: Host, measure: Measure) -> None:
    ids = (5, 9, 40, 12)
    row = Row(
        ids,
        patch=Patched(2, {2: 10 * delta(1)}),
        continuations=(Continuation(Decoding(max_new_tokens=4), (Exchange("reply"),)),),
    )
    said: tuple[int, ...] = ()
    while len(said) < 4:
        scored = replace(row, ids=(*ids, *said), log_probs="next", continuations=())
        said = (*said, int(naive(either, scored)["next"].argmax()))
    assert measure(either, [row])["reply"].ids == said
    assert measure(either, [replace(row, patch=None)])["reply"].ids != said
