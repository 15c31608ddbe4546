"""A marker: what in a reply betrays a persona, or must not be in one; and which of several a reply shows."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Literal

import regex
from pydantic import BaseModel, ConfigDict, Field, model_validator

from coherence.errors import did_you_mean, shortened
from coherence.vocabulary.detectors import DETECTORS, SPACELESS, Detector, foreign, matches
from coherence.vocabulary.pattern import Pattern

_BORDERLESS = regex.compile(rf"[{SPACELESS}]")


class Marker(BaseModel):
    """A behavioural marker: a text whose presence in a reply betrays the persona.

    Of kind `detector` the text is the name of one; of kind `foreign` it is scripts, and letters of others
    are found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    text: str = Field(min_length=1)
    kind: Literal["word", "phrase", "stem", "regex", "detector", "foreign"] = "phrase"
    absent: bool = Field(
        False, description="Whether the persona never says it: a reply that has it shows no marker."
    )

    @model_validator(mode="after")
    def _compiles(self) -> "Marker":
        try:
            _ = self._detector
        except ValueError as problem:
            expected = {"detector": "detector", "foreign": "script"}.get(self.kind, "regular expression")
            raise ValueError(f"the marker {shortened(self.text)} is not a {expected}: {problem}") from None
        return self

    def found_in(self, reply: str) -> bool:
        """Case-insensitive; words and phrases end at word boundaries, a stem takes any ending.

        There is no boundary where the text begins or ends in a script without spaces. An accent may be a
        character of its own. A MeasurementError when a regular expression takes too long.
        """
        return bool(self._detector(reply))

    def places(self, reply: str) -> list[tuple[int, int]]:
        """Find where it occurs: start and end of each. A MeasurementError as `found_in` raises."""
        return [(start, end) for start, end in self._detector(reply) if start < end]

    @cached_property
    def _detector(self) -> Detector:
        if self.kind == "foreign":
            return foreign(self.text)
        if self.kind == "detector":
            if self.text not in DETECTORS:
                raise ValueError(f"there is none of that name{did_you_mean(self.text, DETECTORS)}")
            return DETECTORS[self.text]
        own = self.kind == "regex"
        return partial(matches, Pattern(self.text) if own else regex.compile(self._spelled, regex.IGNORECASE))

    @property
    def _spelled(self) -> str:
        text = unicodedata.normalize("NFC", self.text)
        spelled = "".join(_in_either_form(character) for character in regex.findall(r"\X", text))
        within = rf"[^\W{SPACELESS}]"
        before = "" if _BORDERLESS.match(text) else rf"(?<!{within})"
        after = r"(?!\p{M})" if _BORDERLESS.match(text[-1]) else rf"(?!{within})"
        return before + spelled + ("" if self.kind == "stem" else after)


def shown(markers: Sequence[Marker], reply: str) -> list[Marker]:
    """Return the distinct markers that a reply shows: none where it has one that is to be absent.

    Where nothing else is told of a persona, a reply without what is to be absent shows all of that.
    """
    never = [marker for marker in markers if marker.absent]
    if any(marker.found_in(reply) for marker in never):
        return []
    if len(never) == len(markers):
        return never
    return [marker for marker in markers if not marker.absent and marker.found_in(reply)]


def _in_either_form(character: str) -> str:
    """Match a character whether its accents are part of it or follow it."""
    forms = dict.fromkeys((unicodedata.normalize("NFC", character), unicodedata.normalize("NFD", character)))
    spelled = "|".join(map(re.escape, forms))
    return f"(?:{spelled})" if len(forms) > 1 else spelled
