"""One remark: what of an artefact does not go with the rest of its release."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """What was found of an artefact, and what to do about it; `fatal` where nothing measured of it counts."""

    found: str
    do: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.found}; {self.do}"
