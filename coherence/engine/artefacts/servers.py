"""What servers make of an adapter by its config: what they refuse, pass over, or scale in another way.

- vLLM refuses what its helper for PEFT does not know, and weights that are no factors; ranks have a bound:
  https://github.com/vllm-project/vllm/blob/main/vllm/lora/peft_helper.py,
  https://github.com/vllm-project/vllm/issues/9280, https://docs.vllm.ai/en/latest/features/lora/
- SGLang refuses DoRA, and scales by alpha / r whatever the config says:
  https://github.com/sgl-project/sglang/pull/22125, https://github.com/sgl-project/sglang/issues/40835
- Neither begins with the tokens that invoke activated LoRA; llama.cpp and its converter do:
  https://github.com/vllm-project/vllm/pull/19710 (closed), https://github.com/sgl-project/sglang/issues/16942,
  https://github.com/ggml-org/llama.cpp/pull/15327
- The converter of llama.cpp writes the two factors of LoRA and one alpha, and refuses other weights:
  https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py
- Of hosted servers, Fireworks says which ranks and modules it takes, and that it passes over other settings:
  https://fireworks.ai/docs/fine-tuning/fine-tuned-import
"""

from collections.abc import Iterator, Mapping
from typing import Any

_RANK_OF_VLLM = 16
_HOSTED_RANKS = (4, 64)
_ENDS = ("embed_tokens", "lm_head")
_MERGED = "merge it into the base to serve it there"
_NO_FACTORS = "which vLLM and the converter of llama.cpp refuse, and hosted servers may pass over"
_SETTINGS = {
    "use_dora": "is a DoRA adapter, which vLLM, SGLang and the converter of llama.cpp refuse, and hosted "
    "servers may take for plain LoRA",
    "use_rslora": "is an rsLoRA adapter, whose scale is alpha / r in SGLang and llama.cpp, and may be in "
    "hosted servers",
    "lora_bias": f"has biases, {_NO_FACTORS}",
    "modules_to_save": f"has whole modules beside its factors (modules_to_save), {_NO_FACTORS}",
    "trainable_token_indices": "has rows of embeddings beside its factors (trainable_token_indices), "
    f"{_NO_FACTORS}",
    "alpha_pattern": "sets alpha_pattern, which llama.cpp, older versions of vLLM and SGLang, and hosted "
    "servers may pass over",
    "rank_pattern": "sets rank_pattern, which older versions of vLLM and SGLang, and hosted servers may pass "
    "over",
}


def served(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what servers would not serve as it was trained, and what to do, by a config as PEFT writes it."""
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        yield (
            f"is an adapter of the kind {kind}; vLLM, SGLang, the converter of llama.cpp and hosted servers "
            "take LoRA alone",
            "serve it by PEFT, or merge it into the base where PEFT can",
        )
        return
    if config.get("alora_invocation_tokens"):
        yield (
            "is activated LoRA, which vLLM, SGLang and hosted servers may put under all of a prompt, and not "
            "from the tokens on that invoke it",
            "serve it by PEFT or llama.cpp",
        )
    for setting, remark in _SETTINGS.items():
        if config.get(setting):
            yield remark, _MERGED
    yield from _at_the_ends(config.get("target_modules"))
    rank = config.get("r")
    if isinstance(rank, int):
        yield from _of_rank(rank)


def _at_the_ends(modules: object) -> Iterator[tuple[str, str]]:
    named = {str(name).rpartition(".")[2] for name in modules} if isinstance(modules, list) else set()
    ends = [end for end in _ENDS if end in named]
    if ends:
        yield (
            f"changes {' and '.join(ends)}; hosted servers may take the projections of attention and "
            "feed-forward layers alone",
            _MERGED,
        )


def _of_rank(rank: int) -> Iterator[tuple[str, str]]:
    if rank > _RANK_OF_VLLM:
        yield (
            f"has rank {rank}; vLLM serves ranks up to {_RANK_OF_VLLM} unless it is told otherwise",
            f"start it with --max-lora-rank {rank}",
        )
    least, most = _HOSTED_RANKS
    if not least <= rank <= most:
        yield f"has rank {rank}; hosted servers may take ranks from {least} to {most} alone", _MERGED
