"""Basin: a conversation that was displaced and released keeps what was imposed, or goes back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from math import isfinite, nan
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import column, interval_series, series, table
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.conversations.axis import Axis, Scale
from coherence.properties.conversations.conversations import ConversationCase, Conversations
from coherence.properties.conversations.perturbation import Displaced, Imposed
from coherence.properties.criterion import over_scripts, unclear
from coherence.properties.eligibility import cast, supporting
from coherence.properties.property import Property
from coherence.properties.ranges import ANY
from coherence.properties.reading import at_site
from coherence.statistics.basin_map import BasinMap, returned
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import Pivot, mean, smallest
from coherence.vocabulary import Abscissa, Arrows, Criterion, Curve, Figures, ProbeNote, Regime, Site, Table
from coherence.vocabulary.evidence import number, ranged

BEGINS, ENDS = "at release", "at the end"
SINCE = Abscissa(title="turns since release")


@dataclass(frozen=True, eq=False)
class BasinSample:
    """Where conversations stand on the axes, from their release on."""

    axes: tuple[Axis, ...]
    displaced: Displaced
    record: Record
    seed: int

    @cached_property
    def scripts(self) -> list[str]:
        """Ids of the scripts, each a cluster of its own."""
        return [script.id for script in self.displaced.unmoved.scripts]

    @cached_property
    def scales(self) -> list[Scale]:
        """The axes in numbers."""
        return [axis.measured(self.record) for axis in self.axes]

    @cached_property
    def unreliable(self) -> str | None:
        """Say why nothing can be placed on one of the axes; None if it can."""
        both = zip(self.axes, self.scales, strict=True)
        doubts = (axis.unreliable(scale, self.seed) for axis, scale in both)
        return next(filter(None, doubts), None)

    @cached_property
    def unmoved(self) -> Array:
        """Positions of the unmoved ones, [scripts, 1 + turns since release, axes]."""
        return self._placed(self.displaced.unmoved)

    @cached_property
    def moved(self) -> Array:
        """How far the others are from there: [starts, scripts, 1 + turns since release, axes]."""
        return np.stack([self._placed(one) for one in self.displaced.moved.values()]) - self.unmoved

    @cached_property
    def reached(self) -> Interval:
        """Displacement of the first start at its release, along the first axis."""
        return mean(self.moved[0, :, 0, 0], self.scripts)

    @cached_property
    def returned(self) -> list[list[Pivot]]:
        """Share of the displacement that is gone, from each start at every turn since release."""
        return [
            [returned(moved[:, 0], now, self.scripts) for now in moved.swapaxes(0, 1)] for moved in self.moved
        ]

    @property
    def gone(self) -> list[Pivot]:
        """The same after the last turn."""
        return [turns[-1] for turns in self.returned]

    @cached_property
    def basins(self) -> BasinMap:
        """From every start to its end, along the first axis."""
        return BasinMap.of(self.moved[:, :, 0, 0], self.moved[:, :, -1, 0], self.scripts)

    def _placed(self, conversations: Conversations) -> Array:
        (site,) = {axis.site for axis in self.axes}
        residuals = at_site(self.record, self.displaced.readings(conversations, site), site)
        positions = np.stack([scale.positions(residuals) for scale in self.scales], axis=-1)
        return positions.reshape(len(self.scripts), -1, len(self.axes))


@dataclass(frozen=True)
class Displacing(ConversationCase[BasinSample]):
    """What is imposed on conversations, and read along the axes."""

    persona: str
    slug: str
    spec: "Basin"
    regimes: tuple[Regime, ...]
    axes: tuple[Axis, ...]
    displaced: Displaced

    def needs(self) -> Iterable[Measurement]:
        """Both ends of every axis, and every conversation from its release on."""
        return [
            *(need for axis in self.axes for need in axis.needs()),
            *(need for one in self.displaced.all for need in self.displaced.readings(one, self.spec.site)),
        ]

    def sample(self, record: Record, seed: int) -> BasinSample:
        """Place every answer from the release on."""
        return BasinSample(self.axes, self.displaced, record, seed)

    def _origin(self, sample: BasinSample) -> str:
        """Say what positions are measured from."""
        stands = (
            f"{number(at)} on the axis of {axis.persona}"
            for axis, at in zip(self.axes, sample.unmoved.mean(axis=(0, 1)), strict=True)
        )
        return f"positions are distances from the unmoved conversation, which stands at {', '.join(stands)}"


@dataclass(frozen=True)
class ReleaseCase(Displacing):
    """One displacement along one axis, followed from its release on."""

    def needs_for_figures(self) -> Iterable[Measurement]:
        """All answers: which of them are shown follows from their positions."""
        return [answer for one in self.displaced.all for answer in chain(*self.displaced.answers(one))]

    def criteria(self, sample: BasinSample) -> Iterator[Criterion]:
        """Yield those that were asked for; nothing can be placed on an axis that is noise."""
        spec, n, unreliable = self.spec, len(sample.scripts), sample.unreliable
        if (least := spec.min_reached) is not None:
            name = "displacement reached"
            yield over_scripts(name, sample.reached, n, least, unreliable=unreliable, key="min_reached")
        unreliable = unreliable or unclear("nothing is clearly displaced", sample.reached, n)
        if (least := spec.min_sustained) is not None:
            first, last = sample.moved[0][:, 0], sample.moved[0][:, -1]
            left = returned(first, first - last, sample.scripts).interval  # what is left does not go
            yield over_scripts("share sustained", left, n, least, unreliable=unreliable, key="min_sustained")
        if (least := spec.min_returned) is not None:
            gone = sample.gone[0].interval
            yield over_scripts("share returned", gone, n, least, unreliable=unreliable, key="min_returned")

    def figures(self, sample: BasinSample) -> Figures:
        """Show the course of the return, and what is said on it."""
        (course,), (moved,) = sample.returned, sample.moved[..., 0]
        lines = {
            "returned": interval_series(share.interval for share in course),
            "displacement": series(moved.mean(axis=0)),
        }
        turns = tuple(map(str, range(len(course))))
        return Figures(
            curve=Curve(over=SINCE, at=turns, series=lines, value="share returned, and displacement"),
            probes=tuple(self._extremes(sample, moved)),
            notes=(self._origin(sample),),
        )

    def controls(self) -> Mapping[str, Sequence["ReleaseCase"]]:
        """Impose nothing, another persona or random vectors in its place, and look along its own axis.

        Only where the displacement has to show: anything may go back. The conversations are for this alone,
        so one other persona has a turn.
        """
        if not self.regimes or (self.spec.min_reached is None and self.spec.min_sustained is None):
            return {}
        (regime,), scene = self.regimes, self.displaced.unmoved.scene
        others = (name for name in scene.personas if name not in (self.persona, self.spec.against))
        scenes = (
            *nothing(scene, self.persona, self.regimes),
            *islice(stand_ins(scene, self.persona, regime, others), 1),
            *random_vectors(scene, self.persona, self.regimes),
        )
        return {
            name: [
                replace(self, displaced=self.spec.displaced(self.persona, Imposed(self.slug), other))
                for other in several
            ]
            for name, several in scenes
        }

    def _extremes(self, sample: BasinSample, moved: Array) -> Iterator[ProbeNote]:
        """Show the script that keeps most of what was imposed, and the one that keeps least."""
        for row in dict.fromkeys((int(moved[:, -1].argmax()), int(moved[:, -1].argmin()))):
            course = ", ".join(map(number, moved[row]))
            yield ProbeNote(
                probe=sample.scripts[row],
                note=f"displacement from release on: {course}",
                replies=self._said(sample.record, row),
            )

    def _said(self, record: Record, row: int) -> dict[str, str]:
        moved, unmoved = (self.displaced.answers(one)[row] for one in self.displaced.all)
        later = f"{self.displaced.since} turns later"
        shown = {BEGINS: moved[0], later: moved[-1], "unmoved": unmoved[-1]}
        return {name: record.reply(reply) for name, reply in shown.items()}


@dataclass(frozen=True)
class MapCase(Displacing):
    """Many displacements, and where each comes to rest: along one axis a map, along two a plane."""

    def criteria(self, sample: BasinSample) -> Iterator[Criterion]:
        """Yield those that were asked for; nothing can be placed on an axis that is noise."""
        spec, n, unreliable = self.spec, len(sample.scripts), sample.unreliable
        if spec.border is not None and not self._is_plane:
            name, border = "border of the basins", sample.basins.border()
            yield over_scripts(name, border, n, *spec.border, unreliable, key="border")
        if (least := spec.min_returned) is not None:
            name, share = "least share returned from any start", smallest(sample.gone)
            yield over_scripts(name, share, n, least, unreliable=unreliable, key="min_returned")

    def figures(self, sample: BasinSample) -> Figures:
        """Draw the map, and write out where every start leads."""
        borders = () if self._is_plane else _borders(sample.basins)
        return Figures(
            curve=None if self._is_plane else _curve(sample.basins),
            arrows=self._arrows(sample) if self._is_plane else None,
            tables=(self._table(sample),),
            notes=(self._origin(sample), *borders),
        )

    @property
    def _is_plane(self) -> bool:
        return len(self.axes) > 1

    def _arrows(self, sample: BasinSample) -> Arrows:
        x, y = (axis.persona for axis in self.axes)
        start, end = (self._points(sample.moved[:, :, turn]) for turn in (0, -1))
        return Arrows(x=x, y=y, begins=BEGINS, ends=ENDS, start=start, end=end)

    def _points(self, moved: Array) -> dict[str, tuple[float | None, float | None]]:
        """Place every start in the plane, from [starts, scripts, axes]."""
        means = map(column, moved.mean(axis=1))
        return {name: (x, y) for name, (x, y) in zip(self.displaced.moved, means, strict=True)}

    def _table(self, sample: BasinSample) -> Table:
        """Where every start leads, and how much of it is gone."""
        places = {
            f"{axis.persona} {when}": sample.moved[:, :, turn, place].mean(axis=1)
            for when, turn in ((BEGINS, 0), (ENDS, -1))
            for place, axis in enumerate(self.axes)
        }
        gone = [share.interval for share in sample.gone]
        ends = {"low": [share.low for share in gone], "high": [share.high for share in gone]}
        name = f"from release to {self.displaced.since} turns later, and the share returned"
        columns = {**places, "returned": [share.value for share in gone], **ends}
        return table(name, self.displaced.moved, columns)


def _curve(basins: BasinMap) -> Curve:
    return Curve(
        over=Abscissa(title="position at release", diagonal="where it was released"),
        at=tuple(f"{start:.3g}" for start in basins.starts),
        series={"end": interval_series(basins.ends())},
        value="position at the end",
    )


def _borders(basins: BasinMap) -> Iterator[str]:
    clear = [one for one in basins.borders() if isfinite(one.low) and isfinite(one.high)]
    for one in clear:
        spread = ranged(one.value, one.low, one.high)
        yield f"a border between basins lies at {spread}: below it conversations go back, above it away"
    if not clear:
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
        regimes = {Regime.PROMPT}.union(*(one.regimes for one in self.imposed))
        able = set(supporting(regimes, scene))
        personas = [
            name
            for name in cast(self.personas, scene, able.__contains__)
            if name not in (self.against, self.across)
        ]
        if not personas:
            raise SuiteError("basin found no persona with a prompt and all that is imposed")
        return [case for persona in personas for case in self._cases(persona, scene)]

    def displaced(self, persona: str, imposed: Imposed, scene: Scene) -> Displaced:
        """Impose the whole of it."""
        if imposed is Imposed.TURNS:
            return Displaced.by_turns(scene)
        (regime,) = imposed.regimes
        return Displaced.by_regime(scene, {str(imposed): scene.condition(persona, regime)}, self.turns)

    def _cases(self, persona: str, scene: Scene) -> Iterator[Case]:
        axis = Axis.of(scene, persona, self.site, self.against)
        for imposed in self.imposed:
            name, regimes = str(imposed), imposed.regimes
            if any(getattr(self, key) is not None for key in self.claims.keys() - {"border"}):
                whole = self.displaced(persona, imposed, scene)
                yield ReleaseCase(persona, name, self, regimes, (axis,), whole)
            if self.starts and imposed.graded:
                beside = [{one: 1.0} for one in (persona, self.against) if one]
                starts = self._parts(imposed, scene, beside)
                yield MapCase(persona, f"{name}-map", self, regimes, (axis,), starts)
            if self.across and imposed.graded:
                other = Axis.of(scene, self.across, self.site, self.against)
                either = [{persona: 1.0}, {self.across: 1.0}, {persona: 0.5, self.across: 0.5}]
                starts = self._parts(imposed, scene, either)
                yield MapCase(persona, f"{name}-plane-{self.across}", self, regimes, (axis, other), starts)

    def _parts(self, imposed: Imposed, scene: Scene, mixtures: Iterable[Mapping[str, float]]) -> Displaced:
        """Impose a part at every start, by the name of the start."""
        (regime,) = imposed.regimes
        parts = [
            {name: start * weight for name, weight in mixture.items()}
            for mixture in mixtures
            for start in self.starts or ()
        ]
        conditions = {
            " and ".join(f"{name} {share:g}" for name, share in part.items()): scene.mixture(part, regime)
            for part in parts
        }
        return Displaced.by_regime(scene, conditions, self.turns)
