"""The choice of the next token: what transformers does to logits before one is taken, and how one is."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from coherence.vocabulary import Decoding


class TokenChoice:
    """Takes the likeliest token, or draws one by a generator of its own."""

    def __init__(self, decoding: Decoding, seed: int) -> None:
        self._draws = decoding.temperature > 0
        self._generator = torch.Generator().manual_seed(seed)
        self._processors = processors(decoding)

    def token(self, context: Sequence[int], logits: Tensor) -> int:
        """Id of the token after a context, by its float32 logits [vocabulary]."""
        ids: Any = torch.tensor([context])
        given: Any = logits[None]
        scores: Tensor = self._processors(ids, given)[0]
        if not self._draws:
            return int(scores.argmax())
        return int(torch.multinomial(scores.softmax(dim=-1), 1, generator=self._generator))


def processors(decoding: Decoding) -> LogitsProcessorList:
    """Return what is done to logits, in the order of `generate`; nothing where a setting does nothing."""
    processors = LogitsProcessorList()
    if decoding.repetition_penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty))
    if decoding.temperature:
        processors.append(TemperatureLogitsWarper(decoding.temperature))
    if decoding.top_k:
        processors.append(TopKLogitsWarper(decoding.top_k))
    if decoding.top_p < 1:
        processors.append(TopPLogitsWarper(decoding.top_p))
    if decoding.min_p:
        processors.append(MinPLogitsWarper(decoding.min_p))
    return processors
