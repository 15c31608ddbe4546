"""Operations: what a vector does to the residuals of a token."""

from enum import StrEnum


class Operation(StrEnum):
    """With r the unit vector along it: h + v, h - (h.r) r (arXiv 2406.11717), or h - (h.r) r + v."""

    ADD = "add"
    ABLATE = "ablate"
    CLAMP = "clamp"
