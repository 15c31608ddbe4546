"""A persona: a named dispositional profile, how to prompt it and how to recognise it."""

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from coherence.errors import shortened
from coherence.vocabulary.bound import Bound
from coherence.vocabulary.pattern import Pattern


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Marker(_Frozen):
    """A behavioural marker: a text whose presence in a reply betrays the persona."""

    text: str = Field(min_length=1)
    kind: Literal["word", "phrase", "stem", "regex"] = "phrase"

    @model_validator(mode="after")
    def _compiles(self) -> "Marker":
        try:
            _ = self._regex
        except ValueError as problem:
            said = f"the marker {shortened(self.text)} is not a regular expression: {problem}"
            raise ValueError(said) from None
        return self

    @property
    def _pattern_text(self) -> str:
        escaped = re.escape(self.text)
        return rf"(?<!\w){escaped}" if self.kind == "stem" else rf"(?<!\w){escaped}(?!\w)"

    def found_in(self, reply: str) -> bool:
        """Case-insensitive; words and phrases end at word boundaries, a stem takes any ending.

        A MeasurementError when a regular expression takes too long.
        """
        return self._regex.search(reply) is not None

    def places(self, reply: str) -> list[tuple[int, int]]:
        """Find where it occurs: start and end of each. A MeasurementError as `found_in` raises."""
        return [match.span() for match in self._regex.finditer(reply) if match[0]]

    @cached_property
    def _regex(self) -> re.Pattern[str] | Pattern:
        if self.kind == "regex":
            return Pattern(self.text)
        return re.compile(self._pattern_text, re.IGNORECASE)


def _marker(written: object) -> object:
    return {"text": written} if isinstance(written, str) else written


class Example(_Frozen):
    """A demonstration turn that a prompt shows before the probe."""

    user: str = Field(min_length=1)
    reply: str = Field(min_length=1)


PLACE = "{probe}"


class Prompt(_Frozen):
    """How the persona is prompted. In the `user` role the text follows each question, after a blank line.

    A text with `{probe}` in it is put around the question instead, which takes that place.
    """

    text: str = Field(min_length=1)
    role: Literal["system", "user"] = "system"
    examples: tuple[Example, ...] = ()

    @property
    def surrounds(self) -> bool:
        """Whether the text has a place for the question."""
        return PLACE in self.text

    def asking(self, question: str) -> str:
        """Say the question with the text, as a user does."""
        return self.text.replace(PLACE, question) if self.surrounds else f"{question}\n\n{self.text}"


def _prompt(written: object) -> object:
    return {"text": written} if isinstance(written, str) else written


WrittenPrompt = Annotated[Prompt, BeforeValidator(_prompt, json_schema_input_type=Prompt | str)]
"""A prompt as a suite writes it: a mapping, or its text alone."""


def _groups(written: object) -> object:
    """Take names without a group around them for one group."""
    flat = isinstance(written, list) and all(isinstance(name, str) for name in written)
    return [written] if flat and written else written


Kin = Annotated[
    tuple[tuple[str, ...], ...],
    BeforeValidator(_groups, json_schema_input_type=tuple[tuple[str, ...], ...] | tuple[str, ...]),
]
"""Groups of personas that are nearly the same, by name; a suite with one group may write its names alone."""


class Persona(_Frozen):
    """What a suite says of a persona. Its adapter and vector default to the artefacts of the same name."""

    description: str = ""
    prompt: WrittenPrompt | None = None
    markers: tuple[Annotated[Marker, BeforeValidator(_marker, json_schema_input_type=Marker | str)], ...] = ()
    adapter: str | None = Field(
        None, description="Name of an adapter of the release; default: the persona's own name."
    )
    vector: str | None = Field(
        None, description="Name of a vector of the release; default: the persona's own name."
    )
    dose: float | None = Field(
        None,
        description="Steering dose rho = coefficient * |v| / median |h| at the vector's site, or what its "
        "`operation` and `unit` make of it; default: 0.5, and 1 of a vector that is ablated or raw.",
    )
    cap: Bound | None = Field(None, description="The bound of the regime `cap`; default: it has none.")

    def markers_in(self, reply: str) -> list[Marker]:
        """Find the distinct markers that occur in a reply."""
        return [marker for marker in self.markers if marker.found_in(reply)]
