"""The form that every property has: what the author writes, what it needs measured, how it judges."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from coherence.plan import Measurement, Record, Scene
from coherence.vocabulary import Evidence


class Case(ABC):
    """One assertion: a property applied to one persona and one choice of regimes."""

    persona: str
    slug: str

    @abstractmethod
    def needs(self) -> Iterable[Measurement]:
        """List what must be measured before `judge` can be called."""

    @abstractmethod
    def judge(self, record: Record, seed: int) -> Evidence:
        """Turn measurements into evidence. Pure: the same record and seed give the same evidence."""


class Property(BaseModel, ABC):
    """Base of the schemas. A subclass names itself in a `property` field and generates its cases."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    family: ClassVar[str]

    id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Replaces the property's name in the ids of its assertions.",
    )
    personas: tuple[str, ...] | None = Field(
        None, description="Which personas; default: all that have what it takes."
    )
    expect: Literal["pass", "fail"] = Field(
        "pass", description="`fail` states a known incoherence, strictly."
    )

    @abstractmethod
    def cases(self, scene: Scene) -> list[Case]:
        """Generate the assertions; a SuiteError says what is missing."""
