"""How a server of OpenAI's protocol is asked, and what it does not tell; other kinds have more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, ClassVar, Literal

from coherence.errors import NotExposedError, ServerError, shortened
from coherence.served.client import Client, Json

Kind = Literal["vllm", "llamacpp", "openai"]

LOG_PROBS = "log-probabilities of a prompt"
IDS = "token ids of a conversation"
REPLY = "a reply"
TOKENS = "log-probabilities of the tokens of a reply"
_LIST = "the list of its models"


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


@dataclass(frozen=True)
class Chosen:
    """What a server answered, and the likeliest of its first tokens, with their log-probabilities in nats."""

    text: str
    likeliest: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Listed:
    """A model that a server lists. An adapter has a parent and a scale where the server says so."""

    id: str
    root: str | None
    parent: str | None
    window: int | None
    scale: float | None = None


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

    def models(self) -> dict[str, Listed]:
        """List what it has, by id, in its order."""
        listed = self.client.get("/v1/models", _LIST).get("data")
        if not isinstance(listed, list):
            raise self.misanswered(_LIST, "no `data`")
        models = {one["id"]: _listed(one) for one in listed if isinstance(one, dict) and "id" in one}
        if not models:
            raise self.misanswered(_LIST, "no model in it")
        return models

    def prompt_ids(self, model: str, conversation: Conversation) -> tuple[int, ...]:
        """Token ids of a conversation, as this server's template and tokenizer write it."""
        raise self.not_exposed(IDS)

    def shortest(self) -> tuple[Sequence[int], Sequence[int]]:
        """Token ids of the least prompt and reply that log-probabilities are asked of."""
        return (0,), (0,)

    def log_probs(self, model: str, prompt: Sequence[int], reply: Sequence[int]) -> tuple[float, ...]:
        """Log-probability of each token of a reply, given the prompt and those before it, in nats."""
        told = self._prompt_log_probs(model, (*prompt, *reply))
        return self.numbers(told, len(reply), after=len(prompt))

    def reply(self, model: str, conversation: Conversation, decoding: Mapping[str, Any]) -> Said:
        """Let it answer. What decoding leaves out is the server's own default."""
        told = {"chat_template_kwargs": dict(conversation.told)} if conversation.told else {}
        request = {
            **self.named(model),
            "messages": list(conversation.messages),
            **decoding,
            **self.beside(told),
        }
        answer = self.client.post("/v1/chat/completions", request, REPLY)
        choice = self.first_choice(answer, REPLY)
        text = mapping(choice.get("message")).get("content")
        if not isinstance(text, str):
            raise self.misanswered(REPLY, "no text in `message.content`")
        prompt = mapping(answer.get("usage")).get("prompt_tokens")
        return Said(text, token_ids(choice.get("token_ids")), prompt if isinstance(prompt, int) else None)

    def chosen(self, model: str, conversation: Conversation, tokens: int, top: int) -> Chosen:
        """Let it answer greedily, and tell which tokens it might have begun with, so many of them."""
        extra = {"chat_template_kwargs": dict(conversation.told)} if conversation.told else {}
        request = {
            **self.named(model),
            "messages": list(conversation.messages),
            "max_tokens": tokens,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": top,
            **self.beside(extra),
        }
        choice = self.first_choice(self.client.post("/v1/chat/completions", request, TOKENS), TOKENS)
        message = mapping(choice.get("message"))
        text = message.get("content") or message.get("refusal") or ""
        places = mapping(choice.get("logprobs")).get("content")
        if not isinstance(places, list) or not places:
            if not text:
                return Chosen("", ())
            raise self.not_exposed(TOKENS, "it answers without them, and says nothing of that")
        listed = map(mapping, mapping(places[0]).get("top_logprobs") or ())
        likeliest = tuple(
            (str(one.get("token")), float(one["logprob"])) for one in listed if _is_number(one.get("logprob"))
        )
        return Chosen(str(text), likeliest)

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

    def named(self, model: str) -> Json:
        """Say which model is asked."""
        return {"model": model}

    def beside(self, told: Json) -> Json:
        """Say what the protocol has no word for: nothing to servers that may refuse it."""
        return {}

    def _prompt_log_probs(self, model: str, ids: Sequence[int]) -> object:
        """List what it tells of each token of a prompt; the first has none."""
        request = {**self.named(model), "prompt": list(ids), "max_tokens": 1, "echo": True, "logprobs": 0}
        answer = self.client.post("/v1/completions", request | {"temperature": 0}, LOG_PROBS)
        return mapping(self.first_choice(answer, LOG_PROBS).get("logprobs")).get("token_logprobs")

    def numbers(self, values: object, count: int, after: int = 0) -> tuple[float, ...]:
        """Read so many log-probabilities, after those of a prompt."""
        if not values:
            raise self.not_exposed(LOG_PROBS, "it answers without them, and says nothing of that")
        if not isinstance(values, list) or len(values) < after + count:
            raise self.misanswered(LOG_PROBS, f"{shortened(values)}, for {after + count} tokens")
        told = values[after : after + count]
        numbers = [float(one) for one in told if _is_number(one)]
        if len(numbers) < count:
            raise self.misanswered(LOG_PROBS, "numbers that are missing or not finite")
        return tuple(numbers)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def token_ids(value: object) -> tuple[int, ...] | None:
    """Take a list of token ids for one, and nothing else."""
    if not isinstance(value, list) or not all(isinstance(one, int) for one in value):
        return None
    return tuple(value)


def mapping(value: object) -> Json:
    """Take what should be an object for one, and anything else for an empty one."""
    return value if isinstance(value, dict) else {}


def _listed(told: Mapping[str, Any]) -> Listed:
    root, parent, window = (told.get(key) for key in ("root", "parent", "max_model_len"))
    return Listed(
        id=str(told["id"]),
        root=str(root) if root else None,
        parent=str(parent) if parent else None,
        window=window if isinstance(window, int) else None,
    )
