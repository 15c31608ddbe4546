"""A server as it is judged: who it is, what it lists under which names, and what it can be asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coherence.errors import NotExposedError, ServerError, did_you_mean
from coherence.served.client import Client, RefusalError
from coherence.served.dialect import (
    DIALECTS,
    IDS,
    LOG_PROBS,
    Conversation,
    Kind,
    OpenAi,
    Said,
)

WrittenKind = Literal["auto", "vllm", "openai"]

_LIST = "the list of its models"
_NOBODY = "coherence-asks-for-a-model-that-is-not-there"


@dataclass(frozen=True)
class Listed:
    """A model that a server lists. An adapter has a parent where the server says so."""

    id: str
    root: str | None
    parent: str | None
    window: int | None


class Server:
    """A client with the dialect of the server's kind, which `auto` finds out by asking.

    Whatever is asked first may raise a ServerError, as the client does.
    """

    def __init__(self, client: Client, kind: WrittenKind = "auto") -> None:
        self.client = client
        self._kind = kind
        self._trying = Lock()

    @cached_property
    def dialect(self) -> OpenAi:
        """How it is asked."""
        version = self._version()
        kind: Kind = self._kind if self._kind != "auto" else ("vllm" if version else "openai")
        return DIALECTS[kind](self.client, version)

    @cached_property
    def models(self) -> Mapping[str, Listed]:
        """What it lists, by id, in its order."""
        listed = self.client.get("/v1/models", _LIST).get("data")
        if not isinstance(listed, list):
            raise self.dialect.misanswered(_LIST, "no `data`")
        found = {one["id"]: _listed(one) for one in listed if isinstance(one, dict) and "id" in one}
        if not found:
            raise self.dialect.misanswered(_LIST, "no model in it")
        return found

    @cached_property
    def base(self) -> str:
        """The model that is no adapter: the only one without a parent, or the first that is listed."""
        parents = {one.parent for one in self.models.values() if one.parent}
        named = next((one for one in self.models if one in parents), None)
        return named or next(iter(self.models))

    @property
    def identity(self) -> dict[str, Any]:
        """What identifies it: its URL, its kind, its version."""
        return {"url": str(self.client.address), "kind": self.dialect.kind, "version": self.dialect.version}

    def prompt_ids(self, model: str, conversation: Conversation) -> tuple[int, ...]:
        """Token ids of a conversation as the server writes it; a NotExposedError where it does not tell."""
        self.require(model)
        try:
            return self.dialect.prompt_ids(model, conversation)
        except RefusalError as problem:
            if problem.is_lacking:
                raise self.dialect.not_exposed(IDS, problem.sentence) from None
            raise

    def log_probs(self, model: str, ids: Sequence[int]) -> NDArray[np.float32]:
        """Log-probability of each token but the first, given those before it: float32 [tokens - 1], nats.

        A NotExposedError where the server does not tell them even of two tokens.
        """
        self.require(model)
        with self._trying:
            missing = self._no_log_probs
        if missing:
            raise missing
        return np.array(self.dialect.prompt_log_probs(model, ids), np.float32)

    def reply(self, model: str, conversation: Conversation, decoding: Mapping[str, Any]) -> Said:
        """Let a model answer; what `decoding`, in the words of the protocol, leaves out is the server's."""
        self.require(model)
        return self.dialect.reply(model, conversation, decoding)

    def refuses(self, name: str = _NOBODY) -> bool:
        """Whether it refuses to answer under a name that it does not list."""
        try:
            self.dialect.reply(name, Conversation(({"role": "user", "content": "Hello"},)), {"max_tokens": 1})
        except RefusalError:
            return True
        return False

    def require(self, model: str) -> Listed:
        """Find what it lists under a name; a ServerError lists what there is."""
        if model not in self.models:
            hint = did_you_mean(model, self.models)
            raise ServerError(f"the server at {self.client.address} lists no model {model!r}{hint}")
        return self.models[model]

    @cached_property
    def _no_log_probs(self) -> NotExposedError | None:
        """Ask for the least that there is: what is refused then is not about the prompt."""
        try:
            self.dialect.prompt_log_probs(self.base, (0, 0))
        except NotExposedError as problem:
            return problem
        except RefusalError as problem:
            if problem.status in (400, 422) or problem.is_lacking:
                return self.dialect.not_exposed(LOG_PROBS, problem.sentence)
            raise
        return None

    def _version(self) -> str | None:
        """Ask for the version, which vLLM tells at a path of its own."""
        if self._kind == "openai":
            return None
        try:
            version = self.client.get("/version", "its version").get("version")
        except RefusalError as problem:
            if problem.is_lacking:
                return None
            raise
        return str(version)[:100] if version else None


def _listed(told: Mapping[str, Any]) -> Listed:
    root, parent, window = (told.get(key) for key in ("root", "parent", "max_model_len"))
    return Listed(
        id=str(told["id"]),
        root=str(root) if root else None,
        parent=str(parent) if parent else None,
        window=window if isinstance(window, int) else None,
    )
