from collections.abc import Callable
from math import inf
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coherence.engine.batch.rows import Arrangement, Continuation, Exchange, Row, Span
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError
from coherence.vocabulary import Decoding

LIMIT = 6
BETWEEN = (5, 9)
TEXTS = [(7, 60, 9, 33, 12), (40, 3), (17, 5, 8)]

Change = Callable[[Tensor], Tensor]
Measure = Callable[..., dict[Any, Any]]


def carried(hidden: Tensor) -> Tensor:
    """What comes before a token in its line, padding and other rows among it: a state that nobody resets."""
    return hidden + hidden.cumsum(dim=1) / torch.arange(1, hidden.shape[1] + 1)[:, None]


def foreseen(hidden: Tensor) -> Tensor:
    return hidden + hidden.mean(dim=1, keepdim=True)


def forgotten(hidden: Tensor) -> Tensor:
    """What depends on how many tokens are run at once: a state that a cache does not keep."""
    return hidden + torch.arange(hidden.shape[1], 0, -1).flip(0)[:, None] / 10


@pytest.fixture
def fresh(host: Host) -> Host:
    """The tiny model, of which nothing has been tried."""
    return Host(host.model, host.tokenizer)


def plant(host: Host, change: Change) -> None:
    host.blocks[1].register_forward_hook(lambda module, args, output: change(output))


def test_rows_are_packed_and_padded_where_attention_is_all(fresh: Host) -> None:
    assert (fresh.packs, fresh.unpacked, fresh.reads_in_part) == (inf, Arrangement.PADDED, True)


@pytest.mark.parametrize("change", [carried, forgotten])
def test_where_rows_and_padding_are_seen_each_row_is_run_alone(fresh: Host, change: Change) -> None:
    plant(fresh, change)
    assert (fresh.packs, fresh.unpacked) == (0, Arrangement.ALONE)


@pytest.mark.parametrize("change", [carried, forgotten])
def test_a_row_that_is_run_alone_gives_the_models_own_numbers(
    fresh: Host, measure: Measure, change: Change
) -> None:
    plant(fresh, change)
    rows = [
        Row(
            ids,
            label=str(ids),
            spans={(ids, "last"): Span(len(ids) - 1, len(ids), 4)},
            continuations=talk(ids),
        )
        for ids in TEXTS
    ]
    found = measure(fresh, rows)
    for ids in TEXTS:
        with torch.inference_mode(), Taps(fresh.blocks, lambda hidden, depth: hidden[:, -1]) as taps:
            fresh.model(input_ids=torch.tensor([ids]))
        torch.testing.assert_close(found[ids, "last"], taps.stacked()[0])
        first = greedy(fresh, ids)
        assert found[ids, "first"].ids == first
        assert found[ids, "second"].ids == greedy(fresh, (*ids, *first, *BETWEEN))


def talk(ids: tuple[int, ...]) -> tuple[Continuation, ...]:
    turns = (Exchange((ids, "first")), Exchange((ids, "second"), before=BETWEEN))
    return (Continuation(Decoding(max_new_tokens=LIMIT), turns),)


def greedy(fresh: Host, ids: tuple[int, ...]) -> tuple[int, ...]:
    said = list[int]()
    while len(said) < LIMIT:
        with torch.inference_mode():
            token = int(
                fresh.model(input_ids=torch.tensor([[*ids, *said]]), use_cache=False).logits[0, -1].argmax()
            )
        if token in {fresh.tokenizer.eos_token_id, fresh.model.generation_config.eos_token_id}:
            break
        said.append(token)
    return tuple(said)


def test_a_model_that_sees_what_comes_later_is_refused(fresh: Host) -> None:
    plant(fresh, foreseen)
    with pytest.raises(
        ArtefactError,
        match=r"^is of the type llama, which cannot be read token by token, not even one row at a time: "
        r"logits of prompts differ; expected a causal language model$",
    ):
        _ = fresh.unpacked


def test_a_model_without_one_residual_stream_is_refused(fresh: Host) -> None:
    fresh.width = 16
    with pytest.raises(
        ArtefactError, match=r"^passes values of the shape \[1, \d+, 32\] between its blocks; "
    ):
        _ = fresh.packs


def test_a_model_that_cannot_be_called_is_refused(fresh: Host) -> None:
    fresh.blocks[1].register_forward_hook(lambda module, args, output: [][1])
    with pytest.raises(ArtefactError, match=r"^cannot be run: list index out of range$"):
        _ = fresh.packs


def test_numbers_that_are_not_finite_are_left_to_measurements(fresh: Host) -> None:
    plant(fresh, lambda hidden: hidden * torch.nan)
    assert (fresh.packs, fresh.unpacked, fresh.reads_in_part) == (0, Arrangement.PADDED, True)


def test_a_model_that_cannot_end_early_is_read_as_a_whole(fresh: Host, measure: Measure) -> None:
    whole = measure(fresh, [Row((7, 60, 9), spans={"read": Span(1, 3, 1)})])

    def counted(module: nn.Module, args: Any) -> None:
        assert len(module.layers) == 4  # type: ignore[arg-type]

    del fresh.reads_in_part
    fresh.core.register_forward_pre_hook(counted)
    assert not fresh.reads_in_part
    found = measure(fresh, [Row((7, 60, 9), spans={"read": Span(1, 3, 1)})])
    torch.testing.assert_close(found, whole)
