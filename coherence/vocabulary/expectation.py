"""What the author of a suite expects an assertion to come to."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from coherence.vocabulary.evidence import Criterion
from coherence.vocabulary.verdict import Verdict


def _listed(written: object) -> object:
    return [written] if isinstance(written, str) else written


Keys = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]


class Incoherence(BaseModel):
    """A known incoherence: which criteria fail, and no others do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fail: Keys = Field(
        min_length=1, description="The keys whose criteria fail, each of them; those of other keys do not."
    )

    def unnamed(self, criteria: Iterable[Criterion]) -> Criterion | None:
        """Return the first criterion that fails, by itself is enough, and is not named."""
        failing = (one for one in criteria if one.raw_verdict is Verdict.FAIL)
        return next((one for one in failing if one.key not in self.fail), None)

    def spared(self, criteria: Iterable[Criterion]) -> Iterator[Criterion]:
        """Yield the criteria that are named and do not fail."""
        return (one for one in criteria if one.key in self.fail and one.verdict is not Verdict.FAIL)

    def absent(self, criteria: Iterable[Criterion]) -> list[str]:
        """List the keys that are named, and that no criterion has."""
        known = {one.key for one in criteria}
        return [key for key in self.fail if key not in known]

    def met(self, criteria: Iterable[Criterion]) -> bool:
        """Tell whether exactly what is named fails."""
        criteria = tuple(criteria)
        surprises = (self.unnamed(criteria), next(self.spared(criteria), None), *self.absent(criteria))
        return not any(surprises)

    def __str__(self) -> str:
        keys = self.fail[0] if len(self.fail) == 1 else f"[{', '.join(self.fail)}]"
        return f"{{fail: {keys}}}"


def _form(written: object) -> str:
    return "named" if isinstance(written, dict | Incoherence) else "word"


Expectation = Annotated[
    Annotated[Literal["pass", "fail"], Tag("word")] | Annotated[Incoherence, Tag("named")],
    Discriminator(_form),
]


def fails_as_expected(expect: Expectation, criterion: Criterion) -> bool:
    """Tell whether the fail of a criterion would be what is expected, and so closes no gate."""
    return criterion.key in expect.fail if isinstance(expect, Incoherence) else expect == "fail"
