"""What a verdict rests on."""

import re
from math import inf, isclose, isfinite, isnan
from statistics import NormalDist
from sys import float_info
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from coherence.vocabulary.figures import Figures
from coherence.vocabulary.frozen import Frozen, Statistic, Text
from coherence.vocabulary.influence import Influence
from coherence.vocabulary.verdict import Verdict

FAMILY_WISE = 0.05  # how often any claim of a release at its thresholds may fail

UNTOLD = 1e6  # probes, where it is not known how many are needed: more than are ever said to be


def number(value: float) -> str:
    """Two decimals, fewer from 10 on, or two significant digits where decimals would say nothing (2e-05)."""
    if isnan(value):
        return "undefined"
    value = round(value, 12) + 0.0  # what rounding errors leave of a zero is a zero, and has no sign
    if value == 0 or 0.01 <= abs(value) < 1e6:
        return f"{value:.{2 if abs(value) < 10 else 1}f}"
    return f"{value:.2g}"


def ranged(value: float, low: float, high: float) -> str:
    """Say a value and the ends of what it lies in."""
    return f"{number(value)} [{number(low)}, {number(high)}]"


def chance(p: float) -> str:
    """Say a p-value, none of which is nothing."""
    return f"= {p:.2g}" if p >= 1e-12 else "< 1e-12"


Sampled = Literal["probes", "scripts", "tasks", "turns"]


def enough(n: int, needed: float, of: Sampled = "probes") -> str:
    """Say how many there are and about how many are needed."""
    return f"{n} {of}, about {int(needed) + 1} needed" if needed < 1000 else f"{n} {of}, over 1000 needed"


def _named_in(said: str) -> float:
    """Read back how many a sentence says are needed; without end where it says that more do not help.

    Where it says neither, that is more than any sentence says.
    """
    if "more probes do not help" in said:
        return inf
    counts = re.findall(r"(?:about|over) (\d+) needed", said)
    return max(map(float, counts), default=UNTOLD)


class Estimate(Frozen):
    """A statistic with its 95 % interval and the number of probes, scripts, tasks or turns it rests on."""

    name: str
    value: Statistic
    low: Statistic
    high: Statistic
    n: int = Field(ge=0)
    of: Sampled = Field("probes", description="What n counts.")
    influence: Influence | None = Field(
        None, description="What each cluster of probes adds to the value: pairs it with another release's."
    )

    @model_validator(mode="after")
    def _is_inside(self) -> Self:
        # What rounding moves an end past the value by is no contradiction.
        beyond = [
            end
            for end, past in ((self.low, self.value < self.low), (self.high, self.value > self.high))
            if past
        ]
        if self.low > self.high or not all(
            isclose(self.value, end, rel_tol=1e-6, abs_tol=1e-6) for end in beyond
        ):
            raise ValueError(f"{self.name} is {self.value:g}, outside of [{self.low:g}, {self.high:g}]")
        return self

    @property
    def spread(self) -> str:
        """The value and, unless it is exact or undefined, its interval."""
        if self.low == self.high == self.value or isnan(self.value):
            return number(self.value)
        return ranged(self.value, self.low, self.high)

    def lacking(self, bound: float) -> str:
        """Say how many there are, and about how many would move the bound out of the interval.

        An interval narrows with the square root of n, so the needed n follows from how far the bound is.
        """
        gap = abs(bound - self.value)
        reach = abs((self.high if bound > self.value else self.low) - self.value)
        share = reach / gap if gap else inf
        return enough(
            self.n, self.n * share * share, self.of
        )  # a power would overflow where this is infinite

    def __str__(self) -> str:
        return f"{self.name} {self.spread}"


class Adjusted(Frozen):
    """A p-value when all claims of a run are looked at together."""

    p: float = Field(ge=0, le=1)
    among: int = Field(
        ge=0, description="How many criteria of its family are counted; 0 where it is not counted itself."
    )
    families: int = Field(1, ge=0, description="How many families have criteria that are counted.")

    @property
    def share(self) -> float:
        """Which share of the level it has: that of its family, divided evenly."""
        return 1 / max(1, self.among * self.families)

    def __str__(self) -> str:
        of = "" if self.families == 1 else f" of its family, one of {self.families}"
        return f"among {self.among} criteria{of} (Holm: {chance(self.p).removeprefix('= ')})"


class Criterion(Frozen):
    """An estimate held against the range `[at_least, at_most]`."""

    estimate: Estimate
    at_least: float = -inf
    at_most: float = inf
    unreliable: Text | None = Field(None, description="Why the estimate cannot decide, if it cannot.")
    key: str | None = Field(None, description="Under which of the property's keys the range is written.")
    law: bool = Field(
        False,
        description="Exact for every example, or a fact about these probes: no interval, nothing to adjust.",
    )
    p: float | None = Field(
        None,
        ge=0,
        le=1,
        description="One-sided p of a truth inside the range, for an estimate that is outside it.",
    )
    p_outside: float | None = Field(
        None,
        ge=0,
        le=1,
        description="One-sided p of a truth outside the range, for an estimate that is inside it.",
    )
    adjusted: Adjusted | None = Field(None, description="The same among all claims of the run.")

    @model_validator(mode="after")
    def _is_of_a_p(self) -> Self:
        if self.adjusted and self.p is None:
            raise ValueError(f"{self.estimate.name} has a p among all claims; expected one alone, too")
        return self

    @property
    def verdict(self) -> Verdict:
        """The raw verdict, but no fail that the number of claims in the run explains."""
        return Verdict.INCONCLUSIVE if self.fails_only_alone else self.raw_verdict

    @property
    def fails_only_alone(self) -> bool:
        """Whether it fails by itself, and not among all claims of the run."""
        many = self.adjusted is not None and self.adjusted.p > FAMILY_WISE
        return many and self.raw_verdict is Verdict.FAIL

    @property
    def raw_verdict(self) -> Verdict:
        """Pass when the whole interval is inside the range, fail when all of it is outside."""
        if self.unreliable:
            return Verdict.INCONCLUSIVE
        low, high = self.estimate.low, self.estimate.high
        if self.at_least <= low and high <= self.at_most:
            return Verdict.PASS
        if high < self.at_least or low > self.at_most:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE

    def is_decided(self, verdict: Verdict, level: float) -> bool:
        """Tell whether it passes, or fails, by an interval that misses the truth with this level, too.

        What has no interval is decided by what it is.
        """
        if self.raw_verdict is not verdict:
            return False
        p = self.p_outside if verdict is Verdict.PASS else self.p
        return self.law or (p is not None and p <= level / 2)

    @property
    def threshold(self) -> str:
        """The range as a reader says it."""
        if self.at_most == inf:
            return f">= {self.at_least:g}"
        if self.at_least == -inf:
            return f"<= {self.at_most:g}"
        return f"{self.at_least:g} to {self.at_most:g}"

    @property
    def lacking(self) -> str:
        """Say how many there are, and about how many would make it fail among all claims too."""
        assert self.p is not None
        assert self.adjusted is not None
        n, of = self.estimate.n, self.estimate.of
        if not self.adjusted.among:
            return f"{n} {of}"
        # The p of a fail is at most half of the level but for how well p and interval agree; one that is too
        # small for a float is 0, which no quantile belongs to.
        alone, level = min(self.p, FAMILY_WISE / 2), FAMILY_WISE * self.adjusted.share
        now, then = (NormalDist().inv_cdf(max(p, float_info.min)) for p in (alone, level))
        return enough(n, n * (then / now) ** 2, of)

    @property
    def plainly(self) -> str:
        """The value and what was expected, without the interval and in words."""
        at = {"at least": self.at_least, "at most": self.at_most}
        bounds = [f"{word} {bound:g}" for word, bound in at.items() if isfinite(bound)]
        value = "has no value" if isnan(self.estimate.value) else f"is {number(self.estimate.value)}"
        return f"{self.estimate.name} {value}, expected {' and '.join(bounds)}"

    @property
    def needed(self) -> float:
        """About how many decide it, where it is inconclusive; without end where more do not help."""
        if self.verdict is not Verdict.INCONCLUSIVE:
            return 0.0
        return _named_in(self.unreliable or self.wanting)

    @property
    def wanting(self) -> str:
        """Say of an inconclusive one how many there are, and about how many decide it, if that is known."""
        if self.fails_only_alone:
            return self.lacking
        return f"n = {self.estimate.n}" if self.nearest is None else self.estimate.lacking(self.nearest)

    @property
    def nearest(self) -> float | None:
        """The bound inside the interval that is nearest to the value; None where none is inside."""
        value, low, high = self.estimate.value, self.estimate.low, self.estimate.high
        inside = [
            bound for bound in (self.at_least, self.at_most) if isfinite(bound) and low <= bound <= high
        ]
        return min(inside, key=lambda bound: abs(bound - value), default=None)

    @property
    def among_all(self) -> str:
        """Say what became of the p of a fail among all claims of the run; nothing where there is none."""
        if self.raw_verdict is not Verdict.FAIL or self.p is None or self.adjusted is None:
            return ""
        if not self.adjusted.among:
            return f"fails alone (p {chance(self.p)}), and misses no threshold that is written"
        if self.fails_only_alone:
            return f"fails alone (p {chance(self.p)}), not {self.adjusted}"
        return f"p {chance(self.p)}, {self.adjusted}"

    def __str__(self) -> str:
        return f"{self.estimate}, expected {self.threshold}"


def _unpaired(criterion: Criterion) -> Criterion:
    """Leave out what would pair a control with one of another release: nobody compares them."""
    if criterion.estimate.influence is None:
        return criterion
    estimate = criterion.estimate.model_copy(update={"influence": None})
    return criterion.model_copy(update={"estimate": estimate})


Unpaired = Annotated[Criterion, AfterValidator(_unpaired)]


class Control(Frozen):
    """The same claim with something in the persona's place that is not the persona: it must not pass."""

    name: Text = Field(description="What stands in the persona's place.")
    criterion: Unpaired | None = Field(
        None, description="The first that it does not pass, or of all that it passes; absent after an error."
    )
    met: tuple[Unpaired, ...] = Field(
        (), description="The other criteria that it was judged by, in their order: it passes them."
    )
    problem: Text | None = Field(None, description="Why it could not be measured.")

    @property
    def verdict(self) -> Verdict:
        """Pass when it meets every criterion of the claim, an error when it could not be measured."""
        return self.criterion.verdict if self.criterion else Verdict.ERROR

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """All that it was judged by, in the order of the claim."""
        decisive = (self.criterion,) if self.criterion else ()
        return (*decisive, *self.met) if self.verdict is Verdict.PASS else (*self.met, *decisive)

    def __str__(self) -> str:
        return f"{self.name}, {self.criterion or self.problem}"


class Evidence(Figures):
    """Criteria and controls decide; the rest is what a person reads to believe it."""

    criteria: tuple[Criterion, ...] = Field(min_length=1)
    controls: tuple[Control, ...] = Field(
        (), description="What the claim was held against; only claims that pass by themselves are."
    )

    @property
    def verdict(self) -> Verdict:
        """The worst of the criteria; a pass that a control gets as well is inconclusive."""
        return self._controlled(self.decisive.verdict)

    @property
    def raw_verdict(self) -> Verdict:
        """The same of the criteria, each looked at by itself."""
        return self._controlled(max((one.raw_verdict for one in self.criteria), key=lambda one: one.severity))

    @property
    def decisive(self) -> Criterion:
        """The criterion that made the verdict: the worst, by itself too, first come first.

        Of several that are inconclusive it is the one that needs most: what decides it decides the others.
        """
        return max(
            self.criteria, key=lambda one: (one.verdict.severity, one.raw_verdict.severity, one.needed)
        )

    @property
    def neediest(self) -> Criterion:
        """The inconclusive criterion that needs most probes; first come first."""
        return max(self.criteria, key=lambda one: one.needed)

    def own(self, criterion: Criterion) -> Criterion | None:
        """Find the claim's own criterion of what a control was judged by: that of its key, or of its name."""

        def statistic(one: Criterion) -> str:
            return one.key or one.estimate.name

        return next((one for one in self.criteria if statistic(one) == statistic(criterion)), None)

    @property
    def passing_control(self) -> Control | None:
        """The first control that passes too, if the criteria pass."""
        if self.decisive.verdict is not Verdict.PASS:
            return None
        return next((control for control in self.controls if control.verdict is Verdict.PASS), None)

    def _controlled(self, verdict: Verdict) -> Verdict:
        return Verdict.INCONCLUSIVE if self.passing_control else verdict
