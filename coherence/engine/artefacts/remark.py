"""One remark: what of an artefact does not go with the rest of its release."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """What was found of an artefact, and what to do about it; `fatal` where nothing measured of it counts."""

    found: str
    do: str
    fatal: bool = False
    explains: bool = False
    """Whether a claim about the artefact is likely red because of it."""

    plainly: str | None = None
    """What was found as a sentence of its own, where there is a plainer one."""

    same_as: tuple[str, ...] = ()
    """The artefacts that are the same byte by byte, where it is not known which of them is misplaced."""

    def __str__(self) -> str:
        return f"{self.found}; {self.do}"
