"""Gateway: one direction moves what a model says where it is read early, and hardly any more late."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene, Steer
from coherence.properties.case import Case
from coherence.properties.columns import at_least, interval_series, table
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held
from coherence.properties.eligibility import cast, require_probes, require_vector, supporting
from coherence.properties.prompted_replies import PromptedReplies
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE, RECOVERED, SIZE
from coherence.properties.space.swept import Swept
from coherence.statistics.alignment import Alignment
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.site_effects import SiteEffects
from coherence.vocabulary import Abscissa, Band, Criterion, Curve, Figures, Operation, Regime, Site, Table
from coherence.vocabulary.evidence import number, ranged

LEAST_PROBES = 8
LEAST_SITES = 3
LEAST_BEHAVIOURS = 3  # replies of one persona, or of two, make no profile
ADDED = Abscissa(title="blocks passed where it is added")


@dataclass(frozen=True, eq=False)
class GatewaySample:
    """The effects of a persona's vector, and of one beside it, at every site; and its profile."""

    case: "GatewayCase"
    record: Record

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.case.scene.probes)

    @cached_property
    def effects(self) -> SiteEffects:
        """Those of the vector."""
        return self.case.swept.effects(self.record)

    @cached_property
    def beside(self) -> SiteEffects | None:
        """Those of the vector beside it, if there is one."""
        beside = self.case.beside
        return None if beside is None else beside.effects(self.record)

    @cached_property
    def read(self) -> int:
        """How many probes have a reply of every prompted persona."""
        return len(self.case.replies.rows(self.record))

    @cached_property
    def gains(self) -> tuple[Array, Array]:
        """How much likelier the prompt and the vector make each persona's replies: [probes, personas].

        Less the mean over personas: what a condition makes of any reply is no profile.
        """
        first, second = (
            self.case.replies.gains(self.record, self.case.scene.condition(self.case.persona, regime))
            for regime in self.case.regimes
        )
        return first - first.mean(1, keepdims=True), second - second.mean(1, keepdims=True)

    @cached_property
    def profile(self) -> Interval:
        """Cosine of the two mean profiles, free of the noise that they share."""
        rows = self.case.replies.rows(self.record)
        clusters = [self.case.scene.clusters[row] for row in rows]
        first, second = self.gains
        return Alignment.of(first[None], second[None], clusters).cosine()


@dataclass(frozen=True)
class GatewayCase(Case[GatewaySample]):
    """One persona's vector, added at one site after the other."""

    persona: str
    slug: str
    spec: "Gateway"
    scene: Scene
    personas: tuple[str, ...]
    regimes: tuple[Regime, Regime] = (Regime.PROMPT, Regime.STEERING)

    def needs(self) -> Iterable[Measurement]:
        """Hold every site against the prompt; let bare, prompt and vector read everybody's replies."""
        return chain.from_iterable(self.steps())

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Sweep first: a token for each site, where replies are read as a whole."""
        yield self.swept.needs()
        if self.beside:
            yield self.beside.needs()
        if self.spec.min_profile is not None:
            conditions = (self.scene.bare, *(self.scene.condition(self.persona, one) for one in self.regimes))
            likelihoods = (self.replies.likelihoods(condition) for condition in conditions)
            yield [*chain(*self.replies.replies.values()), *chain(*chain(*likelihoods))]

    def sample(self, record: Record, seed: int) -> GatewaySample:
        """Take divergences and likelihoods; nothing is drawn."""
        return GatewaySample(self, record)

    def criteria(self, sample: GatewaySample) -> Iterator[Criterion]:
        """Judge the effect at its peak, where that lies, what is left late, and what goes with it."""
        spec, effects, n = self.spec, sample.effects, sample.n
        yield held("effect at its peak", effects.largest, n, spec.min_effect, key="min_effect")
        lead = effects.lead(self._places(spec.peaks_within.sites))
        yield held(f"lead of {spec.peaks_within}", lead, n, spec.min_lead, key="min_lead")
        if spec.fades_from is not None and spec.max_late is not None:
            late = effects.left_over(self._from(spec.fades_from))
            yield held(f"effect from {spec.fades_from} on", late, n, at_most=spec.max_late, key="max_late")
        if sample.beside is not None and spec.max_loss is not None:
            loss = sample.beside.loss(effects.peak())
            name = f"loss of {spec.beside} at the same site"
            yield held(name, loss, n, at_most=spec.max_loss, key="max_loss")
        if spec.min_profile is not None:
            yield held("profile cosine", sample.profile, sample.read, spec.min_profile, key="min_profile")

    def figures(self, sample: GatewaySample) -> Figures:
        """Show the effect over sites, and the profiles."""
        return Figures(
            fact=self._fact(sample),
            curve=self._curve(sample),
            tables=() if self.spec.min_profile is None else (self._profiles(sample),),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["GatewayCase"]]:
        """Nothing, another persona's vector or random ones in the place of its own."""
        regimes = (Regime.STEERING,)
        scenes = (
            *nothing(self.scene, self.persona, regimes),
            # Each is a sweep of its own, so one other persona has a turn.
            *islice(stand_ins(self.scene, self.persona, Regime.STEERING, self.scene.personas), 1),
            *random_vectors(self.scene, self.persona, regimes),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    @cached_property
    def swept(self) -> Swept:
        """The vector at every site."""
        steers = self.scene.condition(self.persona, Regime.STEERING).steers
        return self._sweep(steers[0] if steers else None)

    @cached_property
    def beside(self) -> Swept | None:
        """The vector beside it at every site, at the same dose."""
        name = self.spec.beside
        dose = self.scene.dose_of(self.persona)
        return None if name is None else self._sweep(Steer(name, dose))

    @cached_property
    def replies(self) -> PromptedReplies:
        """What the prompted personas reply, the judged one's first."""
        return PromptedReplies(self.scene, self.personas)

    def _sweep(self, vector: Steer | None) -> Swept:
        if vector is not None and self.spec.dose is not None:
            vector = replace(vector, dose=self.spec.dose)
        return Swept(self.scene, self.persona, vector, self.spec.sites.sites, self.spec.tokens)

    def _places(self, sites: Iterable[Site]) -> list[int]:
        return [self.spec.sites.sites.index(site) for site in sites]

    def _from(self, site: Site) -> range:
        (first,) = self._places([site])
        return range(first, len(self.spec.sites.sites))

    def _fact(self, sample: GatewaySample) -> str | None:
        if not sample.effects.whole.mean() > 0:
            return None
        peak = sample.effects.peak()
        share = sample.effects.by_site[peak].value
        far = f"{share:.0%} of the way from the bare model to the prompted {self.persona}"
        return f"added at {self.spec.sites.sites[peak]} the vector brings what is said next {far}, its most"

    def _curve(self, sample: GatewaySample) -> Curve:
        lines = {self.persona: interval_series(sample.effects.by_site)}
        if sample.beside is not None:
            lines[str(self.spec.beside)] = interval_series(sample.beside.by_site)
        within = self.spec.peaks_within.sites
        return Curve(
            over=ADDED,
            at=tuple(map(str, self.spec.sites.sites)),
            series=lines,
            value="effect",
            judged=(str(within[0]), str(within[-1])),
            thresholds=tuple(at_least(self.persona, self.spec.min_effect)),
        )

    def _profiles(self, sample: GatewaySample) -> Table:
        means = {str(regime): gains.mean(0) for regime, gains in zip(self.regimes, sample.gains, strict=True)}
        name = f"how much likelier {self.persona} makes replies than those of all, nats a token"
        return table(name, self.personas, means)

    def _notes(self, sample: GatewaySample) -> Iterator[str]:
        sites, effects = self.spec.sites.sites, sample.effects
        lead, late = effects.by_site[effects.peak()], effects.by_site[-1]
        for name, site, one in (("peak", sites[effects.peak()], lead), ("last site", sites[-1], late)):
            yield f"effect at the {name}, {site}: {ranged(one.value, one.low, one.high)}"
        if sample.beside is not None:
            peak = sample.beside.peak()
            most = sample.beside.by_site[peak]
            effect = ranged(most.value, most.low, most.high)
            yield f"effect of {self.spec.beside} at its peak, {sites[peak]}: {effect}"
        whole = number(float(effects.whole.mean()))
        yield f"mean divergence of the prompted from the bare model: {whole} nats"


class Gateway(Property):
    """A persona's vector, added at one site after the other at one dose, acts within a band, and not late.

    Gateway features, which gate broad behaviour and only where they are read early: arXiv 2604.17031,
    hypothesis 1. The effect is how far the next tokens go from the bare model's to the prompted one's.
    """

    family: ClassVar[str] = "space"

    property: Literal["gateway"] = Field(description="Names this property.")
    sites: Band = Field(description="Where the vector is added, one site after the other.")
    peaks_within: Band = Field(description="Where its effect is largest: a band of these sites, and not all.")
    min_effect: Annotated[float, RECOVERED] = Field(
        gt=0,
        lt=1,
        description="Least effect at its peak, as a share of the way from the bare to the prompted model.",
    )
    min_lead: Annotated[float, ANY] = Field(
        0.0, description="Least lead of the best site within the band over any outside, in the same shares."
    )
    fades_from: Site | None = Field(None, description="From which of the sites on the effect has faded.")
    max_late: Annotated[float | None, ANY] = Field(
        None, description="Largest share of the peak's effect that is left there; goes with `fades_from`."
    )
    beside: str | None = Field(
        None,
        description="A vector of the release that must peak at the same site, such as one that an adapter "
        "makes (`extract: {adapter: ...}`).",
    )
    max_loss: Annotated[float | None, SIZE] = Field(
        None,
        gt=0,
        description="How much less effect that one may have at the persona's peak than at its own; goes "
        "with `beside`.",
    )
    min_profile: Annotated[float | None, COSINE] = Field(
        None,
        gt=-1,
        le=1,
        description="Least cosine of two profiles: how much likelier the vector, as it is deployed, and the "
        "prompt make the replies of each prompted persona.",
    )
    dose: float | None = Field(None, gt=0, description="Dose at every site; default: that of the persona.")
    tokens: int = Field(
        1, ge=1, le=10, description="How many tokens of the prompted reply are held against each other."
    )

    @model_validator(mode="after")
    def _bands_lie_within(self) -> Self:
        within = set(self.peaks_within.sites)
        if not within < set(self.sites.sites) or len(self.sites.sites) < LEAST_SITES:
            raise ValueError(
                f"peaks_within: {self.peaks_within} is no part of sites: {self.sites}; expected some of at "
                f"least {LEAST_SITES} sites, and not all"
            )
        if self.fades_from is not None and self.fades_from not in self.sites.sites:
            raise ValueError(f"fades_from: {self.fades_from} is none of the sites, {self.sites}")
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        for one, other in (("fades_from", "max_late"), ("beside", "max_loss")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one} and {other} go together; found one of them")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona that has a prompt and a vector."""
        require_probes(scene, LEAST_PROBES, "gateway")
        if self.beside is not None:
            _require_equal_doses(scene, "beside", self.beside)
        able = supporting((Regime.PROMPT, Regime.STEERING), scene)
        cases = (self._case(name, scene) for name in cast(self.personas, scene, able.__contains__))
        return self.at_least_one(cases, "with a prompt and a vector")

    def _case(self, persona: str, scene: Scene) -> Case:
        for regime in (Regime.PROMPT, Regime.STEERING):
            scene.condition(persona, regime)  # complains of what is missing
        _require_equal_doses(scene, "gateway", scene.vector_of(persona))
        others = (name for name in supporting((Regime.PROMPT,), scene) if name != persona)
        personas = (persona, *others)
        if self.min_profile is not None and len(personas) < LEAST_BEHAVIOURS:
            raise SuiteError(
                f"min_profile needs at least {LEAST_BEHAVIOURS} personas with a prompt, whose replies are "
                f"read; found {', '.join(personas)}"
            )
        return GatewayCase(persona, str(Regime.STEERING), self, scene, personas)


def _require_equal_doses(scene: Scene, key: str, vector: str) -> None:
    source = require_vector(scene, key, vector, Operation.ADD)
    if source.unit != "norm":
        raise SuiteError(
            f"{key}: the vector {vector!r} has `unit: {source.unit}`; expected `norm`, for equal doses at "
            "all sites"
        )
