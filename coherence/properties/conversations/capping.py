"""Capping: a bound on how far the model goes towards a persona holds it, and costs nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from operator import attrgetter
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Condition, Divergence, Measurement, Record, Reply, Scene
from coherence.properties.case import Case
from coherence.properties.columns import POSITION, TURNS, interval_columns, series
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.capped import CappedSample, largest_known
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    ConversationCase,
    Conversations,
    require_scripts,
)
from coherence.properties.conversations.drifting import Drifted, Drifting
from coherence.properties.conversations.shifts import by_turn
from coherence.properties.criterion import held, over_scripts
from coherence.properties.eligibility import cast, require_probes, supporting
from coherence.properties.highest import Tail, at_worst
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, SHARE, SIZE
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import positive_mean
from coherence.vocabulary import Bound, Criterion, Curve, Figures, ProbeNote, Regime, Site, Table
from coherence.vocabulary.evidence import Sampled, number

LEAST_PROBES = 8
KL = "KL of the bare model under the cap"
HOLDING = {
    "max_position": ("highest turn of the assistant", "the highest turn", attrgetter("highest")),
    "max_rate": ("marker rate under the cap", "the marker rate", attrgetter("rate")),
}


@dataclass(frozen=True)
class CappingCase(ConversationCase[CappedSample]):
    """One persona in one regime, without a cap and with it."""

    persona: str
    slug: str
    spec: "Capping"
    regimes: tuple[Regime]
    free: Drifting
    bound: Bound

    @property
    def units(self) -> tuple[Sampled, ...]:
        """Scripts, and the probes for KL, which is the bare model's."""
        return super().units if self.spec.max_kl is None else (*super().units, "probes")

    def needs(self) -> Iterable[Measurement]:
        """List the answers, and what else is asked for."""
        sides, spec = (self.free, self.capped), self.spec
        needs = [need for side in sides for need in side.needs()]
        if spec.max_user_shift is not None:
            needs += [reading for side in sides for reading in side.user()]
        if spec.max_perplexity is not None:
            bare = self.free.scene.bare
            needs += [each for side in sides for each in side.conversations.likelihoods(bare).values()]
        return [*needs, *self._divergences] if spec.max_kl is not None else needs

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Read what the user says, in either conversation and under the cap where there was none."""
        across = self.free.user(under=self.capped.conversations.condition)
        return [*self.free.user(), *self.capped.user(), *across]

    def sample(self, record: Record, seed: int) -> CappedSample:
        """Place both conversations on the axis."""
        free = Drifted.of(self.free, record, seed)
        return CappedSample(free, free.under(self.capped.conversations.condition), self._divergences)

    def criteria(self, sample: CappedSample) -> Iterator[Criterion]:
        """Judge what was asked for."""
        unreliable = sample.free.unreliable or self._idle(sample)
        yield from self._holds(sample, unreliable)
        yield from self._costs(sample, unreliable)
        if (most := self.spec.max_kl) is not None:
            mean, n = positive_mean(sample.divergence, self.free.scene.clusters), len(sample.divergence)
            yield held(f"{KL}, nats", mean, n, at_most=most, key="max_kl")
            yield self._tail(sample, most).criterion()

    def figures(self, sample: CappedSample) -> Figures:
        """Show all traces in one picture, whatever is asked for."""
        courses = {
            "assistant": sample.free.course,
            "assistant, capped": sample.capped.course,
            "user": sample.free.user,
            "user, capped": sample.capped.user,
        }
        lines = {name: series(course.means) for name, course in courses.items()}
        return Figures(
            curve=Curve(over=TURNS, at=self.free.turns, series=lines, value=POSITION),
            tables=tuple(_tables(sample)),
            probes=(_highest(sample),),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["CappingCase"]]:
        """Cap along the axis of another persona, at the same bound: that must not hold this one.

        Only where the persona has to be held, and only about that: any cap may leave the user's turns and
        the bare model alone. Its conversations are measured for this alone, so one has a turn.
        """
        if self.spec.max_position is None and self.spec.max_rate is None:
            return {}
        holding = self.spec.model_copy(
            update=dict.fromkeys(self.spec.claims.keys() - {"max_position", "max_rate"})
        )
        scene, own = self.free.scene, {self.persona, self._towards}
        own = own.union(*map(scene.kin_of, own))
        others = (name for name in scene.personas if name not in own and scene.supports(name, Regime.PROMPT))
        return {
            f"a cap towards {other}": [
                replace(self, spec=holding, bound=self.bound.model_copy(update={"persona": other}))
            ]
            for other in islice(others, 1)
        }

    @cached_property
    def capped(self) -> Drifting:
        """The same conversations under the cap, which go on by themselves from the first turn."""
        return self.free.under(self._under(self.free.conversations.condition))

    @property
    def _divergences(self) -> list[Divergence]:
        """What the cap does to the bare model at its own replies, one per probe."""
        scene, under = self.free.scene, self._under(self.free.scene.bare)
        bare, decoding = scene.bare, scene.decoding
        return [
            Divergence(under, probe, bare, Reply(bare, probe, decoding), decoding.max_new_tokens)
            for probe in scene.probes
        ]

    @property
    def _towards(self) -> str:
        return self.bound.persona or self.persona

    def _under(self, condition: Condition) -> Condition:
        return self.free.scene.capped(condition, self.persona, self.bound)

    def _holds(self, sample: CappedSample, unreliable: str | None) -> Iterator[Criterion]:
        """Judge whether the persona is held where it has to be."""
        for key, (name, without, statistic) in HOLDING.items():
            if (most := getattr(self.spec, key)) is not None:
                free, capped = map(statistic, sample.sides.values())
                why, n = unreliable or _needless(without, free, most), len(sample.free.scripts)
                yield over_scripts(name, capped, n, at_most=most, unreliable=why, key=key)

    def _costs(self, sample: CappedSample, unreliable: str | None) -> Iterator[Criterion]:
        """Judge what it does to the user's turns, and to what is said."""
        spec, n = self.spec, len(sample.free.scripts)
        over = partial(over_scripts, unreliable=unreliable)
        if (most := spec.max_user_shift) is not None:
            name, shift = "largest shift of the user's turns", sample.largest_shift
            yield over(name, shift, n, at_most=most, key="max_user_shift")
        if (most := spec.max_perplexity) is not None:
            name, (ratio, there) = "perplexity under the cap over without", sample.perplexity
            yield over(name, ratio, there, at_most=most, key="max_perplexity")

    def _tail(self, sample: CappedSample, most: float) -> Tail:
        worst = at_worst(self.spec.max_worst_kl, most)
        return Tail(KL, "max_worst_kl", sample.divergence, self.free.scene.clusters, worst)

    def _idle(self, sample: CappedSample) -> str | None:
        if not sample.idle:
            return None
        return (
            f"the cap changes nothing: under {self.slug} no token goes beyond {self.bound.at:g} of the way "
            f"to {self._towards} at {self.bound.sites}"
        )

    def _notes(self, sample: CappedSample) -> Iterator[str]:
        free, capped = (number(side.highest.value) for side in sample.sides.values())
        yield f"the assistant's highest turn stands at {free} without the cap and at {capped} under it"
        if self.free.markers:
            without, under = (f"{side.rate.value:.0%}" for side in sample.sides.values())
            yield f"answers with a marker: {without} without the cap, {under} under it"
        own, through = sample.largest_shift, largest_known(sample.shifts_of_same_text)
        yield (
            f"the user's turns move by up to {number(own.value)}; by {number(through.value)} where both "
            "read the same text"
        )
        if self.spec.max_kl is not None:
            yield from self._tail(sample, self.spec.max_kl).notes()


def _needless(what: str, free: Interval, most: float) -> str | None:
    """Say that nothing has to be held; None where it is clear that it has."""
    if free.low > most:
        return None
    return f"{what} without the cap, {number(free.value)}, is not clearly above {most:g}: nothing is held"


def _tables(sample: CappedSample) -> Iterator[Table]:
    parts = {
        "positions of the assistant's turns under the cap": sample.capped.by_turn,
        "shifts of the user's turns by the cap": sample.shifts,
        "the same, both reading the text that was said without it": sample.shifts_of_same_text,
    }
    yield from (by_turn(name, interval_columns("value", intervals)) for name, intervals in parts.items())
    shares = {name: side.hits.means for name, side in sample.sides.items()}
    yield by_turn("share of answers with a marker", shares)


def _highest(sample: CappedSample) -> ProbeNote:
    values = sample.capped.course.values
    row, turn = map(int, np.unravel_index(np.nanargmax(values), values.shape))
    at = ", ".join(f"{name} {side.course.values[row, turn]:.2f}" for name, side in sample.sides.items())
    return ProbeNote(
        probe=sample.free.scripts[row],
        note=f"the highest answer under the cap is that to turn {turn + 1}: {at}",
        replies={name: side.texts[row, turn] for name, side in sample.sides.items()},
    )


class Capping(Property):
    """A cap towards a persona holds what a regime puts into the model, and leaves the rest alone.

    Both are said through whole conversations (arXiv 2601.10387), by turn, of the assistant and of the user
    apart (arXiv 2604.17031).
    """

    family: ClassVar[str] = "attractor"

    property: Literal["capping"] = Field(description="Names this property.")
    regimes: tuple[Regime, ...] = Field(
        (Regime.PROMPT,), description="Regimes that put the persona into the model; one assertion each."
    )
    cap: Bound | None = Field(None, description="The bound; default: that of the persona.")
    site: Site = Field(
        description="Where traces are read. Beyond the sites of the cap it is open where they lie."
    )
    max_position: Annotated[float | None, ANY] = Field(
        None,
        description="Highest position that the assistant's turns have under the cap, at any turn: 0 is "
        "the bare model, 1 the prompted persona.",
    )
    max_rate: Annotated[float | None, SHARE] = Field(
        None, ge=0, le=1, description="Largest share of answers that show a marker of the persona."
    )
    max_user_shift: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest shift of the user's turns by the cap, of either sign, at any turn.",
    )
    max_perplexity: Annotated[float | None, SIZE] = Field(
        None,
        gt=0,
        description="Largest perplexity of the answers to the bare model, in units of that without the cap.",
    )
    max_kl: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest KL, in nats, of the next tokens of the bare model from those under the cap, "
        "over its own replies to the probes.",
    )
    max_worst_kl: Annotated[float | None, SIZE] = Field(
        None, ge=0, description="Largest such KL at any probe, in nats; default: ten times `max_kl`."
    )

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        self.require_one(*(key for key in self.claims if key != "max_worst_kl"))
        if self.max_worst_kl is not None and self.max_kl is None:
            raise ValueError("max_worst_kl goes with max_kl: it bounds what that is the mean of")
        for regime in self.regimes:
            if "cap" in regime.layers:
                raise ValueError(f"{regime} has a cap already; expected what it is put upon, such as prompt")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona with a prompt, for the axis, a cap and what is asked for."""
        require_probes(scene, LEAST_PROBES, "capping")
        require_scripts(scene.scripts, LEAST_SCRIPTS, "capping")
        cases = (
            self._case(scene, persona, regime)
            for regime in self.regimes
            for persona in cast(self.personas, scene, partial(self._able, scene, regime))
        )
        return self.at_least_one(cases, "that a regime puts into the model and a cap is for")

    def _able(self, scene: Scene, regime: Regime, persona: str) -> bool:
        settings = scene.personas[persona]
        bounded = self.cap is not None or settings.cap is not None
        counted = self.max_rate is None or bool(settings.markers)
        return bounded and counted and persona in supporting((Regime.PROMPT, regime), scene)

    def _case(self, scene: Scene, persona: str, regime: Regime) -> Case:
        settings = scene.personas[persona]
        bound = self.cap or settings.cap
        if bound is None:
            raise SuiteError(f"persona {persona!r} has no cap; expected one there, or `cap:` here")
        if self.max_rate is not None and not settings.markers:
            raise SuiteError(f"persona {persona!r} has no markers, and max_rate counts them")
        conversations = Conversations(scene, scene.scripts, scene.condition(persona, regime))
        free = Drifting(Axis.of(scene, persona, self.site), conversations)
        scene.capped(scene.bare, persona, bound)  # complains of an axis that nobody has a prompt for
        return CappingCase(persona, str(regime), self, (regime,), free, bound)
