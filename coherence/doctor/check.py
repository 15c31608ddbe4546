"""One thing that was looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from coherence.errors import told

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do about it where it is not well."""

    state: State
    what: str
    found: str
    do: str = ""

    def __str__(self) -> str:
        advice = f"; {self.do}" if self.do else ""
        return " ".join(f"{self.state:<4}  {self.what}: {self.found}{advice}".split("\n"))


def tried(what: str, look: Callable[[], "str | Check"], do: str = "") -> Check:
    """Look; an error becomes a fail that says it, and what is not quite well is a check of its own."""
    try:
        state = look()
        return Check("ok", what, state) if isinstance(state, str) else state
    except Exception as problem:
        return Check("fail", what, told(problem), do)
