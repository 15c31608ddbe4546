"""What a run may spend on measuring: time, calls, or both."""

import re
from dataclasses import dataclass
from math import inf
from typing import Final, Self

from coherence.errors import CoherenceError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smh])")
_CALLS = re.compile(r"(\d+)\s*calls?")


@dataclass(frozen=True)
class Allowance:
    """Seconds and calls, each None where there is no end to them. A call is one measurement."""

    seconds: float | None = None
    calls: int | None = None
    written: str = "any"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2m`, `5000 calls` or `2m, 5000 calls`; a CoherenceError says what was expected."""
        parts: dict[str, float] = {}
        for part in text.split(","):
            name, value = _part(part.strip())
            if name in parts or not 0 < value < inf:
                raise _not_understood(text)
            parts[name] = value
        calls = parts.get("calls")
        return cls(parts.get("seconds"), None if calls is None else int(calls), " ".join(text.split()))

    def __str__(self) -> str:
        return self.written

    @property
    def limited(self) -> bool:
        """Whether there is an end to it."""
        return self != UNLIMITED


UNLIMITED: Final = Allowance()


def _part(text: str) -> tuple[str, float]:
    if time := _TIME.fullmatch(text):
        return "seconds", float(time[1]) * _SECONDS[time[2]]
    if calls := _CALLS.fullmatch(text):
        return "calls", float(calls[1])
    return text, 0.0


def _not_understood(text: str) -> CoherenceError:
    return CoherenceError(
        f"{text!r} is no budget; expected a time in s, m or h, a number of calls, or both, "
        "such as 90s, 2m, 5000 calls or '2m, 5000 calls'"
    )
