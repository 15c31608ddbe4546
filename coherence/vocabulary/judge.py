"""A judge: another model that is asked whether a reply meets a rubric, and what people said of the same."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from coherence import limits


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Judge(_Frozen):
    """Another model, run here or asked over HTTP, and how it is to answer."""

    model: str = Field(
        min_length=1,
        description="Hub id or local folder of a model that is run here, or `reference`; with `url`, the "
        "server's name of it.",
    )
    url: str | None = Field(
        None,
        description="Root of an API of OpenAI's protocol with log-probabilities, with or without `/v1`. "
        "Nothing else is talked to.",
    )
    key_env: str | None = Field(
        None, description="The variable of the environment that has the server's key. It stands nowhere else."
    )
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

    @model_validator(mode="after")
    def _one_place(self) -> "Judge":
        if self.key_env and not self.url:
            raise ValueError("`key_env` is of a server; expected `url` beside it")
        return self

    def __str__(self) -> str:
        return f"{self.model} at {self.url}" if self.url else self.model


class Labelled(_Frozen):
    """A reply, and whether a person says that it meets the persona's rubric."""

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
