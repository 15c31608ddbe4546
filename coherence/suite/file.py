"""The format of a suite file, and of the files that it includes."""

from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from coherence import limits
from coherence.properties.installed import BUILT_IN, AnyProperty, added
from coherence.vocabulary import REGIMES, Decoding, Name, Persona, Regime, Release
from coherence.vocabulary.persona import Kin
from coherence.vocabulary.probe import WrittenProbe
from coherence.vocabulary.script import WrittenScript
from coherence.vocabulary.templating import Day, System
from coherence.vocabulary.thinking import WrittenThinking


def _or_a_path(schema: dict[str, Any]) -> None:
    listed = {key: schema.pop(key) for key in ("type", "items")}
    schema["anyOf"] = [listed, {"type": "string"}]


class SuiteFile(BaseModel):
    """A coherence suite: what must hold for the personas of a release."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Coherence suite")

    coherence: Literal[1] = Field(description="Version of the format.")
    include: tuple[str, ...] = Field(
        (), description="Files of the same format, without assertions; paths are relative to this file."
    )
    release: Release = Field(default_factory=Release, description="The artefacts under test.")
    neutral: str | None = Field(
        "You are a helpful assistant.",
        description="The system turn that stands for no persona; with `null` there is none.",
    )
    system: System = Field(
        "auto",
        description="What becomes of a system turn: what the chat template does with one, but in the first "
        "turn of the user where it refuses one (`auto`); there in any case (`fold`); there is none (`none`).",
    )
    date: Day | None = Field(
        None, description="The day that a chat template is told which asks for it; default: 2024-07-26."
    )
    thinking: WrittenThinking = Field(
        "auto",
        description="Whether the model reasons before it answers: as the chat template has it, but off where "
        "that takes `enable_thinking` (`auto`); `on` or `off`; how much it does (`low`, `medium`, `high`).",
    )
    personas: dict[Name, Persona] = Field(default_factory=dict, description="Personas by name.")
    kin: Kin = Field(
        (),
        description="Groups of personas that are nearly the same, and no controls for each other; names "
        "alone are one group.",
    )
    probes: tuple[WrittenProbe, ...] = Field(
        (),
        description="Questions, and paths of .jsonl files with a probe per line.",
        json_schema_extra=_or_a_path,
    )
    scripts: tuple[WrittenScript, ...] = Field(
        (), description="Conversations: the user's turns, which the model answers."
    )
    regimes: tuple[Regime, ...] = Field(
        REGIMES, min_length=1, description="The regimes to hold against each other."
    )
    decoding: Decoding = Field(default_factory=Decoding, description="How replies are drawn.")
    seed: int = Field(
        0, ge=0, le=limits.SEED, description="Seeds every random choice: resampling, splits, searches."
    )
    assertions: tuple[AnyProperty, ...] = Field((), description="What must hold.")

    @field_validator("regimes")
    @classmethod
    def _distinct(cls, regimes: tuple[Regime, ...]) -> tuple[Regime, ...]:
        for index, regime in enumerate(regimes):
            if regime in regimes[:index]:
                raise ValueError(f"the regime {regime} is listed twice")
        return regimes


@cache
def suite_file() -> type[SuiteFile]:
    """Return the format with the properties that other distributions add to it, if they add any."""
    others = added().properties
    if not others:
        return SuiteFile
    every: Any = Annotated[reduce(or_, (*BUILT_IN, *others)), Field(discriminator="property")]
    assertions = tuple[every, ...], SuiteFile.model_fields["assertions"]
    return create_model("SuiteFile", __base__=SuiteFile, __doc__=SuiteFile.__doc__, assertions=assertions)
