"""How servers of each kind are asked, and what they do not tell: OpenAI's protocol, and vLLM's additions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar, Literal

from coherence.errors import NotExposedError, ServerError, shortened
from coherence.served.client import Client, Json

Kind = Literal["vllm", "openai"]

LOG_PROBS = "log-probabilities of a prompt"
IDS = "token ids of a conversation"
_REPLY = "a reply"


@dataclass(frozen=True)
class Conversation:
    """Messages that an answer is to follow, and what the chat template is told beside them."""

    messages: tuple[Mapping[str, str], ...]
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """What a server answered: the text, its token ids where they are told, and how long the prompt was."""

    text: str
    ids: tuple[int, ...] | None
    prompt_tokens: int | None


class OpenAi:
    """The protocol as OpenAI has it: replies, and log-probabilities of a prompt where `echo` is answered.

    Whatever is asked may raise a ServerError: of the client, of an answer that is not of the protocol, and a
    NotExposedError of what the kind does not have or what is missing in the answer.
    """

    kind: ClassVar[Kind] = "openai"

    def __init__(self, client: Client, version: str | None = None) -> None:
        self.client = client
        self.version = version

    @property
    def name(self) -> str:
        """The kind and what it says of its version."""
        return f"{self.kind} {self.version}" if self.version else self.kind

    def prompt_ids(self, model: str, conversation: Conversation) -> tuple[int, ...]:
        """Token ids of a conversation, as this server's template and tokenizer write it."""
        raise self.not_exposed(IDS)

    def prompt_log_probs(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
        """Log-probability of each token of a prompt but the first, given those before it, in nats."""
        asked = {"model": model, "prompt": list(ids), "max_tokens": 1, "echo": True, "logprobs": 0}
        answer = self.client.post("/v1/completions", asked | {"temperature": 0}, LOG_PROBS)
        choice = self.first_choice(answer, LOG_PROBS)
        values = _mapping(choice.get("logprobs")).get("token_logprobs")
        return self._numbers(values, ids)

    def reply(self, model: str, conversation: Conversation, decoding: Mapping[str, Any]) -> Said:
        """Let it answer. What decoding leaves out is the server's own default."""
        told = {"chat_template_kwargs": dict(conversation.told)} if conversation.told else {}
        asked = {"model": model, "messages": list(conversation.messages), **decoding, **self._beside(told)}
        answer = self.client.post("/v1/chat/completions", asked, _REPLY)
        choice = self.first_choice(answer, _REPLY)
        text = _mapping(choice.get("message")).get("content")
        if not isinstance(text, str):
            raise self.misanswered(_REPLY, "no text in `message.content`")
        prompt = _mapping(answer.get("usage")).get("prompt_tokens")
        return Said(text, _ids(choice.get("token_ids")), prompt if isinstance(prompt, int) else None)

    def first_choice(self, answer: Json, what: str) -> Json:
        """Return the first of `choices`."""
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise self.misanswered(what, "no `choices`")
        return choices[0]

    def not_exposed(self, what: str, why: str = "") -> NotExposedError:
        """Say that this server does not tell something."""
        because = f": {why}" if why else ""
        return NotExposedError(f"{what}: not exposed by {self.client.address} ({self.name}){because}")

    def misanswered(self, what: str, found: str) -> ServerError:
        """Say that an answer is not of the protocol."""
        return ServerError(
            f"the server at {self.client.address} answers {what} with {found}; "
            f"expected an answer as {self.kind} has it"
        )

    def _beside(self, told: Json) -> Json:
        """Say what the protocol has no word for: nothing to servers that may refuse it."""
        return {}

    def _numbers(self, values: object, ids: Sequence[int]) -> tuple[float, ...]:
        """Read log-probabilities of all tokens but the first, which has none."""
        if not values:
            raise self.not_exposed(LOG_PROBS, "it answers without them, and says nothing of that")
        if not isinstance(values, list) or len(values) < len(ids):
            raise self.misanswered(LOG_PROBS, f"{shortened(values)}, for {len(ids)} tokens")
        numbers = [one for one in values[1 : len(ids)] if isinstance(one, int | float) and isfinite(one)]
        if len(numbers) != len(ids) - 1:
            raise self.misanswered(LOG_PROBS, "numbers that are missing or not finite")
        return tuple(map(float, numbers))


class Vllm(OpenAi):
    """What vLLM has beside: token ids of conversations and replies, and log-probabilities of any prompt."""

    kind: ClassVar[Kind] = "vllm"

    def prompt_ids(self, model: str, conversation: Conversation) -> tuple[int, ...]:
        """Ask `/tokenize`, which renders and tokenizes as a reply does."""
        asked = {
            "model": model,
            "messages": list(conversation.messages),
            "add_generation_prompt": True,
            **self._beside({"chat_template_kwargs": dict(conversation.told)}),
        }
        answer = self.client.post("/tokenize", asked, IDS)
        ids = _ids(answer.get("tokens"))
        if ids is None:
            raise self.misanswered(IDS, f"{shortened(answer.get('tokens'))} as `tokens`")
        return ids

    def prompt_log_probs(self, model: str, ids: Sequence[int]) -> tuple[float, ...]:
        """Ask for `prompt_logprobs`, those of the prompt's own tokens alone."""
        asked = {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        answer = self.client.post("/v1/completions", asked, LOG_PROBS)
        told = self.first_choice(answer, LOG_PROBS).get("prompt_logprobs")
        listed = told if isinstance(told, list) else []
        values = [_own(place, one) for place, one in zip(listed, ids, strict=False)]
        return self._numbers(values, ids)

    def reply(self, model: str, conversation: Conversation, decoding: Mapping[str, Any]) -> Said:
        """Let it answer, and tell the ids of what it says."""
        return super().reply(model, conversation, {**decoding, "return_token_ids": True})

    def _beside(self, told: Json) -> Json:
        return told


DIALECTS: Mapping[Kind, type[OpenAi]] = {"vllm": Vllm, "openai": OpenAi}


def _ids(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(isinstance(one, int) for one in value):
        return None
    return tuple(value)


def _own(place: object, token: int) -> object:
    """Find what a place of `prompt_logprobs` says of the token that stands there."""
    return _mapping(_mapping(place).get(str(token))).get("logprob")


def _mapping(value: object) -> Json:
    """Take what should be an object for one, and anything else for an empty one."""
    return value if isinstance(value, dict) else {}
