"""A judge: another model that is asked whether a reply meets a rubric, and what people said of the same."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from coherence import limits
from coherence.vocabulary.other_model import OtherModel


class Judge(OtherModel):
    """Another model that judges replies, and how it is to answer."""

    answer: Literal["yes-no", "score"] = Field(
        "yes-no",
        description="What it is asked for: whether a reply meets the rubric, told by the odds of yes; or how "
        "far it does, a number from 0 to `highest`, told by the mean of numbers weighted by probability.",
    )
    highest: int = Field(
        100,
        ge=1,
        le=1000,
        description="The number that stands for entirely: 9 for a model that writes numbers digit by digit.",
    )


class Labelled(BaseModel):
    """A reply, and whether a person says that it meets the persona's rubric."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str = Field(min_length=1, max_length=limits.NAME, description="Whose rubric it is held against.")
    question: str = Field(min_length=1, description="What was asked.")
    reply: str = Field(description="What was replied.")
    met: bool = Field(description="Whether the reply meets the rubric, as a person says.")


def _several(written: object) -> object:
    return (written,) if isinstance(written, str) else written


Rubric = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(min_length=1),
    BeforeValidator(_several, json_schema_input_type=str | tuple[str, ...]),
]
"""What a reply must be, in a sentence or two; those after the first say the same in other words."""
