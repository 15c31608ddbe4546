"""How much arithmetic a collection needs, and how much this machine can do."""

import time

import torch
from naive import Naive
from work import Work

from coherence.engine.model.blocks import truncated
from coherence.plan import Condition

ROW = 64
SIDES = (512, 1024, 2048, 3072)


def needed_flops(naive: Naive, work: Work) -> float:
    """Count 2 per weight and token, and attention, up to the deepest site, each token after equal ones once.

    Tokens are equal when their adapters, their steering and all tokens before them are. LoRA is not counted.
    """
    config = naive.model.config
    blocks = naive.blocks[: max(work.blocks) + 1]
    weights = sum(
        weight.numel()
        for name, weight in blocks.named_parameters()
        if weight.ndim == 2 and "lora_" not in name
    )
    positions = [len(beginning) for _, beginning in _beginnings(naive, work)]
    attended: int = 4 * config.num_attention_heads * config.head_dim * len(blocks)
    return 2.0 * weights * len(positions) + attended * float(sum(positions))


def _beginnings(naive: Naive, work: Work) -> set[tuple[object, tuple[int, ...]]]:
    return {
        ((condition.adapters, condition.steers), ids[:end])
        for condition, ids in token_ids(naive, work)
        for end in range(1, len(ids) + 1)
    }


def token_ids(naive: Naive, work: Work) -> list[tuple[Condition, tuple[int, ...]]]:
    """Return every prompt of the work under its condition."""
    rows = [
        (condition, text) for condition, probes in work.batches(1) for text in naive.texts(condition, probes)
    ]
    return [
        (condition, tuple(naive.tokenizer(text, add_special_tokens=False)["input_ids"]))
        for condition, text in rows
    ]


def plain_forward(naive: Naive, work: Work) -> None:
    """Run as many made-up tokens as the work needs through the same blocks, in one batch; read nothing."""
    model = naive.model.get_base_model()
    ids = torch.randint(model.config.vocab_size, (len(_beginnings(naive, work)) // ROW, ROW))
    with (
        torch.inference_mode(),
        naive.model.disable_adapter(),
        truncated(model, naive.blocks, max(work.blocks) + 1),
    ):
        model.get_decoder()(input_ids=ids, use_cache=False)


def peak_flops(repeats: int = 3) -> float:
    """Multiply square fp32 matrices; the best of all sizes and repeats, per second."""
    return max(_matmul(side) for side in SIDES for _ in range(repeats))


def _matmul(side: int) -> float:
    left, right = torch.randn(side, side), torch.randn(side, side)
    started = time.perf_counter()
    left @ right
    return 2 * side**3 / (time.perf_counter() - started)
