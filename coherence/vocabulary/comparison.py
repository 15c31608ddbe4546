"""What changed since a baseline: a difference for each criterion, and what it comes to."""

from collections import Counter
from typing import Literal

from pydantic import Field

from coherence.vocabulary.evidence import number, ranged
from coherence.vocabulary.frozen import Frozen, Statistic, Text

Kind = Literal["regressed", "vanished", "unclear", "improved", "appeared", "level"]
Failing = Literal["regressed", "vanished", "none"]


class Difference(Frozen):
    """Value now minus value in the baseline, with its 95 % interval."""

    value: Statistic
    low: Statistic
    high: Statistic
    of: Literal["value", "distance"] = Field(
        "value", description="`distance`: of the distances from the middle of a range with two ends."
    )
    paired: bool = Field(description="By probe; otherwise as if each release had probes of its own.")

    def __str__(self) -> str:
        return number(self.value) if self.low == self.high else ranged(self.value, self.low, self.high)


class Change(Frozen):
    """One criterion in both releases, or in one of them."""

    suite: str
    assertion: str
    statistic: Text
    kind: Kind = Field(description="What gates: adjusted for how many criteria are compared.")
    alone: Kind = Field(description="What it would be if it were the only one.")
    before: Statistic | None = None
    now: Statistic | None = None
    difference: Difference | None = None
    p: float | None = Field(
        None, description="Two-sided p of a difference within the tolerance, for one beyond it."
    )

    @property
    def said(self) -> str:
        """The kind, or that it is one only by itself."""
        return self.kind if self.kind == self.alone else f"{self.kind}, {self.alone} alone"

    def __str__(self) -> str:
        name = f"{self.assertion}, {self.statistic}"
        if self.difference is None or self.before is None or self.now is None:
            return f"{name}: {self.said}"
        distance = " further from the middle of its range" if self.difference.of == "distance" else ""
        how = "" if self.difference.paired else " (unpaired)"
        return (
            f"{name}: {number(self.before)}, now {number(self.now)}: "
            f"{self.difference}{distance}{how}: {self.said}"
        )


class Comparison(Frozen):
    """A run beside a baseline, worst first."""

    baseline: Text = Field(description="Path of the baseline.")
    started: str = Field(description="When the blessed run started: ISO 8601, UTC.")
    tolerance: float = Field(description="How much worse is not a regression, in units of the statistic.")
    fails_on: Failing = "regressed"
    notes: tuple[Text, ...] = ()
    changes: tuple[Change, ...]

    @property
    def failing(self) -> tuple[Change, ...]:
        """The changes that fail the run, by `fails_on`."""
        kinds = {"none": (), "regressed": ("regressed",), "vanished": ("regressed", "vanished")}
        return tuple(change for change in self.changes if change.kind in kinds[self.fails_on])

    @property
    def sentence(self) -> str:
        """How many changed, and how."""
        counts = Counter(change.kind for change in self.changes)
        kinds: tuple[Kind, ...] = ("regressed", "improved", "appeared", "vanished", "level", "unclear")
        counted = ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts[kind])
        return f"since the baseline of {self.started}: {counted or 'nothing to compare'}"
