"""The form that every property has: what the author writes, and the cases that follow from it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coherence import limits
from coherence.errors import SuiteError, did_you_mean
from coherence.plan import Scene
from coherence.properties.case import Case
from coherence.properties.ranges import ANY, Possible
from coherence.vocabulary import Criterion, Expectation, Incoherence
from coherence.vocabulary.tier import Tier

_Judge = TypeVar("_Judge")


class Property(BaseModel, ABC):
    """Base of the schemas. A subclass names itself in a `property` field and generates its cases.

    A key that a criterion is held against says in its annotation which values the truth of its statistic can
    have, as in `min_cosine: Annotated[float, COSINE]`; `claims` collects them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    family: ClassVar[str]
    claims: ClassVar[Mapping[str, Possible]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **given: Any) -> None:  # noqa: ANN401
        """Collect what is claimed off the keys, those of base classes among them."""
        super().__pydantic_init_subclass__(**given)
        cls.claims = {
            key: possible
            for key, field in cls.model_fields.items()
            for possible in field.metadata
            if isinstance(possible, Possible)
        }

    id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]+$",
        max_length=limits.NAME,
        description="Replaces the property's name in the ids of its assertions.",
    )
    personas: tuple[str, ...] | None = Field(
        None, description="Which personas; default: all that have what it takes."
    )
    expect: Expectation = Field(
        "pass",
        description="`{fail: KEY}` states a known incoherence, strictly: the criterion of that key fails, or "
        "those of several, and no other does. `fail` does where there is one.",
    )
    tier: Tier = Field(
        "full", description="`smoke`: judged by --coherence-tier=smoke too, the run of two minutes."
    )

    @model_validator(mode="after")
    def _expects_what_it_claims(self) -> Self:
        if self.expect == "fail" and len(self.claims) > 1:
            raise ValueError(
                "expect: fail does not say which criterion fails; "
                f"expected {{fail: KEY}}, with one or several of {', '.join(self.claims)}"
            )
        named = self.expect.fail if isinstance(self.expect, Incoherence) else ()
        for key in named:
            if key not in self.claims:
                hint = did_you_mean(key, self.claims)
                raise ValueError(f"expect: {key!r} has no criterion that could fail{hint}")
        return self

    def require_one(self, *keys: str) -> None:
        """Refuse with a ValueError to assert nothing: one of these keys must be written."""
        if all(getattr(self, key) is None for key in keys):
            raise ValueError(f"nothing is asserted; expected at least one of {', '.join(keys)}")

    def written(self, judges: Mapping[str, _Judge]) -> Iterator[tuple[_Judge, Any]]:
        """Yield what judges each key that is written, and the bound that is written there."""
        bounds = ((judge, getattr(self, key)) for key, judge in judges.items())
        return (each for each in bounds if each[1] is not None)

    @classmethod
    def word(cls) -> str:
        """Return what suites call it: the value of its key `property`, and nothing for a base class."""
        key = cls.model_fields.get("property")
        return str(next(iter(get_args(key.annotation)), "")) if key else ""

    def could_fail(self, criterion: Criterion) -> bool:
        """Tell whether a sample decides a threshold that some truth would miss.

        It does not for a law, where no key has the threshold, and where the range holds every value.
        """
        if criterion.law or criterion.key is None:
            return False
        least, most = self.claims.get(criterion.key, ANY)
        return criterion.at_least > least or criterion.at_most < most

    def at_least_one(self, cases: Iterable[Case], of: str) -> list[Case]:
        """List the cases; a SuiteError says that no persona is one `of` those that they are made for."""
        found = list(cases)
        if not found:
            raise SuiteError(f"{self.word()} found no persona {of}")
        return found

    @abstractmethod
    def cases(self, scene: Scene) -> list[Case]:
        """Generate the assertions; a SuiteError says what is missing."""
