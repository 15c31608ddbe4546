from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel
from zoo import born, loaded

from coherence.engine.batch.budget import Budget
from coherence.engine.batch.rows import Continuation, Exchange, Row
from coherence.engine.model.choice import TokenChoice, processors
from coherence.engine.model.forward import run
from coherence.engine.model.host import Host
from coherence.plan import Answer
from coherence.vocabulary import Decoding

VOCABULARY = 60
decodings = st.builds(
    Decoding,
    temperature=st.sampled_from([0.3, 1.0, 1.7]),
    top_k=st.integers(0, VOCABULARY + 5),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.5]),
    repetition_penalty=st.sampled_from([0.8, 1.0, 1.3]),
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return born("llama", tmp_path_factory.mktemp("llama")).base


@pytest.fixture(scope="module")
def model(llama: Path) -> PreTrainedModel:
    return loaded(llama)


def of_transformers(model: Any, decoding: Decoding, prompt: int) -> LogitsProcessorList:
    """What `generate` does to logits under the same settings."""
    settings = decoding.model_dump(include={"temperature", "top_k", "top_p", "min_p", "repetition_penalty"})
    config = GenerationConfig(do_sample=decoding.temperature > 0, **settings)
    found: LogitsProcessorList = model._get_logits_processor(
        config, input_ids_seq_length=prompt, model_kwargs={}
    )
    return found


@given(decoding=decodings, context=st.lists(st.integers(0, VOCABULARY - 1), min_size=1), seed=st.integers(0))
def test_logits_become_what_transformers_makes_of_them(
    model: PreTrainedModel, decoding: Decoding, context: list[int], seed: int
) -> None:
    logits = 5 * torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(seed % 2**63))
    ids = torch.tensor([context])
    expected = of_transformers(model, decoding, len(context))(ids, logits.clone())
    assert torch.equal(processors(decoding)(ids, logits.clone()), expected)
    token = TokenChoice(decoding, seed=3).token(context, logits[0])
    assert expected[0, token].isfinite()


def test_without_settings_nothing_is_done_to_logits() -> None:
    assert len(processors(Decoding())) == 0
    assert len(processors(Decoding(temperature=0.7))) == 1


@given(seed=st.integers(0, 10**6))
def test_a_token_is_drawn_as_it_was_before_there_were_filters(seed: int) -> None:
    logits = torch.linspace(-2, 3, VOCABULARY)
    drawn = torch.multinomial(
        (logits / 0.7).softmax(dim=-1), 1, generator=torch.Generator().manual_seed(seed)
    )
    assert TokenChoice(Decoding(temperature=0.7), seed).token([1, 2], logits) == int(drawn)


@pytest.mark.parametrize("family", ["llama", "gemma2", "mamba2"])
@pytest.mark.parametrize("penalty", [1.1, 1.8])
def test_greedy_replies_under_a_penalty_are_those_of_generate(
    family: str, penalty: float, tmp_path: Path
) -> None:
    host = Host.load(born(family, tmp_path).base, "float32")
    decoding = Decoding(max_new_tokens=24, repetition_penalty=penalty)
    prompts = [(250, 11, 12, 5, 9, 40), (250, 11, 12, 7), (60, 3, 17, 77, 77)]
    rows = [
        Row(ids, label=str(ids), continuations=(Continuation(decoding, (Exchange(ids),)),)) for ids in prompts
    ]
    depths = len(host.blocks) + 1
    found: dict[Any, Any] = dict(run(host, rows, torch.full((depths,), torch.inf), Budget(pytest.fail)))
    plain = dict(
        run(
            host,
            [
                Row(ids, continuations=(Continuation(Decoding(max_new_tokens=24), (Exchange(ids),)),))
                for ids in prompts
            ],
            torch.full((depths,), torch.inf),
            Budget(pytest.fail),
        )
    )
    assert found != plain
    config = GenerationConfig(
        max_new_tokens=24,
        do_sample=False,
        repetition_penalty=penalty,
        eos_token_id=host.tokenizer.eos_token_id,
        pad_token_id=host.pad,
    )
    for ids in prompts:
        with host.switched(()):
            whole = host.model.generate(torch.tensor([ids]), generation_config=config)[0]
        said = [token for token in whole[len(ids) :].tolist() if token != host.tokenizer.eos_token_id]
        answer = found[ids]
        assert isinstance(answer, Answer)
        assert list(answer.ids) == said


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.9}, {"top_k": 6}, {"min_p": 0.2}], ids=str)
def test_samples_are_distributed_as_transformers_filters_logits(
    model: PreTrainedModel, settings: dict[str, Any]
) -> None:
    logits = torch.linspace(-3, 2, 12)
    drawn = [
        TokenChoice(draw, draw.seed).token([1], logits)
        for seed in range(50)
        for draw in Decoding(temperature=1.0, seed=seed, samples=64, **settings).draws
    ]
    expected = of_transformers(model, Decoding(temperature=1.0, **settings), 1)(
        torch.tensor([[1]]), logits[None].clone()
    )[0].softmax(dim=-1)
    expected = expected.double() / expected.double().sum()
    kept = expected > 0
    counts = torch.bincount(torch.tensor(drawn), minlength=12)
    assert not counts[~kept].any()
    assert chisquare(counts[kept], len(drawn) * expected[kept]).pvalue > 1e-3
