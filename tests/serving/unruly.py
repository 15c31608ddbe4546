"""Servers that do one thing wrong each, byte by byte, over real sockets."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Behave: TypeAlias = Callable[[socket.socket, str, int], None]
"""Does something with a connection, the request as it came, and the how manieth it is (from 1)."""


def answer(status: str, body: str, kind: str = "application/json", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, "Connection: close", "", ""]) + body).encode()


def saying(*answers: bytes) -> Behave:
    """Answer one after the other, and then the last of them for ever."""
    return lambda connection, request, time: connection.sendall(answers[min(time, len(answers)) - 1])


class Unruly:
    def __init__(self, behave: Behave, context: ssl.SSLContext | None = None) -> None:
        self._behave, self._context = behave, context
        self.requests: list[str] = []

    @contextmanager
    def running(self) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=self._serve, args=(listening,), daemon=True).start()
            scheme = "https" if self._context else "http"
            yield f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(connection,), daemon=True).start()

    def _meet(self, connection: socket.socket) -> None:
        try:
            with (
                self._context.wrap_socket(connection, server_side=True)
                if self._context
                else connection as one
            ):
                request = _read(one)
                self.requests.append(request)
                self._behave(one, request, len(self.requests))
        except OSError:
            return


def _read(connection: socket.socket) -> str:
    held = b""
    while b"\r\n\r\n" not in held:
        part = connection.recv(65536)
        if not part:
            return held.decode()
        held += part
    head, _, body = held.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65536)
    return (head + b"\r\n\r\n" + body).decode()


def by_path(body: str) -> Behave:
    """List one model, and answer every conversation alike."""
    listed = json.dumps({"data": [{"id": "base"}]})

    def behave(connection: socket.socket, request: str, time: int) -> None:
        if "/v1/models" in request.partition("\r\n")[0]:
            connection.sendall(answer("200 OK", listed))
        elif "/v1/chat" in request.partition("\r\n")[0]:
            connection.sendall(answer("200 OK", body))
        else:
            connection.sendall(answer("404 Not Found", "{}"))

    return behave
