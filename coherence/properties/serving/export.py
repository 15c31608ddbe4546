"""Export: another form of a persona's adapter does what the adapter does, to the same tokens and as much."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isinf, isnan
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Condition, Likelihood, Measurement, Reading, Record, Reply, Scene
from coherence.properties.case import Case
from coherence.properties.control import NOTHING
from coherence.properties.criterion import held
from coherence.properties.eligibility import require_adapter, require_probes
from coherence.properties.markers import Replies, marks
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE
from coherence.properties.reading import within_reach
from coherence.properties.serving.at_doses import LOOKED, at_doses
from coherence.statistics.agreement import paired_difference
from coherence.statistics.alignment import Alignment
from coherence.statistics.dose_curve import DoseCurve
from coherence.statistics.effect_slope import Effects
from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Band, Criterion, Figures, Position, ProbeNote, Regime

LEAST_PROBES = 8
_FAINT = 0.01  # nats; an adapter that changes a token by less on average has no effect to be kept
_SHOWN = 3


def _several(written: object) -> object:
    return (written,) if isinstance(written, str) else written


Forms = Annotated[
    tuple[str, ...],
    BeforeValidator(_several, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]


@dataclass(frozen=True)
class ExportSample:
    """What adapter and form do to the tokens of the adapter's own replies."""

    case: "ExportCase"
    record: Record

    @cached_property
    def rows(self) -> list[int]:
        """Probes with a reply to look at: an empty one has no tokens."""
        own = self.case.likelihoods(self.case.reference)
        return [row for row, one in enumerate(own) if self.record.likelihood(one).size]

    @property
    def n(self) -> int:
        """How many those are."""
        return len(self.rows)

    @cached_property
    def clusters(self) -> list[str]:
        """The cluster of each."""
        return [self.case.scene.clusters[row] for row in self.rows]

    @cached_property
    def effects(self) -> Effects:
        """Log p(persona) - log p(bare) by token, of the form against the adapter."""
        form, reference = (self._effect(one, self.rows) for one in (self.case.form, self.case.reference))
        return Effects.of(form, reference, self.clusters)

    @cached_property
    def looked(self) -> list[int]:
        """Those of `rows` that are measured at other doses."""
        return [row for row in self.rows if row < LOOKED]

    @cached_property
    def scale(self) -> Interval:
        """At which scale of the adapter the form's effect is found."""
        form = self._effect(self.case.form, self.looked)
        doses = {1.0: self.case.reference, **at_doses(self.case.reference)}
        curve = {dose: self._effect(one, self.looked) for dose, one in doses.items()}
        return DoseCurve.of(form, curve, self.clusters[: len(self.looked)]).dose

    @cached_property
    def tokens(self) -> int:
        """How many tokens were looked at."""
        own = self.case.likelihoods(self.case.reference)
        return sum(self.record.likelihood(own[row]).size for row in self.rows)

    @cached_property
    def size(self) -> float:
        """Root mean square of the adapter's effect on a token, in nats."""
        return float(np.sqrt(self.effects.reference.sum() / self.tokens)) if self.tokens else 0.0

    @cached_property
    def alignment(self) -> Alignment:
        """How both move the residuals of the same replies, at the sites that are judged."""
        bare, form, reference = (
            self._residuals(one) for one in (self.case.scene.bare, self.case.form, self.case.reference)
        )
        return Alignment.of(form - bare, reference - bare, self.clusters)

    @cached_property
    def replies(self) -> tuple[Replies, Replies]:
        """What the adapter answers, and what the form does, with their markers."""
        markers = self.case.scene.personas[self.case.persona].markers
        reference, form = (
            Replies.of(map(self.record.reply, self.case.replies(one)), markers)
            for one in (self.case.reference, self.case.form)
        )
        return reference, form

    def _effect(self, condition: Condition, rows: Sequence[int]) -> list[Array]:
        under, bare = (self.case.likelihoods(one) for one in (condition, self.case.scene.bare))
        return [
            np.subtract(*(self.record.likelihood(one[row]) for one in (under, bare)), dtype=np.float64)
            for row in rows
        ]

    def _residuals(self, condition: Condition) -> Real:
        readings, sites = self.case.readings(condition), self.case.spec.sites
        stacks = [self.record.residuals(readings[row]) for row in self.rows]
        depths = [within_reach(site, len(stacks[0])).depth for site in (sites.sites if sites else ())]
        return np.stack([stack[depths] for stack in stacks], axis=1)


@dataclass(frozen=True)
class ExportCase(Case[ExportSample]):
    """One form of one persona's adapter, read over what the adapter says without a prompt."""

    persona: str
    slug: str
    spec: "Export"
    scene: Scene
    form: Condition
    regimes: tuple[Regime] = (Regime.ADAPTER,)

    def needs(self) -> Iterable[Measurement]:
        """Let the adapter answer, read its answers bare, under it and under the form; all that is judged."""
        return [one for step in self.steps() for one in step]

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Tokens first, then the same at other doses, residuals, and replies of the form's own."""
        every = (self.scene.bare, self.reference, self.form)
        yield [one for condition in every for one in self.likelihoods(condition)]
        if self._judges_scale:
            doses = at_doses(self.reference).values()
            yield [one for condition in doses for one in self.likelihoods(condition)[:LOOKED]]
        if self.spec.min_direction is not None:
            yield [one for condition in every for one in self.readings(condition)]
        if self.spec.max_difference is not None:
            yield [one for condition in (self.reference, self.form) for one in self.replies(condition)]

    def sample(self, record: Record, seed: int) -> ExportSample:
        """Take what was measured; nothing is drawn."""
        return ExportSample(self, record)

    def criteria(self, sample: ExportSample) -> Iterator[Criterion]:
        """Judge how much of the effect there is, that it is this effect, its direction, and markers."""
        spec, n = self.spec, sample.n
        unreliable = None if sample.size >= _FAINT else self._faint(sample)
        slope, cosine = sample.effects.slope, sample.effects.cosine
        yield held("effect slope", slope, n, spec.min_slope, unreliable=unreliable, key="min_slope")
        yield held("effect slope", slope, n, at_most=spec.max_slope, unreliable=unreliable, key="max_slope")
        if self._judges_scale:
            yield self._scale(sample, unreliable)
        yield held("effect cosine", cosine, n, spec.min_cosine, unreliable=unreliable, key="min_cosine")
        if spec.min_direction is not None:
            direction = sample.alignment.cosine()
            yield held("cosine of displacements", direction, n, spec.min_direction, key="min_direction")
        if spec.max_difference is not None:
            reference, form = (replies.hits for replies in sample.replies)
            apart = paired_difference(reference, form, self.scene.clusters)
            most = spec.max_difference
            yield held("marker rate form - adapter", apart, len(reference), -most, most, key="max_difference")

    @property
    def _judges_scale(self) -> bool:
        return self.spec.min_scale is not None or self.spec.max_scale is not None

    def _scale(self, sample: ExportSample, unreliable: str | None) -> Criterion:
        least = -inf if self.spec.min_scale is None else self.spec.min_scale
        most = inf if self.spec.max_scale is None else self.spec.max_scale
        key = "max_scale" if sample.scale.value > most or isinf(least) else "min_scale"
        return held("scale", sample.scale, len(sample.looked), least, most, unreliable, key=key)

    def figures(self, sample: ExportSample) -> Figures:
        """Show where the form does more or less than the adapter."""
        return Figures(
            fact=self._fact(sample), probes=tuple(self._furthest(sample)), notes=tuple(self._notes(sample))
        )

    def controls(self) -> Mapping[str, Sequence["ExportCase"]]:
        """Nothing in the place of the form, and what is exported of other personas, or their adapters."""
        kin, regime = self.scene.kin_of(self.persona), Regime.ADAPTER
        others = {
            name: self._of_other(name)
            for name in self.scene.supporting((regime,))
            if name != self.persona and name not in kin
        }
        conditions = {f"{name} by {what}": one for name, (what, one) in others.items()}
        return {
            name: [replace(self, form=condition)]
            for name, condition in {NOTHING: self.scene.bare, **conditions}.items()
            if condition not in (self.form, self.reference)
        }

    def _of_other(self, name: str) -> tuple[str, Condition]:
        forms = self.spec.forms.get(name)
        if forms:
            return forms[0], exported(self.scene, forms[0])
        return str(Regime.ADAPTER), self.scene.condition(name, Regime.ADAPTER)

    @cached_property
    def reference(self) -> Condition:
        """The persona's adapter, as the release has it."""
        return self.scene.condition(self.persona, Regime.ADAPTER)

    def replies(self, condition: Condition) -> list[Reply]:
        """Let a condition answer each probe."""
        return [Reply(condition, probe, self.scene.decoding) for probe in self.scene.probes]

    def likelihoods(self, condition: Condition) -> list[Likelihood]:
        """Ask how likely a condition finds the adapter's answers."""
        return [Likelihood(condition, reply.probe, reply) for reply in self.replies(self.reference)]

    def readings(self, condition: Condition) -> list[Reading]:
        """Read them under a condition, up to the last site that is judged."""
        through = self.spec.sites.sites[-1] if self.spec.sites else None
        return [
            Reading(condition, reply.probe, Position.RESPONSE_MEAN, reply, through)
            for reply in self.replies(self.reference)
        ]

    def _faint(self, sample: ExportSample) -> str:
        return (
            f"the adapter changes a token of its own replies by {sample.size:.1g} nats on average: there is "
            "no effect to be kept"
        )

    def _fact(self, sample: ExportSample) -> str | None:
        slope = sample.effects.slope
        if isnan(slope.value) or sample.size < _FAINT:
            return None
        return (
            f"{self.slug} keeps {slope.value:.0%} [{slope.low:.0%}, {slope.high:.0%}] of what the adapter of "
            f"{self.persona} does to the tokens of its own replies"
        )

    def _furthest(self, sample: ExportSample) -> Iterator[ProbeNote]:
        slopes = sample.effects.slopes
        for place in np.argsort(-np.abs(slopes - sample.effects.slope.value))[:_SHOWN]:
            row = sample.rows[place]
            reply = sample.record.reply(self.replies(self.reference)[row])
            markers = self.scene.personas[self.persona].markers
            yield ProbeNote(
                probe=self.scene.probes[row].id,
                note=f"effect slope {slopes[place]:.2f}",
                replies={"adapter": reply},
                marks={"adapter": marks(reply, markers)},
            )

    def _notes(self, sample: ExportSample) -> Iterator[str]:
        yield (
            f"the adapter changes a token by {sample.size:.2f} nats (root mean square, {sample.tokens} "
            f"tokens of {sample.n} replies)"
        )
        if self.spec.max_difference is not None:
            drawn = len(set(self.scene.clusters))
            for name, replies in zip(("adapter", self.slug), sample.replies, strict=True):
                yield replies.told(name, drawn)


def exported(scene: Scene, form: str) -> Condition:
    """Put a form into the model: an adapter or a checkpoint of the release, without a prompt."""
    return replace(scene.bare, adapters=((form, 1.0),))


class Export(Property):
    """Another form of an adapter keeps the persona: as much of its effect, and the same one.

    Forms are merged and quantized models, LoRA in GGUF, and converted adapters (`coherence export`). The
    effect on a token is log p(token | persona) - log p(token | bare), over what the adapter itself says.
    """

    family: ClassVar[str] = "serving"

    property: Literal["export"] = Field(description="Names this property.")
    personas: None = Field(None, description="Not used here: `forms` names them.")
    forms: dict[str, Forms] = Field(
        min_length=1,
        description="For each persona the names that other forms of its adapter have among the adapters of "
        "the release; one assertion each.",
    )
    min_slope: Annotated[float, ANY] = Field(
        0.9, description="Least effect slope: the share of the adapter's effect that the form has."
    )
    max_slope: Annotated[float, ANY] = Field(1.1, description="Largest effect slope.")
    min_scale: Annotated[float | None, ANY] = Field(
        0.75,
        ge=0,
        lt=1,
        description="Least scale of the adapter that would do what the form does, 1 being its own; null, as "
        "`max_scale` then, for adapters that have no scale.",
    )
    max_scale: Annotated[float | None, ANY] = Field(1.4, gt=1, le=4, description="Largest such scale.")
    min_cosine: Annotated[float, COSINE] = Field(
        0.9, ge=-1, le=1, description="Least cosine of both effects over all tokens, whatever their sizes."
    )
    min_direction: Annotated[float | None, COSINE] = Field(
        None,
        ge=-1,
        le=1,
        description="Least cosine of how both move the residuals of the replies at `sites`.",
    )
    sites: Band | None = Field(None, description="Where that is read; needed for `min_direction`.")
    max_difference: Annotated[float | None, COSINE] = Field(
        None,
        gt=0,
        le=1,
        description="Largest difference of the rates of replies with a marker, of either sign.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.min_slope >= self.max_slope:
            raise ValueError(f"min_slope {self.min_slope:g} is not below max_slope {self.max_slope:g}")
        if (self.min_direction is None) != (self.sites is None):
            raise ValueError("expected both of min_direction and sites, or neither")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per form; each must be in the release, and not the adapter itself."""
        require_probes(scene, LEAST_PROBES, "export")
        return [self._case(scene, persona, form) for persona, forms in self.forms.items() for form in forms]

    def _case(self, scene: Scene, persona: str, form: str) -> Case:
        reference = scene.condition(persona, Regime.ADAPTER)  # complains of what is missing
        require_adapter(scene, form)
        condition = exported(scene, form)
        if condition == reference:
            raise SuiteError(
                f"the form {form!r} is the adapter of {persona!r} itself; expected another one of the release"
            )
        if self.max_difference is not None and not scene.personas[persona].markers:
            raise SuiteError(f"max_difference compares markers, and persona {persona!r} has none")
        return ExportCase(persona, form, self, scene, condition)
