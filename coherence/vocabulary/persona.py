"""A persona: a named dispositional profile, how to prompt it and how to recognise it."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from coherence.vocabulary.bound import Bound
from coherence.vocabulary.marker import Marker, shown


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
        """Return the distinct markers that a reply shows: see `shown`."""
        return shown(self.markers, reply)
