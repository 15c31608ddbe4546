"""Where in the network (`site`) and at which token (`position`) an activation is read or steered."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Literal, Self

from coherence import limits
from coherence.errors import shortened
from coherence.vocabulary.spelled import Spelled

_BLOCK = f"[0-9]{{1,{limits.DIGITS}}}"


class Position(StrEnum):
    """A token by its role, never by its index."""

    PROMPT_LAST = "prompt_last"
    TURN_LAST = "turn_last"
    USER_LAST = "user_last"
    USER_MEAN = "user_mean"
    G1 = "g1"
    G2 = "g2"
    RESPONSE_MEAN = "response_mean"

    @property
    def spoken(self) -> bool:
        """Whether it lies in the response, of which the first tokens are `g1` and `g2`."""
        return self in (Position.G1, Position.G2, Position.RESPONSE_MEAN)


@dataclass(frozen=True)
class Site(Spelled):
    """A point in the residual stream: before (`resid_pre`) or after (`resid_post`) block 0, 1, ..."""

    block: int
    stream: Literal["pre", "post"]

    pattern: ClassVar[str] = rf"resid_(pre|post)\.({_BLOCK})"
    example: ClassVar[str] = "resid_post.14"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a site, such as `resid_post.14`; a ValueError says what was expected."""
        if isinstance(text, cls):
            return text
        match = re.fullmatch(cls.pattern, str(text))
        if match is None:
            raise ValueError(
                f"{shortened(text)} is not a site; "
                f"expected resid_pre.N or resid_post.N, such as {cls.example}"
            )
        return cls(int(match[2]), "pre" if match[1] == "pre" else "post")

    @classmethod
    def at_depth(cls, depth: int) -> Self:
        """Name a row of a stack of residuals."""
        return cls(depth - 1, "post") if depth else cls(0, "pre")

    @property
    def depth(self) -> int:
        """Row in a stack of residuals: 0 before the first block, i + 1 after block i."""
        return self.block + (self.stream == "post")

    def __str__(self) -> str:
        return f"resid_{self.stream}.{self.block}"


@dataclass(frozen=True)
class Band(Spelled):
    """One site, or a run of neighbouring sites such as `resid_post.14..22` (both ends included)."""

    sites: tuple[Site, ...]

    pattern: ClassVar[str] = rf"(resid_(?:pre|post))\.({_BLOCK})(?:\.\.({_BLOCK}))?"
    example: ClassVar[str] = "resid_post.14..22"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a band, `resid_post.14` or `resid_post.14..22`; a ValueError says what was expected."""
        if isinstance(text, cls):
            return text
        match = re.fullmatch(cls.pattern, str(text))
        if match is None:
            raise ValueError(
                f"{shortened(text)} is not a band of sites; "
                f"expected resid_post.14, or {cls.example} for several"
            )
        first, last = int(match[2]), int(match[3] or match[2])
        if last < first:
            raise ValueError(f"the band {text!r} runs backwards; expected the lower block first")
        if last - first >= limits.SITES:
            raise ValueError(
                f"the band {text!r} has {last - first + 1:,} sites; expected at most {limits.SITES:,}"
            )
        return cls(tuple(Site.parse(f"{match[1]}.{block}") for block in range(first, last + 1)))

    @property
    def depths(self) -> list[int]:
        """Rows of the band in a stack of residuals."""
        return [site.depth for site in self.sites]

    def __str__(self) -> str:
        first, last = self.sites[0], self.sites[-1]
        return str(first) if first == last else f"{first}..{last.block}"
