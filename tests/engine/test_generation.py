from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from coherence.engine.generation import Asked, replies, stop_tokens
from coherence.engine.host import Host
from coherence.errors import MeasurementError
from coherence.vocabulary import Decoding

WIDTH, LIMIT = 32, 12
GREEDY, SAMPLED = Decoding(max_new_tokens=LIMIT), Decoding(max_new_tokens=LIMIT, temperature=1.0, seed=3)
STEM = (250, 11, 12)
ENDS = [(5, 9, 40, 41, 77), (7, 8), (60, 3, 17), (100, 200, 300, 20, 21, 22, 23), (44,), (9, 9, 9, 31)]
PROMPTS = [STEM + end for end in ENDS]


def delta(seed: int) -> torch.Tensor:
    return 2 * torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def asked(decoding: Decoding = GREEDY) -> list[Asked]:
    """Prompts of many lengths, bare, steered and under an adapter."""
    bare = [Asked(ids, (), {}, label=str(ids), group="bare", decoding=decoding) for ids in PROMPTS]
    steered = [
        Asked(ids, (), {index % 5: delta(index)}, label="steered", decoding=decoding)
        for index, ids in enumerate(PROMPTS)
    ]
    pirate = (("pirate", 1.0),)
    adapted = [
        Asked(ids, pirate, {}, label="adapter", group="adapter", decoding=decoding) for ids in PROMPTS[:3]
    ]
    return bare + steered + adapted


@pytest.fixture
def ready(host: Host, tiny_adapter: Callable[..., Path]) -> Host:
    """A host whose random model ends its replies early, at tokens that it likes."""
    host.mount("pirate", tiny_adapter("pirate"))
    likes = [naive(host, row)[index] for index, row in enumerate(asked()[:3], start=1)]
    host.model.generation_config.eos_token_id = [host.tokenizer.eos_token_id, *likes]
    return host


def naive(host: Host, row: Asked) -> list[int]:
    """Read everything again for every token, one row at a time."""
    ids: list[int] = []
    for _ in range(row.decoding.max_new_tokens):
        with host.under(row.adapters, [row.deltas]):
            logits = host.model(input_ids=torch.tensor([[*row.ids, *ids]]), use_cache=False).logits
        token = int(logits[0, -1].argmax())
        if token in stop_tokens(host):
            break
        ids.append(token)
    return ids


def text(host: Host, ids: list[int]) -> str:
    return str(host.tokenizer.decode(ids, skip_special_tokens=True)).strip()


def test_replies_are_those_of_reading_everything_again(ready: Host) -> None:
    rows = asked()
    found = dict(replies(ready, rows))
    expected = {row: naive(ready, row) for row in rows}
    assert found == {row: text(ready, ids) for row, ids in expected.items()}
    assert len({len(ids) for ids in expected.values()}) > 3, "rows must end at different times"
    assert any(len(ids) == LIMIT for ids in expected.values())


def test_bare_replies_are_those_of_transformers(ready: Host) -> None:
    rows = asked()[: len(PROMPTS)]
    config = GenerationConfig(
        max_new_tokens=LIMIT, do_sample=False, eos_token_id=sorted(stop_tokens(ready)), pad_token_id=ready.pad
    )
    for row, reply in replies(ready, rows):
        with torch.inference_mode(), ready.under():
            whole = ready.model.generate(torch.tensor([row.ids]), generation_config=config)[0]
        ids = [token for token in whole[len(row.ids) :].tolist() if token not in stop_tokens(ready)]
        assert reply == text(ready, ids)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(data=st.data(), decoding=st.sampled_from([GREEDY, SAMPLED]))
def test_a_reply_does_not_depend_on_its_batch_mates(
    ready: Host, data: st.DataObject, decoding: Decoding
) -> None:
    rows = asked(decoding)
    some = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=6, unique_by=id))
    together = dict(replies(ready, some))
    for row in some:
        assert dict(replies(ready, [row])) == {row: together[row]}


def test_a_sample_depends_on_its_seed_and_its_prompt_alone(host: Host) -> None:
    def sampled(seed: int) -> list[str | MeasurementError]:
        rows = asked(Decoding(max_new_tokens=LIMIT, temperature=1.0, seed=seed))[: len(PROMPTS)]
        found = dict(replies(host, rows))
        return [found[row] for row in rows]

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)
    assert len(set(sampled(1))) == len(PROMPTS)


def test_a_low_temperature_is_greedy(host: Host) -> None:
    cold = asked(Decoding(max_new_tokens=LIMIT, temperature=1e-4))[:2]
    assert [text(host, naive(host, row)) for row in cold] == [dict(replies(host, cold))[row] for row in cold]


def test_samples_follow_the_distribution_of_the_model(host: Host) -> None:
    # 400 first tokens, each from a seed of its own, against the model's own probabilities.
    ids = PROMPTS[0]
    with torch.inference_mode():
        expected = (host.model(input_ids=torch.tensor([ids])).logits[0, -1] / 0.5).softmax(dim=-1)
    likely = int(expected.argmax())
    rows = [
        Asked(ids, (), {}, decoding=Decoding(max_new_tokens=1, temperature=0.5, seed=seed))
        for seed in range(400)
    ]
    hits = sum(reply == text(host, [likely]) for _, reply in replies(host, rows))
    share = expected[likely].item()
    assert 0.05 < share < 0.95
    assert hits / 400 == pytest.approx(share, abs=4 * (share * (1 - share) / 400) ** 0.5)


def test_decodings_do_not_mix(host: Host) -> None:
    short = Asked(PROMPTS[0], (), {}, decoding=Decoding(max_new_tokens=2))
    long = Asked(PROMPTS[1], (), {}, decoding=Decoding(max_new_tokens=9))
    found = dict(replies(host, [short, long]))
    assert found[short] == text(host, naive(host, short))
    assert found[long] == text(host, naive(host, long))


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_a_row_that_is_not_finite_is_an_error_of_its_own(ready: Host, odd: float) -> None:
    good = asked()[:3]
    bad = Asked((7, 8, 9), (), {2: torch.full((WIDTH,), odd)}, label="probe 'bad'", decoding=GREEDY)
    found = dict(replies(ready, [*good, bad]))
    assert str(found.pop(bad)) == "NaN or infinite logits while answering probe 'bad'"
    assert found == {row: text(ready, naive(ready, row)) for row in good}


def test_a_reply_ends_where_the_tokenizer_or_the_model_says(host: Host) -> None:
    host.model.generation_config.eos_token_id = None
    assert stop_tokens(host) == {host.tokenizer.eos_token_id}
    host.model.generation_config.eos_token_id = [7, 8]
    assert stop_tokens(host) == {7, 8, host.tokenizer.eos_token_id}


def test_nothing_is_left_on_the_model(ready: Host) -> None:
    list(replies(ready, asked()[:8]))
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in ready.blocks)
