"""The policy of a run: how the verdicts of many assertions become one answer."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

FEWEST_PROBES = 8
"""At a look; with fewer, intervals are not known to cover as often as they state (docs/errors.md)."""


def _rising(looks: tuple[int, ...]) -> tuple[int, ...]:
    rising = all(before < after for before, after in pairwise(looks))
    if not rising or (looks and looks[0] < FEWEST_PROBES):
        raise ValueError(f"expected rising numbers of probes from {FEWEST_PROBES} up, found {list(looks)}")
    return looks


def looks(written: str) -> tuple[int, ...]:
    """Read `8,16`; a ValueError says what was expected."""
    if not all(one.strip().isdecimal() for one in written.split(",")):
        raise ValueError(f"expected numbers of probes, such as 8,16, found {written!r}")
    return _rising(tuple(int(one) for one in written.split(",")))


Looks = Annotated[tuple[int, ...], AfterValidator(_rising)]
"""After how many probes an assertion is looked at before all of them are measured."""


class Policy(BaseModel):
    """What the command line, the environment or pytest's configuration chose."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adjust: Literal["holm", "none"] = Field(
        "holm", description="How fails are adjusted for the number of claims in the run."
    )
    inconclusive: Literal["fail", "warn"] = Field(
        "fail",
        description="Whether an inconclusive verdict fails the run or warns; what fails alone does anyhow.",
    )
    looks: Looks = Field(
        (),
        description="After how many probes an assertion that is clear by then stops; none: all are measured.",
    )
    strict: bool = Field(
        False, description="Whether what was said of an artefact is an error of all that rests on it."
    )
