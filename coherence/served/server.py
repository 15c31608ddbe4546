"""A server as it is judged: who it is, what it lists under which names, and what it can be asked."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coherence.errors import NotExposedError, ServerError, did_you_mean
from coherence.served.client import Client, RefusalError
from coherence.served.dialect import IDS, LOG_PROBS, Chosen, Conversation, Kind, Listed, OpenAi, Said
from coherence.served.llamacpp import LlamaCpp
from coherence.served.vllm import Vllm

WrittenKind = Literal["auto", "vllm", "llamacpp", "openai"]

DIALECTS: Mapping[Kind, type[OpenAi]] = {"vllm": Vllm, "llamacpp": LlamaCpp, "openai": OpenAi}

_VERSIONS: Mapping[Kind, tuple[str, str]] = {
    "vllm": ("/version", "version"),
    "llamacpp": ("/props", "build_info"),
}
"""Where servers of a kind tell their version, and no other kind does, and under which name."""
_NOBODY = "coherence-asks-for-a-model-that-is-not-there"


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
        if self._kind != "auto":
            return DIALECTS[self._kind](self.client, self._version(self._kind))
        for kind in _VERSIONS:
            if version := self._version(kind):
                return DIALECTS[kind](self.client, version)
        return OpenAi(self.client)

    @cached_property
    def models(self) -> Mapping[str, Listed]:
        """What it lists, by id, in its order."""
        return self.dialect.models()

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

    def log_probs(self, model: str, prompt: Sequence[int], reply: Sequence[int]) -> NDArray[np.float32]:
        """Log-probability of each token of a reply, given all before it: float32 [tokens], nats.

        A NotExposedError where the server does not tell them even of the shortest.
        """
        self.require(model)
        with self._trying:
            missing = self._no_log_probs
        if missing:
            raise missing
        return np.array(self.dialect.log_probs(model, prompt, reply), np.float32)

    def reply(self, model: str, conversation: Conversation, decoding: Mapping[str, Any]) -> Said:
        """Let a model answer; what `decoding`, in the words of the protocol, leaves out is the server's."""
        self.require(model)
        return self.dialect.reply(model, conversation, decoding)

    def chosen(self, model: str, conversation: Conversation, tokens: int, top: int) -> Chosen:
        """Let a model answer greedily, and tell which tokens it might have begun with.

        A NotExposedError where the server does not tell them.
        """
        self.require(model)
        return self.dialect.chosen(model, conversation, tokens, top)

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
            self.dialect.log_probs(self.base, *self.dialect.shortest())
        except NotExposedError as problem:
            return problem
        except RefusalError as problem:
            if problem.status in (400, 422) or problem.is_lacking:
                return self.dialect.not_exposed(LOG_PROBS, problem.sentence)
            raise
        return None

    def _version(self, kind: Kind) -> str | None:
        """Ask for the version where servers of a kind tell it."""
        if kind not in _VERSIONS:
            return None
        path, name = _VERSIONS[kind]
        try:
            version = self.client.get(path, "its version").get(name)
        except RefusalError as problem:
            if problem.is_lacking:
                return None
            raise
        return str(version)[:100] if version else None
