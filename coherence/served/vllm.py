"""vLLM: token ids of conversations and replies, and log-probabilities of any prompt."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from coherence.errors import shortened
from coherence.served.client import Json
from coherence.served.dialect import IDS, LOG_PROBS, Conversation, Kind, OpenAi, Said, mapping, token_ids


class Vllm(OpenAi):
    """What vLLM has beside OpenAI's protocol."""

    kind: ClassVar[Kind] = "vllm"

    def prompt_ids(self, model: str, conversation: Conversation) -> tuple[int, ...]:
        """Ask `/tokenize`, which renders and tokenizes as a reply does."""
        request = {
            **self.named(model),
            "messages": list(conversation.messages),
            "add_generation_prompt": True,
            **self.beside({"chat_template_kwargs": dict(conversation.told)}),
        }
        answer = self.client.post("/tokenize", request, IDS)
        ids = token_ids(answer.get("tokens"))
        if ids is None:
            raise self.misanswered(IDS, f"{shortened(answer.get('tokens'))} as `tokens`")
        return ids

    def reply(self, model: str, conversation: Conversation, decoding: Mapping[str, Any]) -> Said:
        """Let it answer, and tell the ids of what it says."""
        return super().reply(model, conversation, {**decoding, "return_token_ids": True})

    def beside(self, told: Json) -> Json:
        """Say it as it is: what vLLM does not know it passes over."""
        return told

    def _prompt_log_probs(self, model: str, ids: Sequence[int]) -> object:
        """Ask for `prompt_logprobs`, those of the prompt's own tokens alone."""
        request = {**self.named(model), "prompt": list(ids), "max_tokens": 1, "temperature": 0}
        answer = self.client.post("/v1/completions", {**request, "prompt_logprobs": 0}, LOG_PROBS)
        told = self.first_choice(answer, LOG_PROBS).get("prompt_logprobs")
        listed = told if isinstance(told, list) else []
        return [_own(place, one) for place, one in zip(listed, ids, strict=False)]


def _own(place: object, token: int) -> object:
    """Find what a place of `prompt_logprobs` says of the token that stands there."""
    return mapping(mapping(place).get(str(token))).get("logprob")
