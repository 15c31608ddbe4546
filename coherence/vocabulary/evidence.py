"""What a verdict rests on."""

from math import inf
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from coherence.vocabulary.verdict import Verdict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Estimate(_Frozen):
    """A statistic with its 95 % interval and the number of probes it rests on."""

    name: str
    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Criterion(_Frozen):
    """An estimate held against the range `[at_least, at_most]`."""

    estimate: Estimate
    at_least: float = -inf
    at_most: float = inf
    unreliable: str | None = Field(None, description="Why the estimate cannot decide, if it cannot.")

    @property
    def verdict(self) -> Verdict:
        """Pass when the whole interval is inside the range, fail when all of it is outside."""
        if self.unreliable:
            return Verdict.INCONCLUSIVE
        low, high = self.estimate.low, self.estimate.high
        if self.at_least <= low and high <= self.at_most:
            return Verdict.PASS
        if high < self.at_least or low > self.at_most:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE

    @property
    def threshold(self) -> str:
        """The range as a reader says it."""
        if self.at_most == inf:
            return f">= {self.at_least:g}"
        if self.at_least == -inf:
            return f"<= {self.at_most:g}"
        return f"{self.at_least:g} to {self.at_most:g}"

    def __str__(self) -> str:
        return f"{self.estimate}, expected {self.threshold}"


class Curve(_Frozen):
    """Named columns over depth or mixture weight, for people to look at."""

    axis: Literal["site", "weight"]
    at: tuple[str, ...]
    columns: dict[str, tuple[float | None, ...]]


class ProbeNote(_Frozen):
    """A probe worth looking at, with the replies of the regimes side by side where there are replies."""

    probe: str
    note: str
    replies: dict[str, str] = Field(default_factory=dict)


class Evidence(_Frozen):
    """Criteria decide; the rest is what a person reads to believe it."""

    criteria: tuple[Criterion, ...]
    curve: Curve | None = None
    probes: tuple[ProbeNote, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the criteria."""
        return max((criterion.verdict for criterion in self.criteria), key=lambda verdict: verdict.severity)

    @property
    def decisive(self) -> Criterion:
        """The criterion that made the verdict: the worst, first come first."""
        return max(self.criteria, key=lambda criterion: criterion.verdict.severity)
