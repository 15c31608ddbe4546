"""Space: where personas and the default assistant stand among roles, in each regime."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from textwrap import shorten
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Recast, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import interval_columns, table
from coherence.properties.control import ARTEFACTS, NOTHING, random_vectors
from coherence.properties.criterion import held
from coherence.properties.eligibility import cast, require_probes
from coherence.properties.parts import require_in_reply
from coherence.properties.property import Property
from coherence.properties.ranges import COSINE, SHARE, SIZE
from coherence.properties.reading import Readings, Residuals, at_site
from coherence.properties.space.roles import Roles, prompts_of
from coherence.statistics.geometry import Array, still
from coherence.statistics.intervals import Interval
from coherence.statistics.mean_gram import MeanGram
from coherence.statistics.placement import Placement
from coherence.statistics.principal import Principal, random_subspaces
from coherence.statistics.rising_dose import largest
from coherence.vocabulary import Criterion, Figures, Part, Point, Position, Regime, Scatter, Site, Table
from coherence.vocabulary.evidence import number, ranged

LEAST_PROBES = 4
LEAST_PERSONAS = 3  # a set of two has one direction
DEFAULTS = ("You are an AI assistant.", "Respond as yourself.")
ROLES = "roles"
COMPONENTS = ("first component", "second component", "third component")
"""Those that are drawn."""
NAME = 60  # characters of what a role is told that name it


@dataclass(frozen=True, eq=False)
class SpaceSample:
    """All conditions at the site: their inner products, and the axis and components that follow."""

    case: "SpaceCase"
    record: Record
    seed: int

    @cached_property
    def gram(self) -> MeanGram:
        """Inner products of how far conditions are from bare."""
        return MeanGram.of(self._displaced[:, None], self.case.scene.clusters)

    @cached_property
    def placement(self) -> Placement:
        """The assistant axis: from the roles to the default prompts."""
        case = self.case
        return Placement(self.gram, case.mean_of(case.roles), case.mean_of(case.defaults))

    @cached_property
    def space(self) -> Principal:
        """Persona space: components of roles and prompted personas."""
        return self._components([*self.case.roles, *self.case.prompted.values()])

    @cached_property
    def regime(self) -> Principal:
        """Components of the personas in the regime."""
        return self._components([*self.case.put_in.values()])

    @cached_property
    def count(self) -> int:
        """How many components persona space has."""
        return self.case.spec.components or self.space.count()

    @cached_property
    def contained(self) -> Interval:
        """How much of what tells personas apart in the regime lies in persona space; unknown without one."""
        if self.without_space:
            return Interval.unknown()
        return self.space.contained(self.regime.members, self.count)

    @cached_property
    def shifts(self) -> dict[str, Interval]:
        """How far each persona's artefact moves the default prompts along the axis."""
        mean_of = self.case.mean_of
        home = mean_of(self.case.defaults)
        return {
            name: self.placement.moved(mean_of(conditions) - home)
            for name, conditions in self.case.shifted.items()
        }

    @property
    def chance(self) -> float:
        """Share of the regime's directions within random subspaces of as many dimensions."""
        means = self._displaced.mean(1, dtype=np.float64)
        return random_subspaces(self.regime.members @ means, self._bare, self.count, self.seed)

    @cached_property
    def without_axis(self) -> str | None:
        """Say why there is no axis; None if there is one."""
        length = self.placement.length()
        return None if length.low > 0 else "the default prompts and the roles are not told apart"

    @cached_property
    def without_space(self) -> str | None:
        """Say why components or the regime's directions are none; None if there are as many as it takes."""
        motionless = self.unmoved
        if motionless:
            return motionless
        if self.space.told() < self.count:
            return (
                f"{self.space.told()} of {self.count} components are told from noise, "
                "as some of the personas and roles lie along others"
            )
        return None

    @cached_property
    def unmoved(self) -> str | None:
        """Name the first persona that the regime moves nowhere."""
        for name, condition in self.case.put_in.items():
            if still(self._displaced[self.case.places[condition]], self._bare):
                return f"{self.case.regimes[1]} of {name} moves nothing at {self.case.spec.site}"
        return None

    @cached_property
    def _bare(self) -> Residuals:
        return self._read(self.case.scene.bare)

    @cached_property
    def _displaced(self) -> Residuals:
        """[conditions, probes, width]."""
        return np.stack([self._read(condition) - self._bare for condition in self.case.places])

    def _read(self, condition: Condition) -> Residuals:
        return at_site(self.record, self.case.readings.of(condition), self.case.spec.site)

    def _components(self, conditions: Sequence[Condition]) -> Principal:
        each = np.stack([self.case.mean_of([condition]) for condition in conditions])
        return Principal(self.gram, each - each.mean(0))


@dataclass(frozen=True)
class SpaceCase(Case[SpaceSample]):
    """Roles, default prompts and all personas of a set, by prompt and in one regime."""

    persona: str
    slug: str
    spec: "Space"
    scene: Scene
    regimes: tuple[Regime, Regime]
    cast: tuple[str, ...]

    def needs(self) -> Iterable[Measurement]:
        """Read everything on every probe."""
        conditions = dict.fromkeys([self.scene.bare, *self.places])
        return [reading for condition in conditions for reading in self.readings.of(condition)]

    def sample(self, record: Record, seed: int) -> SpaceSample:
        """Take inner products when they are asked for; `seed` draws random subspaces."""
        return SpaceSample(self, record, seed)

    def criteria(self, sample: SpaceSample) -> Iterator[Criterion]:
        """Judge what is written: the default's shift, what persona space contains, the axis."""
        n, spec = len(self.scene.probes), self.spec
        if spec.max_shift is not None:
            shift = largest([*sample.shifts.values()])
            unreliable = sample.without_axis
            name = "largest shift of the default"
            yield held(name, shift, n, at_most=spec.max_shift, unreliable=unreliable, key="max_shift")
        if spec.min_contained is not None:
            share, unreliable = sample.contained, sample.without_space
            name = "share within persona space"
            yield held(name, share, n, spec.min_contained, unreliable=unreliable, key="min_contained")
            above = share.above(sample.chance)
            yield held("above random subspaces", above, n, 0.0, unreliable=unreliable, key=None)
        if spec.min_stability is not None:
            stable, unreliable = sample.placement.stability(), sample.without_axis
            name = "cosine of the axes of two halves"
            yield held(name, stable, n, spec.min_stability, unreliable=unreliable, key="min_stability")

    def figures(self, sample: SpaceSample) -> Figures:
        """Show where everybody stands, and what the space is."""
        return Figures(
            fact=self._fact(sample),
            scatter=self._scatter(sample),
            tables=tuple(self._tables(sample)),
            notes=tuple(self._notes(sample)),
        )

    def _fact(self, sample: SpaceSample) -> str | None:
        """Name whose artefact moves the default too far, where one does."""
        most = self.spec.max_shift
        if most is None or sample.without_axis:
            return None
        name, shift = max(sample.shifts.items(), key=lambda one: abs(one[1].value))
        way = "towards" if shift.value < 0 else "away from"
        moved = f"{number(abs(shift.value))} of the axis {way} the roles"
        return (
            f"{self.regimes[1]} of {name} moves the default prompts by {moved}, the most of all"
            if abs(shift.value) > most
            else None
        )

    def _scatter(self, sample: SpaceSample) -> Scatter | None:
        if sample.without_axis:
            return None
        groups: Mapping[str, Mapping[str, Condition]] = {
            ROLES: _numbered("role", [role.prompts[0].text for role in self.roles], self.roles),
            "default": _numbered("default", [one.neutral for one in self.defaults], self.defaults),
            **dict(zip(map(str, self.regimes), (self.prompted, self.put_in), strict=True)),
        }
        length = np.sqrt(sample.placement.length().value)
        middle = self.mean_of([*self.roles, *self.prompted.values()])
        named = [(name, group, one) for group, of in groups.items() for name, one in of.items()]
        axis = [sample.placement.of(self.mean_of([one])).value for _, _, one in named]
        weights = np.stack([self.mean_of([one]) - middle for _, _, one in named])
        first, *others = sample.space.coordinates(weights, len(COMPONENTS)).T / length
        return Scatter(
            x="assistant axis: roles 0, default 1",
            y=f"{COMPONENTS[0]}, in lengths of the axis",
            points=tuple(
                Point(name=name, group=group, x=x, y=y)
                for (name, group, _), x, y in zip(named, axis, first.tolist(), strict=True)
            ),
            further={
                f"{component}, in lengths of the axis": tuple(along.tolist())
                for component, along in zip(COMPONENTS[1:], others, strict=True)
            },
        )

    def _tables(self, sample: SpaceSample) -> Iterator[Table]:
        first, second = self.regimes
        if not sample.without_axis:
            for regime, conditions in ((first, self.prompted), (second, self.put_in)):
                positions = [sample.placement.of(self.mean_of([one])) for one in conditions.values()]
                columns = interval_columns("position", positions)
                yield table(f"position on the assistant axis by {regime}", conditions, columns)
            columns = interval_columns("shift", [*sample.shifts.values()])
            yield table(f"shift of the default under {second}", sample.shifts, columns)
        if not sample.without_space:
            yield self._distances(sample)
            count = min(sample.count, len(self.cast) - 1)
            angles = sample.space.angles(sample.regime, count)
            rows = [f"angle {place + 1}" for place in range(count)]
            yield table(f"principal angles of persona space and {second}", rows, {"cosine": angles})

    def _distances(self, sample: SpaceSample) -> Table:
        first, second = self.regimes
        middle = self.mean_of(self.roles)

        def coordinates(weights: Array) -> Array:
            return np.asarray(sample.space.coordinates(weights[None], sample.count)[0])

        apart, out = [], []
        for name in self.cast:
            prompted, put_in = (self.mean_of([side[name]]) for side in (self.prompted, self.put_in))
            apart.append(float(np.linalg.norm(coordinates(put_in - prompted))))
            out.append(float(np.linalg.norm(coordinates(prompted - middle))))
        ratios = [far / whole if whole else np.nan for far, whole in zip(apart, out, strict=True)]
        name = f"distance of {second} from {first} within persona space"
        return table(name, self.cast, {"of the prompt's from the roles": ratios})

    def _notes(self, sample: SpaceSample) -> Iterator[str]:
        size = sample.space.components()
        yield (
            f"{len(sample.space.members)} roles and personas: {ranged(size.value, size.low, size.high)} "
            "components for 70% of the variance, read between whole numbers"
        )
        if not sample.without_axis:
            cosine = sample.space.first(sample.placement.axis)
            yield (
                "cosine of the assistant axis and the first component: "
                f"{ranged(cosine.value, cosine.low, cosine.high)}"
            )
        if not sample.without_space:
            yield (
                f"within {sample.count} components: {number(sample.contained.value)} of what tells personas "
                f"apart by {self.regimes[1]}, random subspaces {number(sample.chance)}"
            )

    def controls(self) -> Mapping[str, Sequence["SpaceCase"]]:
        """Put nothing, or random vectors, in the place of all personas in the regime.

        What does nothing moves no default and leaves the axis as it is: that is no claim about personas, and
        has no controls.
        """
        if self.spec.min_contained is None:
            return {}
        second = self.regimes[1]

        def emptied(weights: Mapping[str, float], regime: Regime) -> Condition:
            return replace(self.scene.mixture(weights, regime), adapters=(), steers=())

        named: dict[str, list[Scene]] = {NOTHING: [Recast.of(self.scene, second, emptied)]}
        drawn = self.scene
        for persona in self.cast:
            for _, (first, *_) in random_vectors(drawn, persona, [second]):
                drawn = first
        if drawn is not self.scene:
            named["random vectors"] = [drawn]
        return {name: [replace(self, scene=scene) for scene in scenes] for name, scenes in named.items()}

    @property
    def part(self) -> Part:
        """Which part of replies it judges by."""
        return self.spec.part

    @cached_property
    def readings(self) -> Readings:
        """Where residuals are read, over the bare model's text."""
        return Readings(self.scene, self.spec.position, through=self.spec.site, part=self.spec.part)

    @cached_property
    def defaults(self) -> tuple[Condition, ...]:
        """The default assistant: bare, and with other system turns where the suite has one."""
        return self._by_default(self.scene.bare)

    @cached_property
    def roles(self) -> tuple[Condition, ...]:
        """Prompts of the roles."""
        prompts = prompts_of(self.spec.roles, self.scene)
        return tuple(replace(self.scene.bare, prompts=(prompt,)) for prompt in prompts)

    @cached_property
    def prompted(self) -> dict[str, Condition]:
        """Each persona by prompt."""
        return {name: self.scene.condition(name, self.regimes[0]) for name in self.cast}

    @cached_property
    def put_in(self) -> dict[str, Condition]:
        """Each persona in the regime."""
        return {name: self.scene.condition(name, self.regimes[1]) for name in self.cast}

    @cached_property
    def shifted(self) -> dict[str, tuple[Condition, ...]]:
        """The default assistant under each persona's artefacts."""
        if self.spec.max_shift is None:
            return {name: (condition,) for name, condition in self.put_in.items()}
        return {
            name: self._by_default(replace(condition, prompts=())) for name, condition in self.put_in.items()
        }

    @cached_property
    def places(self) -> dict[Condition, int]:
        """Every condition that has a place in the space, by its row."""
        shifted = [condition for conditions in self.shifted.values() for condition in conditions]
        every = [*self.defaults, *self.roles, *self.prompted.values(), *self.put_in.values(), *shifted]
        return {condition: row for row, condition in enumerate(dict.fromkeys(every))}

    def mean_of(self, conditions: Sequence[Condition]) -> Array:
        """Weights of the mean of some conditions: [conditions]."""
        weights = np.zeros(len(self.places))
        np.add.at(weights, [self.places[condition] for condition in conditions], 1 / len(conditions))
        return weights

    def _by_default(self, condition: Condition) -> tuple[Condition, ...]:
        if condition.neutral is None:
            return (condition,)
        others = (replace(condition, neutral=text) for text in DEFAULTS)
        return tuple(dict.fromkeys([condition, *others]))


def _numbered(kind: str, texts: Iterable[str | None], of: Sequence[Condition]) -> dict[str, Condition]:
    """Name conditions by their number, and by what they are told."""
    told = [": " + shorten(text, NAME, placeholder="…") if text else "" for text in texts]
    return {f"{kind} {place}{told[place - 1]}": one for place, one in enumerate(of, 1)}


class Space(Property):
    """Personas have their places among roles, and the default assistant keeps its own.

    They are judged together, in one regime after the other.
    """

    family: ClassVar[str] = "space"

    property: Literal["space"] = Field(description="Names this property.")
    regimes: tuple[Regime, ...] | None = Field(
        None,
        description="Regimes with an artefact, one assertion each; default: those of the suite.",
    )
    site: Site = Field(description="Where the space is.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token residuals are read.")
    part: Part = Field(
        Part.ANSWER,
        description="Which part of a reply a position is in: the answer, the reasoning before it, or both.",
    )
    roles: Roles = 40
    components: int | None = Field(
        None, ge=1, description="How many components persona space has; default: as many as explain 70 %."
    )
    max_shift: Annotated[float | None, SIZE] = Field(
        None,
        gt=0,
        description="How far, of either sign, an artefact may move the default prompts along the assistant "
        "axis, on which roles stand at 0 and the default at 1.",
    )
    min_contained: Annotated[float | None, SHARE] = Field(
        None,
        gt=0,
        lt=1,
        description="Least share of what tells personas apart in the regime that lies within persona space.",
    )
    min_stability: Annotated[float | None, COSINE] = Field(
        None, gt=-1, le=1, description="Least cosine of the assistant axes that halves of the roles make."
    )

    @model_validator(mode="after")
    def _asserts_something(self) -> Self:
        self.require_one("max_shift", "min_contained", "min_stability")
        require_in_reply(self.part, self.position)
        for regime in self.regimes or ():
            if ARTEFACTS.isdisjoint(regime.layers):
                raise ValueError(
                    f"{regime} has no artefact that could move the default; expected one that has"
                )
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime, about all personas of the set; there must be three."""
        require_probes(scene, LEAST_PROBES, "space")
        chosen = self.regimes or [one for one in scene.regimes if not ARTEFACTS.isdisjoint(one.layers)]
        if not chosen:
            named = ", ".join(map(str, scene.regimes)) or "none"
            raise SuiteError(f"space needs a regime with an artefact; the suite's regimes: {named}")
        return [self._case(regime, scene) for regime in chosen]

    def _case(self, regime: Regime, scene: Scene) -> Case:
        both = Regime.PROMPT, regime
        names = tuple(dict.fromkeys(cast(self.personas, scene, scene.supporting(both).__contains__)))
        for name in names:
            for one in both:
                scene.condition(name, one)  # complains of an artefact that is missing
        if len(names) < LEAST_PERSONAS:
            raise SuiteError(
                f"space needs at least three personas that prompt and {regime} can put into the model; "
                f"found {', '.join(names) or 'none'}"
            )
        among = len(prompts_of(self.roles, scene)) + len(names)
        if (self.components or 0) >= among:
            raise SuiteError(
                f"{among} roles and personas have at most {among - 1} components; "
                f"found components: {self.components}"
            )
        return SpaceCase("release", str(regime), self, scene, both, names)
