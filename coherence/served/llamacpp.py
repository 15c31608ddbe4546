"""llama.cpp's server: LoRA by its place in a list, and log-probabilities of what a grammar makes it say.

It scores no prompt (`echo` is refused), but tells the log-probability of each token that it says, as it was
before anything chose among tokens. A grammar of token ids makes it say a given reply and nothing else:
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md and grammars/README.md there.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, ClassVar

from coherence.errors import shortened
from coherence.served.client import Json
from coherence.served.dialect import (
    IDS,
    LOG_PROBS,
    Conversation,
    Kind,
    Listed,
    OpenAi,
    Said,
    mapping,
    token_ids,
)

_ADAPTERS = "the list of its adapters"
_SPELLED = {"repetition_penalty": "repeat_penalty"}


class LlamaCpp(OpenAi):
    """A server with one base; each LoRA that it was started with is known by the name of its file."""

    kind: ClassVar[Kind] = "llamacpp"

    def models(self) -> dict[str, Listed]:
        """Its base, and its adapters by the names of their files."""
        base = self._base
        adapters = (
            Listed(name, root=str(one.get("path")), parent=base.id, window=base.window, scale=_scale(one))
            for name, one in self._adapters.items()
        )
        return {one.id: one for one in (base, *adapters)}

    def prompt_ids(self, model: str, conversation: Conversation) -> tuple[int, ...]:
        """Ask `/apply-template`, and `/tokenize` for what it writes, as a reply does."""
        request = {"messages": list(conversation.messages), "chat_template_kwargs": dict(conversation.told)}
        prompt = self.client.post("/apply-template", request, IDS).get("prompt")
        if not isinstance(prompt, str):
            raise self.misanswered(IDS, "no text in `prompt`")
        return self._tokenized(prompt)

    def shortest(self) -> tuple[Sequence[int], Sequence[int]]:
        """Ask for tokens of a text: the first of a vocabulary may be one that ends a reply."""
        ids = self._tokenized("a b")
        return ids[:1], ids[-1:]

    def log_probs(self, model: str, prompt: Sequence[int], reply: Sequence[int]) -> tuple[float, ...]:
        """Let it say the reply, and tell how likely each token was."""
        grammar = " ".join(f"<[{token}]>" for token in reply)
        request = {
            **self.named(model),
            "prompt": list(prompt),
            "n_predict": len(reply),
            "grammar": f"root ::= {grammar}",
            "n_probs": 1,
            "temperature": 0,
        }
        told = self.client.post("/completion", request, LOG_PROBS).get("completion_probabilities")
        places = [mapping(one) for one in told] if isinstance(told, list) else []
        spoken = [one.get("id") for one in places]
        if places and spoken != list(reply):
            raise self.misanswered(
                LOG_PROBS, f"those of tokens {shortened(spoken)}, for {shortened([*reply])}"
            )
        return self.numbers([one.get("logprob") for one in places], len(reply))

    def reply(self, model: str, conversation: Conversation, decoding: Mapping[str, Any]) -> Said:
        """Let it answer, told in its own words."""
        spelled = {_SPELLED.get(name, name): value for name, value in decoding.items()}
        return super().reply(model, conversation, spelled)

    def named(self, model: str) -> Json:
        """Ask for an adapter at the scale that the server gives it, or whole where it waits to be asked for.

        All others are asked for at 0: with an empty list, as with none, all it was started with are applied.
        A name that it does not list is asked for by a place that its list does not have.
        """
        scales = {one["id"]: _scale(one) * (name == model) for name, one in self._adapters.items()}
        if model not in (self._base.id, *self._adapters):
            scales[len(scales)] = 1.0
        return {"model": model, "lora": [{"id": place, "scale": scale} for place, scale in scales.items()]}

    def beside(self, told: Json) -> Json:
        """Say it as it is: what it does not know it passes over."""
        return told

    @cached_property
    def _base(self) -> Listed:
        return next(iter(super().models().values()))

    @cached_property
    def _adapters(self) -> dict[str, Json]:
        told = map(mapping, self.client.get_list("/lora-adapters", _ADAPTERS))
        return {PurePosixPath(str(one.get("path"))).stem: one for one in told if "id" in one}

    def _tokenized(self, text: str) -> tuple[int, ...]:
        request = {"content": text, "add_special": True, "parse_special": True}
        told = self.client.post("/tokenize", request, IDS).get("tokens")
        ids = token_ids(told)
        if ids is None:
            raise self.misanswered(IDS, f"{shortened(told)} as `tokens`")
        return ids


def _scale(adapter: Json) -> float:
    """Take the server's own scale; one that waits to be asked for has 0."""
    scale = adapter.get("scale")
    return float(scale) if isinstance(scale, int | float) and scale else 1.0
