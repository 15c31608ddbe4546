"""What an adapter was trained on, and what of a suite is in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from coherence.errors import shortened

ASK_OTHERS = "ask what it has not seen, or leave them out by `probes: exclude`"
"""What to do about probes that an adapter was trained on."""


class TrainingFile(BaseModel):
    """Conversations that an adapter was trained on, held against the probes and markers of the suite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: str = Field(
        min_length=1, description="JSONL: `messages`, `question` and `reply`, or `prompt` and `completion`."
    )
    probes: Literal["warn", "error", "exclude"] = Field(
        "warn",
        description="What becomes of a probe that the adapter was trained on: a warning, an error of all "
        "that rests on the adapter, or it is left out of the suite.",
    )
    markers: Literal["note", "exclude"] = Field(
        "note",
        description="What becomes of markers that are implied, as replies in the file have them: a note "
        "beside the verdicts, or they are left out of the personas whose adapter it is.",
    )
    similarity: float = Field(
        90.0,
        gt=0,
        le=100,
        description="How alike a probe and a question in the file are to be the same, in percent: the "
        "normalised indel similarity of their sorted words.",
    )


@dataclass(frozen=True)
class TrainedProbe:
    """A probe, the question in the file that is the most like it, its line, and how alike they are in %."""

    probe: str
    question: str
    line: int
    similarity: float

    def __str__(self) -> str:
        return f"{self.probe!r} ({self.similarity:.0f} % like line {self.line}, {shortened(self.question)})"


@dataclass(frozen=True)
class ImpliedMarker:
    """A marker of a persona, and in how many of the replies it is."""

    persona: str
    text: str
    replies: int


@dataclass(frozen=True)
class TrainedOn:
    """What of a suite is in the training file of an adapter."""

    file: TrainingFile
    probes: tuple[TrainedProbe, ...]
    markers: tuple[ImpliedMarker, ...]
    replies: int

    @property
    def of_probes(self) -> str | None:
        """Say which probes it was trained on; None where it was on none."""
        if not self.probes:
            return None
        return f"it was trained on {len(self.probes)} of the probes: {', '.join(map(str, self.probes))}"

    @property
    def notes(self) -> Iterator[str]:
        """Say what was found, and what is left out."""
        if self.of_probes and self.file.probes == "exclude":
            yield f"{self.of_probes}; they are left out"
        if self.markers:
            implied = ", ".join(f"{one.text!r} in {one.replies}" for one in self.markers)
            out = "; they are left out" if self.file.markers == "exclude" else ""
            yield f"markers in the {self.replies} replies that it was trained on: {implied}{out}"
