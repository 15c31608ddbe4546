"""What a verdict rests on."""

from math import inf
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from coherence.vocabulary.verdict import Verdict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


# JSON cannot carry a lone surrogate, which a model's text may hold: it is written out as `\ud800`.
Text = Annotated[str, AfterValidator(lambda text: text.encode("utf-8", "backslashreplace").decode())]


def number(value: float) -> str:
    """Two decimals, or two significant digits where decimals would say nothing (0.00002 is 2e-05)."""
    value = round(value, 12) + 0.0  # what rounding errors leave of a zero is a zero, and has no sign
    return f"{value:.2f}" if value == 0 or 0.01 <= abs(value) < 1e6 else f"{value:.2g}"


class Estimate(_Frozen):
    """A statistic with its 95 % interval and the number of probes it rests on."""

    name: str
    value: float
    low: float
    high: float
    n: int

    @property
    def spread(self) -> str:
        """The value and, unless it is exact, its interval."""
        if self.low == self.high == self.value:
            return number(self.value)
        return f"{number(self.value)} [{number(self.low)}, {number(self.high)}]"

    def __str__(self) -> str:
        return f"{self.name} {self.spread}"


class Criterion(_Frozen):
    """An estimate held against the range `[at_least, at_most]`."""

    estimate: Estimate
    at_least: float = -inf
    at_most: float = inf
    unreliable: Text | None = Field(None, description="Why the estimate cannot decide, if it cannot.")

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
    note: Text
    replies: dict[str, Text] = Field(default_factory=dict)


class Evidence(_Frozen):
    """Criteria decide; the rest is what a person reads to believe it."""

    criteria: tuple[Criterion, ...]
    curve: Curve | None = None
    probes: tuple[ProbeNote, ...] = ()
    notes: tuple[Text, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the criteria."""
        return max((criterion.verdict for criterion in self.criteria), key=lambda verdict: verdict.severity)

    @property
    def decisive(self) -> Criterion:
        """The criterion that made the verdict: the worst, first come first."""
        return max(self.criteria, key=lambda criterion: criterion.verdict.severity)
