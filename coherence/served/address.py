"""Where a server is, and the key that it wants: only this origin is talked to."""

import os
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, urlsplit

from coherence.errors import ServerError, shortened

_EXAMPLE = "such as http://127.0.0.1:8000"


@dataclass(frozen=True)
class Address:
    """The root of an API, without `/v1` and without a slash at its end; the key is in no text of it."""

    root: str
    key_env: str | None = None
    key: str | None = field(default=None, repr=False, compare=False)

    @classmethod
    def parse(cls, url: str, key_env: str | None = None) -> Self:
        """Read a URL, and the key out of the environment; a ServerError says what is wrong with either."""
        try:
            parts = urlsplit(url.strip())
            _ = parts.port
        except ValueError as problem:
            raise ServerError(
                f"found {shortened(url)} as the URL of a server: {problem}; {_EXAMPLE}"
            ) from None
        _require_plain(parts, url)
        path = parts.path.rstrip("/").removesuffix("/v1")
        return cls(f"{parts.scheme}://{parts.netloc}{path}", key_env, _key(key_env))

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def without_key(self, text: str) -> str:
        """Blot the key out of what a server said."""
        return text.replace(self.key, "[key]") if self.key else text

    def __str__(self) -> str:
        return self.root


def _require_plain(parts: SplitResult, url: str) -> None:
    if parts.username or parts.password:
        # Not quoted: what stands there is a secret.
        raise ServerError(
            f"the URL of the server at {parts.hostname} has a user or password in it; expected one without, "
            "and the key in a variable of the environment that `key_env` names"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerError(
            f"found {shortened(url)} as the URL of a server; expected http or https, {_EXAMPLE}"
        )
    if parts.query or parts.fragment:
        raise ServerError(
            f"the URL of the server at {parts.hostname} goes on after its path; expected its root, {_EXAMPLE}"
        )


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ServerError(
            f"the environment has no {variable}, which `key_env` names; expected the server's key in it"
        )
    if not key.isascii() or not key.isprintable():
        raise ServerError(f"the key in {variable} has characters that no header takes; expected plain ASCII")
    return key
