"""Conflict: where one persona is prompted and another steered to, the dose at which the vector wins."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.plan import Condition, Measurement, Reading, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import interval_columns, interval_series, over_depth, table
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held, unclear
from coherence.properties.eligibility import Couple, require_probes
from coherence.properties.property import Property
from coherence.properties.ranges import SIZE
from coherence.properties.reading import ExampleReplies, Readings, Residuals, within_reach
from coherence.statistics.intervals import Interval
from coherence.statistics.response import Contest
from coherence.vocabulary import Band, Criterion, Curve, Figures, Position, Regime, Site, Table

LEAST_PROBES = 8
LEAST_DOSES = 3


@dataclass(frozen=True, eq=False)
class ConflictSample:
    """The prompted persona under every dose, from none on, and the other's prompt: as they were read."""

    case: "ConflictCase"
    record: Record

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.case.scene.probes)

    @cached_property
    def judged(self) -> Contest:
        """The contest at the site that is judged."""
        return self.at(self._judged_depth)

    @cached_property
    def winning(self) -> list[Interval]:
        """The dose that wins at every site; nothing where the two prompts do not lie apart."""
        contests = (self.at(depth) for depth in range(self._residuals.shape[1]))
        return [one.winning if one.axis.low > 0 else Interval.unknown() for one in contests]

    @cached_property
    def without_axis(self) -> str | None:
        """Say that both prompts do the same; None if they do not."""
        axis = self.judged.axis
        if np.isnan(axis.value):
            return "both prompts do the same: there is no axis between them"
        return unclear("the two prompts do not lie apart", axis, self.n)

    def at(self, depth: int) -> Contest:
        """Hold the contest at one depth."""
        *steered, other = self._residuals[:, depth]
        mixed = np.stack(steered)
        return Contest(self.case.spec.doses, mixed, other - mixed[0], self.case.scene.clusters)

    @cached_property
    def _residuals(self) -> Residuals:
        """Residuals of every condition, [conditions, depths, probes, width]."""
        readings = self.case.readings
        return np.stack([readings.residuals(self.record, one) for one in self.case.conditions])

    @property
    def _judged_depth(self) -> int:
        return within_reach(self.case.spec.site, self._residuals.shape[1]).depth


@dataclass(frozen=True)
class ConflictCase(Case[ConflictSample]):
    """A prompt of one persona against the vector of another, at several doses."""

    persona: str
    slug: str
    spec: "Conflict"
    scene: Scene
    regimes: tuple[Regime, Regime] = (Regime.PROMPT, Regime.STEERING)

    def needs(self) -> Iterable[Measurement]:
        """Read the prompts of both, and the first under every dose, on every probe."""
        return self._read(self.conditions)

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Have replies to look at."""
        return self._examples.replies.values()

    def sample(self, record: Record, seed: int) -> ConflictSample:
        """Place the prompted persona under every dose between both prompts."""
        return ConflictSample(self, record)

    def criteria(self, sample: ConflictSample) -> Iterator[Criterion]:
        """Hold the dose that wins against its range."""
        least, most = self.spec.wins_at
        yield held(
            f"dose at which {self.spec.of[1]} wins",
            sample.judged.winning,
            sample.n,
            least,
            most,
            sample.without_axis,
            key="wins_at",
        )

    def figures(self, sample: ConflictSample) -> Figures:
        """Show the position over the doses, and the dose that wins at every site."""
        apart = sample.without_axis is None
        return Figures(
            fact=self._fact(sample) if apart else None,
            curve=self._curve(sample),
            tables=(self._positions(sample),),
            probes=(self._examples.note(sample.record),),
            notes=tuple(self._notes(sample)) if apart else (),
        )

    def controls(self) -> Mapping[str, Sequence["ConflictCase"]]:
        """Nothing, another persona or random vectors in the place of the one that is steered to.

        Its doses are measured for this alone, so one other persona has a turn.
        """
        first, second = self.spec.of
        others = (name for name in self.scene.personas if name != first)
        scenes = (
            *nothing(self.scene, second, (Regime.STEERING,)),
            *islice(stand_ins(self.scene, second, Regime.STEERING, others), 1),
            *random_vectors(self.scene, second, (Regime.STEERING,)),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    @cached_property
    def readings(self) -> Readings:
        """Where residuals are read: at every site, as the dose is shown for each."""
        return Readings(self.scene, self.spec.position)

    @cached_property
    def conditions(self) -> list[Condition]:
        """The first persona's prompt under every dose, from none on, and then the other's prompt."""
        return [*self._steered.values(), self.scene.condition(self.spec.of[1], Regime.PROMPT)]

    @property
    def _steered(self) -> dict[float, Condition]:
        first, second = self.spec.of
        prompted = self.scene.condition(first, Regime.PROMPT)
        steers = self.scene.condition(second, Regime.STEERING).steers
        return {
            dose: replace(prompted, steers=tuple(replace(steer, dose=dose) for steer in steers if dose))
            for dose in self.spec.doses
        }

    def _read(self, conditions: Iterable[Condition]) -> list[Reading]:
        return [reading for condition in conditions for reading in self.readings.of(condition)]

    def _fact(self, sample: ConflictSample) -> str:
        (first, second), most = self.spec.of, self.spec.doses[-1]
        position = sample.judged.position[-1].value
        against = f"against the prompt of {first}, the vector of {second}"
        if position < 0.5:
            return f"{against} does not win up to dose {most:g}, where it is {position:.0%} of the way"
        return f"{against} wins from dose {sample.judged.winning.value:.2g} on"

    def _curve(self, sample: ConflictSample) -> Curve:
        return over_depth(
            {"dose that wins": interval_series(sample.winning)},
            np.array([not one.value < self.spec.doses[-1] for one in sample.winning]),
            "dose",
            Band((self.spec.site,)),
        )

    def _positions(self, sample: ConflictSample) -> Table:
        rows = (f"dose {dose:g}" for dose in self.spec.doses)
        first, second = self.spec.of
        name = f"position at {self.spec.site}: 0 at the prompt of {first}, 1 at that of {second}"
        return table(name, rows, interval_columns("m", sample.judged.position))

    def _notes(self, sample: ConflictSample) -> Iterator[str]:
        won = {
            Site.at_depth(depth): one.value
            for depth, one in enumerate(sample.winning)
            if one.value < self.spec.doses[-1]
        }
        if not won:
            yield f"the vector wins at no site up to dose {self.spec.doses[-1]:g}"
            return
        least = min(won, key=lambda site: won[site])
        sites = f"{len(won)} of {len(sample.winning)} sites"
        yield f"least dose that wins: {won[least]:.2g}, at {least}; it wins at {sites}"

    @property
    def _examples(self) -> ExampleReplies:
        return ExampleReplies(
            self.scene, {f"dose {dose:g}": condition for dose, condition in self._steered.items()}
        )


def _rising_from_none(doses: tuple[float, ...]) -> tuple[float, ...]:
    if len(doses) < LEAST_DOSES or doses[0] != 0 or min(np.diff(doses)) <= 0:
        raise ValueError(f"the doses {list(doses)} do not rise from 0 over at least two more")
    return doses


class Conflict(Property):
    """Where a prompt says one persona and a vector another, the vector wins from a dose in a range on.

    The vector has won where residuals are nearer to the other's prompt than to the prompt that is there.
    """

    family: ClassVar[str] = "space"

    property: Literal["conflict"] = Field(description="Names this property.")
    personas: None = Field(None, description="Not used here: `of` has both.")
    of: Couple = Field(description="The persona that is prompted, and the one whose vector is added.")
    doses: Annotated[tuple[float, ...], AfterValidator(_rising_from_none)] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0), description="Doses of the vector, rising from 0."
    )
    wins_at: Annotated[tuple[float, float], SIZE] = Field(
        description="Range in which the least dose must lie at which the vector wins; below the largest dose."
    )
    site: Site = Field(description="Where that is read; the curve has the dose at every site.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token it is read.")

    @model_validator(mode="after")
    def _within_the_doses(self) -> Self:
        least, most = self.wins_at
        if not 0 <= least < most < self.doses[-1]:
            raise ValueError(
                f"the range {list(self.wins_at)} does not rise within 0 to the largest dose, "
                f"{self.doses[-1]:g}: beyond that nothing is known"
            )
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """Make the one case; the first persona needs a prompt, the second a prompt and a vector."""
        require_probes(scene, LEAST_PROBES, "conflict")
        first, second = self.of
        for name, regime in ((first, Regime.PROMPT), (second, Regime.PROMPT), (second, Regime.STEERING)):
            scene.condition(name, regime)  # complains of what is missing
        return [ConflictCase("-".join(self.of), "prompt-steering", self, scene)]
