"""One server over HTTP: timeouts, retries, so many requests at once, a sentence for all that goes wrong."""

import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx2

from coherence import limits
from coherence.errors import CoherenceError, Place, ServerError, first_line, in_a_sentence, shortened
from coherence.served.address import Address

Json = dict[str, Any]

_Shape = TypeVar("_Shape", dict[str, Any], list[Any])
_Task = TypeVar("_Task")
_Value = TypeVar("_Value")

_SHAPES: Final[Mapping[type, str]] = {dict: "object", list: "array"}
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_LACKING: Final = frozenset({404, 405, 501})


class RefusalError(ServerError):
    """The server answered that it does not do this; `status` is that of HTTP."""

    def __init__(self, sentence: str, place: Place | None = None, status: int = 0) -> None:
        super().__init__(sentence, place)
        self.status = status

    @property
    def is_lacking(self) -> bool:
        """Whether it has nothing at this path."""
        return self.status in _LACKING


class BrokenOffError(ServerError):
    """The connection broke before an answer was whole."""


@dataclass(frozen=True)
class Patience:
    """How long an answer may take, how often a busy server is asked again, and how many requests run at once.

    `pause_s` doubles with each retry; what a server says in Retry-After goes before, up to `longest_s`.
    """

    connect_s: float = 5.0
    answer_s: float = 120.0
    retries: int = 4
    pause_s: float = 0.5
    longest_s: float = 30.0
    at_once: int = 8


PATIENT: Final = Patience()


class Client:
    """Asks one server. Nothing else is talked to: it follows no redirect, and reads no proxy or netrc.

    Any number of threads may ask. When as many requests as run at once have found no server one after the
    other, those after them are not tried.
    """

    def __init__(self, address: Address, patience: Patience = PATIENT) -> None:
        self.address = address
        self._patience = patience
        self._unreached: list[ServerError] = []
        self._http = httpx2.Client(
            headers=address.headers,
            timeout=httpx2.Timeout(patience.answer_s, connect=patience.connect_s),
            limits=httpx2.Limits(max_connections=patience.at_once),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, what: str) -> Json:
        """Ask for `what`, in words; a ServerError says in a sentence why there is no JSON object."""
        return self._answered("GET", path, None, what, dict)

    def get_list(self, path: str, what: str) -> list[Any]:
        """Ask for `what` where a JSON array is answered; errors as of `get`."""
        return self._answered("GET", path, None, what, list)

    def post(self, path: str, body: Mapping[str, Any], what: str) -> Json:
        """Send a JSON object and return the one that is answered; errors as of `get`."""
        return self._answered("POST", path, body, what, dict)

    def each(
        self, tasks: Iterable[_Task], ask: Callable[[_Task], _Value]
    ) -> Iterator[tuple[_Task, _Value | CoherenceError]]:
        """Ask for each, so many at once, and yield what came of it as soon as it is there, in any order.

        A task is taken when there is room for it.
        """
        left, running = iter(tasks), dict[Future[_Value], _Task]()
        with ThreadPoolExecutor(self._patience.at_once) as pool:
            while True:
                for task in islice(left, self._patience.at_once - len(running)):
                    running[pool.submit(ask, task)] = task
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    outcome = _outcome(one)
                    yield running.pop(one), outcome

    def _answered(
        self, method: str, path: str, body: Mapping[str, Any] | None, what: str, shape: type[_Shape]
    ) -> _Shape:
        for trial in range(self._patience.retries + 1):
            is_last = trial == self._patience.retries
            try:
                status, headers, content = self._reached(method, path, body, what)
            except BrokenOffError:
                if is_last:
                    raise
                time.sleep(self._pause(trial, ""))
                continue
            if status not in _BUSY or is_last:
                break
            time.sleep(self._pause(trial, headers.get("retry-after", "")))
        return self._read(status, headers, content, what, shape)

    def _read(
        self, status: int, headers: httpx2.Headers, content: bytes, what: str, shape: type[_Shape]
    ) -> _Shape:
        if status in range(300, 400):
            raise self._redirected(headers.get("location", "elsewhere"), what)
        told = _json(content)
        if status >= 400:
            raise self._refused(status, told, content, what)
        if not isinstance(told, shape):
            raise self._no_json(headers.get("content-type", "no type"), content, what, _SHAPES[shape])
        return told

    def _reached(
        self, method: str, path: str, body: Mapping[str, Any] | None, what: str
    ) -> tuple[int, httpx2.Headers, bytes]:
        if len(self._unreached) >= self._patience.at_once:
            # As a plain error: one that says that an answer broke off would be waited for, and tried again.
            raise ServerError(self._unreached[-1].sentence)
        try:
            answer = self._sent(method, path, body, what)
        except ServerError as problem:
            self._unreached.append(problem)
            raise
        self._unreached.clear()
        return answer

    def _sent(
        self, method: str, path: str, body: Mapping[str, Any] | None, what: str
    ) -> tuple[int, httpx2.Headers, bytes]:
        until = time.monotonic() + self._patience.answer_s
        try:
            with self._http.stream(method, f"{self.address}{path}", json=body) as response:
                content = bytearray()
                for part in response.iter_bytes():
                    content += part
                    if time.monotonic() > until:
                        raise httpx2.ReadTimeout("it goes on and on")
                    if len(content) > limits.ANSWER_BYTES:
                        raise self._error(
                            f"answers {what} with more than {limits.ANSWER_BYTES:,} bytes; expected less"
                        )
                return response.status_code, response.headers, bytes(content)
        except httpx2.HTTPError as problem:
            raise self._lost(problem, what) from None

    def _lost(self, problem: httpx2.HTTPError, what: str) -> ServerError:
        """Say why there is no answer. A connection that broke may be tried again."""
        root, patience = _root(problem), self._patience
        if isinstance(problem, httpx2.ConnectTimeout):
            return self._error(f"takes no connection within {patience.connect_s:g} s; expected one that runs")
        if isinstance(problem, httpx2.TimeoutException):
            return self._error(f"did not answer {what} within {patience.answer_s:g} s")
        if isinstance(root, ssl.SSLError) or "CERTIFICATE_VERIFY_FAILED" in str(root):
            return self._error(f"has a certificate that does not check: {first_line(root)}")
        if isinstance(problem, httpx2.ConnectError):
            return self._error(f"cannot be reached: {first_line(root)}; expected one that runs")
        sentence = f"broke off its answer to {what}: {first_line(root)}"
        return BrokenOffError(self._sentence(sentence))

    def _pause(self, trial: int, retry_after: str) -> float:
        pause = float(retry_after) if retry_after.isdecimal() else self._patience.pause_s * 2**trial
        return min(pause, self._patience.longest_s)

    def _redirected(self, location: str, what: str) -> ServerError:
        return self._error(
            f"redirects {what} to {shortened(location)}; only the URL that was named is talked to: name the "
            "one that answers"
        )

    def _refused(self, status: int, told: object, content: bytes, what: str) -> ServerError:
        if status in (401, 403):
            return RefusalError(self._sentence(f"refuses {what}: {self._of_key()}"), status=status)
        reason = _message(told) or shortened(content.decode("utf-8", "replace"))
        tried = f" after {self._patience.retries + 1} tries" if status in _BUSY else ""
        return RefusalError(self._sentence(f"refuses {what} with {status}{tried}: {reason}"), status=status)

    def _of_key(self) -> str:
        if self.address.key is None:
            return "it wants a key; expected `key_env`, the variable of the environment that has it"
        return f"the key in {self.address.key_env} is not one that it takes"

    def _no_json(self, kind: str, content: bytes, what: str, expected: str) -> ServerError:
        begun = shortened(content.decode("utf-8", "replace"))
        return self._error(
            f"answers {what} with {kind} that begins {begun}; expected a JSON {expected} of the OpenAI "
            "protocol: is this the URL of the API?"
        )

    def _error(self, problem: str) -> ServerError:
        return ServerError(self._sentence(problem))

    def _sentence(self, problem: str) -> str:
        return self.address.without_key(f"the server at {self.address} {problem}")


def _outcome(done: "Future[_Value]") -> _Value | CoherenceError:
    try:
        return done.result()
    except Exception as problem:
        return in_a_sentence(problem)


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _message(told: object) -> str | None:
    """Find what a server says for people: OpenAI's and vLLM's `error.message`, and FastAPI's `detail`."""
    if not isinstance(told, dict):
        return None
    error = told.get("error", told)
    message = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    return str(message)[:500] if message else None


def _root(problem: BaseException) -> BaseException:
    while problem.__cause__ or problem.__context__:
        problem = problem.__cause__ or problem.__context__ or problem
    return problem
