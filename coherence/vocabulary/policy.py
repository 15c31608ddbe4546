"""The policy of a run: how the verdicts of many assertions become one answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
    strict: bool = Field(
        False, description="Whether what was said of an artefact is an error of all that rests on it."
    )
