"""Basin: a conversation that was displaced and released keeps what was imposed, or goes back."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite, nan
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene
from coherence.properties.columns import column
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.conversations import Array, ConversationCase
from coherence.properties.conversations.perturbation import Displaced, Imposed
from coherence.properties.criterion import over_scripts, unclear
from coherence.properties.eligibility import cast
from coherence.properties.property import Case, Property
from coherence.properties.ranges import ANY
from coherence.statistics.basin import BasinMap, least_returned, returned
from coherence.statistics.jackknife import mean
from coherence.vocabulary import Criterion, Curve, Evidence, ProbeNote, Site, Table
from coherence.vocabulary.evidence import number


@dataclass(frozen=True)
class Displacing(ConversationCase):
    """What is imposed on conversations, and read along the axes."""

    persona: str
    slug: str
    asked: "Basin"
    axes: tuple[Axis, ...]
    displaced: Mapping[str, Displaced]

    def needs(self) -> Iterable[Measurement]:
        """Both ends of every axis, and every conversation."""
        return [
            *(need for axis in self.axes for need in axis.needs()),
            *(need for displaced in self.displaced.values() for need in displaced.needs(self.axes)),
        ]

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield those that were asked for; nothing can be placed on an axis that is noise."""
        noisy = next(filter(None, (axis.unreliable(record, seed) for axis in self.axes)), None)
        return self._criteria(record, noisy)

    @abstractmethod
    def _criteria(self, record: Record, unreliable: str | None) -> Iterator[Criterion]: ...

    @property
    def _scripts(self) -> list[str]:
        return next(iter(self.displaced.values())).scripts

    @property
    def _since(self) -> int:
        return next(iter(self.displaced.values())).since

    def _unmoved(self, record: Record) -> str:
        displaced = next(iter(self.displaced.values()))
        stands = (
            f"{number(displaced.unmoved_at(record, axis))} on the axis of {axis.persona}"
            for axis in self.axes
        )
        return f"positions are distances from the unmoved conversation, which stands at {', '.join(stands)}"


@dataclass(frozen=True)
class ReleaseCase(Displacing):
    """One displacement, followed from its release on."""

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge what was asked for; the course of the return is there in any case."""
        moved = self._moved(record)
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=self._curve(moved),
            probes=tuple(self._notes(record, moved)),
            notes=(self._unmoved(record),),
        )

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Impose nothing, another persona or random vectors in its place, and look along its own axis.

        Only where the displacement has to show: anything may go back. The conversations are for this alone,
        so one other persona has a turn.
        """
        regime = Imposed(self.slug).regime
        if regime is None or (self.asked.min_reached is None and self.asked.min_sustained is None):
            return {}
        scene = self._displaced.moved.scene
        others = (name for name in scene.personas if name not in (self.persona, self.asked.against))
        scenes = (
            *nothing(scene, self.persona, (regime,)),
            *islice(stand_ins(scene, self.persona, regime, others), 1),
            *random_vectors(scene, self.persona, (regime,)),
        )
        return {
            name: [
                replace(self, displaced={self.slug: self._instead(other)}) for other in several
            ]
            for name, several in scenes
        }  # fmt: skip

    def _instead(self, scene: Scene) -> Displaced:
        regime = Imposed(self.slug).regime
        assert regime is not None
        moved = replace(self._displaced.moved, condition=scene.condition(self.persona, regime))
        return replace(self._displaced, moved=moved)

    def _criteria(self, record: Record, unreliable: str | None) -> Iterator[Criterion]:
        moved, asked, n = self._moved(record), self.asked, len(self._scripts)
        first, last = moved[:, :1], moved[:, -1:]
        reached = mean(moved[:, 0], self._scripts)
        if (least := asked.min_reached) is not None:
            name = "displacement reached"
            yield over_scripts(name, reached, n, least, unreliable=unreliable, key="min_reached")
        unreliable = unreliable or unclear("nothing is clearly displaced", reached, n)
        if (least := asked.min_sustained) is not None:
            left = returned(first, first - last, self._scripts).interval  # what is left is what does not go
            yield over_scripts("share sustained", left, n, least, unreliable=unreliable, key="min_sustained")
        if (least := asked.min_returned) is not None:
            gone = returned(first, last, self._scripts).interval
            yield over_scripts("share returned", gone, n, least, unreliable=unreliable, key="min_returned")

    def _curve(self, moved: Array) -> Curve:
        course = [returned(moved[:, :1], moved[:, [turn]], self._scripts).interval for turn in self._turns]
        return Curve(
            axis="since",
            at=tuple(map(str, self._turns)),
            columns={
                "returned": column(one.value for one in course),
                "low": column(one.low for one in course),
                "high": column(one.high for one in course),
                "displacement": column(moved.mean(axis=0)),
            },
        )

    def _notes(self, record: Record, moved: Array) -> Iterator[ProbeNote]:
        """Show the script that keeps most of what was imposed, and the one that keeps least."""
        for row in dict.fromkeys((int(moved[:, -1].argmax()), int(moved[:, -1].argmin()))):
            course = ", ".join(number(value) for value in moved[row])
            yield ProbeNote(
                probe=self._scripts[row],
                note=f"displacement from release on: {course}",
                replies=self._displaced.said(record, row),
            )

    @property
    def _turns(self) -> range:
        return range(1 + self._displaced.since)

    @property
    def _displaced(self) -> Displaced:
        return self.displaced[self.slug]

    def _moved(self, record: Record) -> Array:
        return self._displaced.displacement(record, self.axes[0])


@dataclass(frozen=True)
class MapCase(Displacing):
    """Many displacements, and where each comes to rest: along one axis a map, along two a plane."""

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge what was asked for, and draw the map."""
        start, end = self._ends(record)
        plane = len(self.axes) > 1
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=self._arrows(start, end) if plane else self._curve(self._map(start, end)),
            tables=(self._table(start, end),),
            notes=(self._unmoved(record), *(() if plane else self._borders(self._map(start, end)))),
        )

    def _criteria(self, record: Record, unreliable: str | None) -> Iterator[Criterion]:
        (start, end), n = self._ends(record), len(self._scripts)
        if self.asked.border is not None and len(self.axes) == 1:
            found, (low, high) = self._map(start, end).border(), self.asked.border
            yield over_scripts("border of the basins", found, n, low, high, unreliable, key="border")
        if self.asked.min_returned is not None:
            yield over_scripts(
                "least share returned from any start",
                least_returned(start, end, self._scripts),
                n,
                self.asked.min_returned,
                unreliable=unreliable,
                key="min_returned",
            )

    def _ends(self, record: Record) -> tuple[Array, Array]:
        """Displacement at release and at the end, [starts, scripts, axes] each."""
        moved = np.stack(
            [
                np.stack([displaced.displacement(record, axis) for axis in self.axes], axis=-1)
                for displaced in self.displaced.values()
            ]
        )
        return moved[:, :, 0], moved[:, :, -1]

    def _map(self, start: Array, end: Array) -> BasinMap:
        return BasinMap.of(start[..., 0], end[..., 0], self._scripts)

    def _curve(self, basins: BasinMap) -> Curve:
        ends = basins.ends()
        return Curve(
            axis="start",
            at=tuple(f"{start:.3g}" for start in basins.starts),
            columns={
                "end": column(one.value for one in ends),
                "low": column(one.low for one in ends),
                "high": column(one.high for one in ends),
            },
        )

    def _arrows(self, start: Array, end: Array) -> Curve:
        columns = {
            f"{axis.persona} {name}": column(side[..., place].mean(axis=1))
            for name, side in (("at release", start), ("at the end", end))
            for place, axis in enumerate(self.axes)
        }
        return Curve(axis="plane", at=tuple(self.displaced), columns=columns)

    def _table(self, start: Array, end: Array) -> Table:
        """Where every start leads, and how much of it is gone."""
        gone = [returned(*both, self._scripts).interval for both in zip(start, end, strict=True)]
        means = np.concatenate([start.mean(axis=1), end.mean(axis=1)], axis=1)
        names = [axis.persona for axis in self.axes]
        return Table(
            name=f"from release to {self._since} turns later, and the share returned",
            rows=tuple(self.displaced),
            columns=(*(f"{name} at release" for name in names), *(f"{name} at the end" for name in names),
                     "returned", "low", "high"),
            cells=tuple(
                column((*row, one.value, one.low, one.high)) for row, one in zip(means, gone, strict=True)
            ),
        )  # fmt: skip

    def _borders(self, basins: BasinMap) -> Iterator[str]:
        told = [one for one in basins.borders() if isfinite(one.low) and isfinite(one.high)]
        for one in told:
            spread = f"{number(one.value)} [{number(one.low)}, {number(one.high)}]"
            yield f"a border between basins lies at {spread}: below it conversations go back, above it away"
        if not told:
            yield "no border between basins is told from noise within these starts"


def _rising(starts: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if starts is not None and (starts[0] <= 0 or min(np.diff(starts), default=nan) <= 0):
        raise ValueError(f"the starts {list(starts)} do not rise from above 0, the unmoved conversation")
    return starts


def _range(border: tuple[float, float] | None) -> tuple[float, float] | None:
    if border is not None and not border[0] < border[1]:
        raise ValueError(f"the range {list(border)} does not rise")
    return border


class Basin(Property):
    """What becomes of a displacement that is imposed on a conversation for a while and then released.

    Displacement and release after arXiv 2601.10387 and 2604.17031; positions are those on the axis from the
    bare model, or an opposite, to the prompted persona.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["basin"] = Field(description="Names this property.")
    against: str | None = Field(
        None, description="The persona at the other end of the axis; default: the bare model."
    )
    imposed: tuple[Imposed, ...] = Field(
        (Imposed.PROMPT,),
        min_length=1,
        description="What displaces the conversations, one assertion each: a regime for the first turns, or "
        "the turns that scripts begin with (`turns`): those that press, and those whose answer is written.",
    )
    turns: int = Field(2, ge=1, description="For how many turns a regime is imposed.")
    starts: Annotated[tuple[float, ...] | None, AfterValidator(_rising)] = Field(
        None,
        min_length=2,
        description="Shares of the persona's dose or adapter to start from: a map from start to end as one "
        "more assertion for each regime that can be imposed in part. With `against`, that persona's as well.",
    )
    across: str | None = Field(
        None,
        description="Another persona, whose axis makes the map a plane: one more assertion, from starts of "
        "either and of both.",
    )
    site: Site = Field(description="Where positions are read, in the mean over an answer.")
    min_reached: Annotated[float | None, ANY] = Field(
        None, ge=0, description="Least displacement at release; the prompted persona's is 1."
    )
    min_sustained: Annotated[float | None, ANY] = Field(
        None, description="Least share of the displacement that is left after the last turn."
    )
    min_returned: Annotated[float | None, ANY] = Field(
        None,
        description="Least share of it that is gone after the last turn; in maps, from every start.",
    )
    border: Annotated[tuple[float, float] | None, AfterValidator(_range), ANY] = Field(
        None, description="Range in which the border of two basins must lie; needs `starts`."
    )

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        self.require_one(*self.claims)
        if self.starts and not any(one.graded for one in self.imposed):
            raise ValueError(
                "starts are shares of what is imposed; expected steering or adapter in `imposed`"
            )
        if self.starts and self.border is None and self.min_returned is None:
            raise ValueError("nothing is asserted of the map; expected border or min_returned")
        if not self.starts and (self.border or self.across):
            raise ValueError("border and across are about a map; expected `starts` as well")
        if self.across and self.min_returned is None:
            raise ValueError("nothing is asserted of the plane; expected min_returned")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona and what is imposed, and one for each map."""
        regimes = [one.regime for one in self.imposed if one.regime]

        def able(persona: str) -> bool:
            return all(scene.supports(persona, used) for used in (Imposed.PROMPT.regime, *regimes) if used)

        personas = [
            name for name in cast(self.personas, scene, able) if name not in (self.against, self.across)
        ]
        if not personas:
            raise SuiteError("basin found no persona with a prompt and all that is imposed")
        return [case for persona in personas for case in self._cases(persona, scene)]

    def _cases(self, persona: str, scene: Scene) -> Iterator[Case]:
        axis = Axis.of(scene, persona, self.site, self.against)
        for imposed in self.imposed:
            if any(getattr(self, key) is not None for key in self.claims.keys() - {"border"}):
                whole = {str(imposed): self._whole(persona, imposed, scene)}
                yield ReleaseCase(persona, str(imposed), self, (axis,), whole)
            if self.starts and imposed.graded:
                beside = [{name: 1.0} for name in (persona, self.against) if name]
                starts = self._parts(imposed, scene, beside)
                yield MapCase(persona, f"{imposed}-map", self, (axis,), starts)
            if self.across and imposed.graded:
                other = Axis.of(scene, self.across, self.site, self.against)
                either = [{persona: 1.0}, {self.across: 1.0}, {persona: 0.5, self.across: 0.5}]
                starts = self._parts(imposed, scene, either)
                yield MapCase(persona, f"{imposed}-plane-{self.across}", self, (axis, other), starts)

    def _whole(self, persona: str, imposed: Imposed, scene: Scene) -> Displaced:
        if imposed.regime is None:
            return Displaced.by_turns(scene)
        return Displaced.by_regime(scene, scene.condition(persona, imposed.regime), self.turns)

    def _parts(
        self, imposed: Imposed, scene: Scene, mixtures: Iterable[Mapping[str, float]]
    ) -> dict[str, Displaced]:
        """Impose a part at every start, by the name of the start."""
        assert imposed.regime is not None
        found = {}
        for mixture in mixtures:
            for start in self.starts or ():
                part = {name: start * weight for name, weight in mixture.items()}
                name = " and ".join(f"{one} {weight:g}" for one, weight in part.items())
                condition = scene.mixture(part, imposed.regime)
                found[name] = Displaced.by_regime(scene, condition, self.turns)
        return found
