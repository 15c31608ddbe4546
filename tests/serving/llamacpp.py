"""The same server as llama.cpp speaks: LoRA by its place, no prompt scored, replies that a grammar makes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from serving.server import RefusedError, Serving

_TOKEN = re.compile(r"<\[(\d+)\]>")


class LlamaCpp(Serving):
    """Serves adapters that it calls by file and place; `scale` is that of all of them.

    As llama.cpp's server does (b11549), it passes over names of models and places that it does not have, and
    an empty list of adapters is none: all that it was started with are applied, here the first of them.
    """

    scale = 1.0

    def get(self, path: str) -> Any:
        """Answer what is asked without a body."""
        if path == "/props":
            return {"build_info": "b0-test", "model_alias": self.base_name, "total_slots": 1}
        if path == "/lora-adapters":
            return [
                {"id": place, "path": f"loras/{name}.gguf", "scale": self.scale, "task_name": ""}
                for place, name in enumerate(self.names)
            ]
        if path == "/v1/models":
            return {"object": "list", "data": [{"id": self.base_name, "owned_by": "llamacpp"}]}
        raise RefusedError(404, "File Not Found")

    def post(self, path: str, request: Mapping[str, Any]) -> Any:
        """Answer what is asked with a body."""
        routes = {
            "/apply-template": self._templated,
            "/tokenize": self._spelled,
            "/completion": self._completed,
            "/v1/chat/completions": self._chat,
        }
        if path not in routes:
            raise RefusedError(404, "File Not Found")
        return routes[path](request)

    def _adapter(self, request: Mapping[str, Any]) -> str | None:
        started_with = [{"id": place, "scale": self.scale} for place in range(len(self.names))]
        scales = {one["id"]: one["scale"] for one in request.get("lora") or started_with}
        return next((one for place, one in enumerate(self.names.values()) if scales.get(place)), self.always)

    def _templated(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"prompt": self.model.tokenizer.decode(self._of_messages(request))}

    def _spelled(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"tokens": self._of_text(str(request["content"]))}

    def _completed(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Say what the grammar has, one token after the other, and how likely each was."""
        prompt, reply = list(request["prompt"]), [*map(int, _TOKEN.findall(request["grammar"]))]
        self._require_room(prompt, len(reply))
        if self.model.tokenizer.eos_token_id in reply:
            raise RefusedError(500, "got exception: Unexpected empty grammar stack after accepting piece")
        ids = [*prompt, *reply]
        values = self.model.prompt_log_probs(self._adapter(request), ids, self.faults)[len(prompt) - 1 :]
        return {"content": "", "completion_probabilities": _places(reply, values)}


def _places(reply: Sequence[int], values: Sequence[float]) -> list[dict[str, Any]]:
    return [{"id": one, "logprob": value} for one, value in zip(reply, values, strict=True)]
