"""A server of the OpenAI protocol on the loopback, as vLLM speaks it: a real model behind real HTTP.

For tests, CI and benchmarks alone. Faults are switched on one by one, while it runs. By hand:

    PYTHONPATH=tests python tests/serving/server.py BASE --adapter pirate=FOLDER [--fault "scale doubled"]
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal, Self

import torch
from serving.fault import Fault
from serving.served_model import ServedModel

Speaks = Literal["vllm", "openai"]

_INJECTED = "You are a helpful assistant named Vega, made by a company that is not named."
_ANOTHER_DAY = "{% macro strftime_now(format) %}01 Jan 2031{% endmacro %}"
_TOP = 20


class RefusedError(Exception):
    """A request that is answered with an error, as vLLM says it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Serving:
    """A base and adapters under their names. `url` is known once it was entered; `faults` may change.

    With `always`, the name of one of the model's vectors, that is in all that is answered as the base.
    """

    def __init__(
        self,
        model: ServedModel,
        base_name: str = "base",
        *,
        key: str | None = None,
        window: int | None = None,
        speaks: Speaks = "vllm",
        names: Mapping[str, str] | None = None,
        always: str | None = None,
    ) -> None:
        self.model, self.base_name, self.key, self.speaks = model, base_name, key, speaks
        self.always = always
        self.window = window or model.window
        self.names = {name: name for name in model.adapters} if names is None else dict(names)
        self.faults: frozenset[Fault] = frozenset()
        self.requests: list[str] = []
        self._cache: dict[tuple[int, ...], Any] = {}

    @classmethod
    def of(cls, base: Path, adapters: Mapping[str, Path], **settings: Any) -> Self:
        return cls(ServedModel(base, adapters), **settings)

    def __enter__(self) -> Self:
        serving: Serving = self

        class Handler(_Handler):
            server_of = serving

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def faulty(self, *faults: Fault) -> Iterator[None]:
        """Do something wrong for a while."""
        before, self.faults = self.faults, frozenset(faults)
        self._cache.clear()
        try:
            yield
        finally:
            self.faults = before

    def get(self, path: str) -> dict[str, Any]:
        if path == "/v1/models":
            return {"object": "list", "data": list(self._models())}
        if path == "/version" and self.speaks == "vllm":
            return {"version": "0.0.test"}
        raise RefusedError(404, "Not Found")

    def post(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        routes = {"/v1/completions": self._completion, "/v1/chat/completions": self._chat}
        if self.speaks == "vllm" and Fault.IDS_MISSING not in self.faults:
            routes["/tokenize"] = self._tokenized
        if path not in routes:
            raise RefusedError(404, "Not Found")
        return routes[path](asked)

    def _models(self) -> Iterator[dict[str, Any]]:
        yield {"id": self.base_name, "object": "model", "root": "base", "max_model_len": self.window}
        for name in self.names:
            parent = {"parent": self.base_name} if self.speaks == "vllm" else {}
            yield {"id": name, "object": "model", "root": name, **parent}

    def _adapter(self, asked: Mapping[str, Any]) -> str | None:
        name = asked.get("model")
        if name == self.base_name:
            return self.always
        if name in self.names:
            return self.names[name]
        if Fault.UNKNOWN_SERVED in self.faults:
            return None
        raise RefusedError(404, f"The model `{name}` does not exist.")

    def _tokenized(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._adapter(asked)
        ids = self._of_messages(asked) if "messages" in asked else self._of_text(str(asked["prompt"]))
        return {"count": len(ids), "max_model_len": self.window, "tokens": ids}

    def _completion(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        adapter, prompt = self._adapter(asked), asked["prompt"]
        ids = list(prompt) if isinstance(prompt, list) else self._of_text(prompt)
        self._require_room(ids, int(asked.get("max_tokens", 16)))
        if asked.get("prompt_logprobs") is None and not asked.get("echo"):
            return self._answer(adapter, ids, asked, "text_completion")
        if self.speaks != "vllm" or Fault.TOP_ONLY in self.faults:
            raise RefusedError(400, "prompt log-probabilities are not supported by this server")
        choice: dict[str, Any] = {"index": 0, "text": "", "finish_reason": "length"}
        if Fault.ECHO_MISSING not in self.faults:
            values = self._cached(ids, lambda: self.model.prompt_log_probs(adapter, ids, self.faults))
            told = ({str(one): {"logprob": value}} for one, value in zip(ids[1:], values, strict=True))
            choice["prompt_logprobs"] = [None, *told]
        return self._closed("text_completion", asked, choice, ids, 0)

    def _chat(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        adapter = self._adapter(asked)
        return self._answer(adapter, self._of_messages(asked), asked, "chat.completion")

    def _answer(
        self, adapter: str | None, ids: list[int], asked: Mapping[str, Any], what: str
    ) -> dict[str, Any]:
        most = int(asked.get("max_tokens", 16))
        self._require_room(ids, most)
        settings = self._settings(asked) | {"max_new_tokens": most}
        said = self._cached(ids, lambda: self.model.reply(adapter, ids, settings, self.faults))
        ends = {self.model.tokenizer.eos_token_id}
        stopped = bool(said) and said[-1] in ends
        text = self.model.tokenizer.decode(said, skip_special_tokens=True)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if stopped else "length"}
        if what == "chat.completion":
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        if asked.get("return_token_ids") and self.speaks == "vllm" and Fault.IDS_MISSING not in self.faults:
            choice |= {"token_ids": said, "prompt_token_ids": ids}
        if asked.get("logprobs"):
            top = self.model.top(adapter, ids, _TOP, self.faults)
            choice["logprobs"] = self._in_chat(top) if what == "chat.completion" else self._in_text(top)
        return self._closed(what, asked, choice, ids, len(said))

    def _in_chat(self, top: Sequence[tuple[int, float]]) -> dict[str, Any]:
        told = [{"token": self.model.tokenizer.decode([one]), "logprob": value} for one, value in top]
        return {"content": [{**told[0], "top_logprobs": told}]}

    def _in_text(self, top: Sequence[tuple[int, float]]) -> dict[str, Any]:
        return {"top_logprobs": [{str(one): value for one, value in top}]}

    def _closed(
        self, what: str, asked: Mapping[str, Any], choice: Mapping[str, Any], ids: Sequence[int], said: int
    ) -> dict[str, Any]:
        usage = {"prompt_tokens": len(ids), "completion_tokens": said, "total_tokens": len(ids) + said}
        return {"object": what, "model": asked.get("model"), "choices": [choice], "usage": usage}

    def _settings(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        temperature = float(asked.get("temperature", 1.0))
        if Fault.WARM in self.faults:
            temperature = 1.0
        sampled = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        default = 1.1 if Fault.REPETITION_PENALTY in self.faults else 1.0
        return sampled | {"repetition_penalty": float(asked.get("repetition_penalty", default))}

    def _cached(self, ids: Sequence[int], make: Any) -> Any:
        if Fault.CACHED not in self.faults:
            return make()
        return self._cache.setdefault(tuple(ids), make())

    def _require_room(self, ids: Sequence[int], said: int) -> None:
        if len(ids) + said > self.window:
            raise RefusedError(
                400,
                f"This model's maximum context length is {self.window} tokens. However, you requested "
                f"{len(ids) + said} tokens ({len(ids)} in the prompt, {said} in the completion).",
            )

    def _of_text(self, text: str) -> list[int]:
        return list(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _of_messages(self, asked: Mapping[str, Any]) -> list[int]:
        tokenizer, messages = self.model.tokenizer, [*asked["messages"]]
        has_system = messages[0]["role"] == "system"
        if Fault.SYSTEM_DROPPED in self.faults and has_system:
            messages = messages[1:]
        if Fault.SYSTEM_INJECTED in self.faults:
            own = f"\n\n{messages[0]['content']}" if has_system else ""
            system = {"role": "system", "content": f"{_INJECTED}{own}"}
            messages = [system, *messages[has_system:]]
        told = dict(asked.get("chat_template_kwargs") or {})
        if Fault.THINKING in self.faults:
            told["enable_thinking"] = True
        template = tokenizer.get_chat_template()
        if Fault.OTHER_DATE in self.faults:
            template = _ANOTHER_DAY + template
        text = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=True, **told
        )
        ids = self._of_text(text)
        return [tokenizer.bos_token_id, *ids] if Fault.DOUBLE_START in self.faults else ids


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Serving

    def do_GET(self) -> None:
        self._answer(lambda: self.server_of.get(self.path))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(lambda: self.server_of.post(self.path, json.loads(body)))

    def log_message(self, *told: object) -> None:
        pass

    def _answer(self, make: Any) -> None:
        serving = self.server_of
        serving.requests.append(f"{self.command} {self.path}")
        try:
            if serving.key and self.headers.get("Authorization") != f"Bearer {serving.key}":
                raise RefusedError(401, "Unauthorized")
            status, told = 200, make()
        except RefusedError as problem:
            status, told = problem.status, {"error": {"message": str(problem), "code": problem.status}}
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _named(written: Iterable[str]) -> dict[str, Path]:
    return {name: Path(folder) for name, _, folder in (one.partition("=") for one in written)}


def main() -> None:
    """Serve until the process is ended; the first line of what is printed is the URL."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path)
    parser.add_argument("--adapter", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--fault", action="append", default=[], choices=[str(one) for one in Fault])
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    model = ServedModel(options.base, _named(options.adapter), getattr(torch, options.dtype))
    with Serving(model) as serving:
        serving.faults = frozenset(map(Fault, options.fault))
        print(serving.url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
