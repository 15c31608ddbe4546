"""Served: what a server answers as a persona is what its files were measured to do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import isnan
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.errors import NotExposedError, SuiteError
from coherence.plan import (
    AdapterNumbers,
    Condition,
    Likelihood,
    Measurement,
    PromptIds,
    Record,
    Refusal,
    Reply,
    Scene,
    Served,
)
from coherence.properties.case import Case
from coherence.properties.control import NOTHING
from coherence.properties.criterion import exact, held
from coherence.properties.eligibility import cast, require_probes
from coherence.properties.markers import marks
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE, SIZE
from coherence.properties.serving.likely_dose import Numbers, likely
from coherence.properties.serving.otherwise_written import divergence
from coherence.statistics.agreement import paired_difference
from coherence.statistics.dose_curve import dose_of
from coherence.statistics.effect_slope import Effects
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import positive_mean
from coherence.vocabulary import Criterion, Figures, ProbeNote, Prompt, Regime
from coherence.vocabulary.evidence import number
from coherence.vocabulary.release import NO_SERVER

LEAST_PROBES = 4
DOSES = (0.25, 0.5, 2.0, 4.0)
LOOKED = 8
"""Probes whose replies are looked at under other doses and personas: a cause is named, nothing decided."""
AGAIN = 4
"""Probes that are asked again, after all others."""

_LAYERS = frozenset({"prompt", "adapter"})
_SHOWN = 3
_UNLIKE = 0.4  # of cosines and sizes: less is not the same effect, and more is one


@dataclass(frozen=True)
class ServedSample:
    """What was measured here and at the server; a value that the server does not expose is its error."""

    case: "ServedCase"
    record: Record

    @cached_property
    def rows(self) -> list[int]:
        """Probes that have an answer to look at: an empty one has no tokens."""
        bare = self.case.likelihoods(self.case.scene.bare)
        return [row for row, one in enumerate(bare) if not self._is_empty(one)]

    @cached_property
    def clusters(self) -> list[str]:
        """Clusters of those probes."""
        return [self.case.scene.clusters[row] for row in self.rows]

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.rows)

    @cached_property
    def unexposed(self) -> str | None:
        """Say that the server tells no log-probabilities; None where it does."""
        wanted = chain(self.case.served(self.case.asked), self.case.served(self.case.scene.bare))
        return _unexposed(self.record, wanted)

    @cached_property
    def unexposed_prompts(self) -> str | None:
        """Say that the server does not tell how it writes prompts; None where it does."""
        return _unexposed(self.record, self.case.prompts_at_server)

    @cached_property
    def floor(self) -> list[Array]:
        """|served - here| of the bare model, by token, in nats."""
        bare = self.case.scene.bare
        here, there = self._here(bare, self.rows), self._there(bare)
        return [np.abs(one - other) for one, other in zip(here, there, strict=True)]

    @cached_property
    def effects(self) -> Effects:
        """The persona's effect at the server against that here."""
        return Effects.of(self.served_effect, self._effect(), self.clusters)

    @property
    def size(self) -> float:
        """How large the served effect is, of whatever kind, as a share of the one here."""
        return float(np.sqrt(self.effects.form.sum() / self.effects.reference.sum()))

    @cached_property
    def served_effect(self) -> list[Array]:
        """Log p(persona) - log p(bare) at the server, by token."""
        under, bare = self._there(self.case.asked), self._there(self.case.scene.bare)
        return [one - other for one, other in zip(under, bare, strict=True)]

    @cached_property
    def dose(self) -> float | None:
        """The dose here that does most nearly what is served; None where no curve was measured."""
        if not self.case.curve or not self._looked:
            return None
        curve = {1.0: self.case.condition, **self.case.curve}
        effects = {dose: np.concatenate(self._effect_looked_at(one)) for dose, one in curve.items()}
        return dose_of(np.concatenate(self.served_effect[: len(self._looked)]), effects)

    @cached_property
    def nearest(self) -> tuple[str, float] | None:
        """The other persona whose effect is most like what is served, and the cosine of both."""
        served = self.served_effect[: len(self._looked)]
        cosines = {
            name: Effects.of(served, self._effect_looked_at(condition), self.clusters[: len(served)]).cosine
            for name, condition in self.case.others.items()
        }
        told = {name: cosine.value for name, cosine in cosines.items() if not isnan(cosine.value)}
        return max(told.items(), key=lambda one: one[1], default=None)

    @cached_property
    def repeated(self) -> float:
        """Largest |first answer - second answer| of what was asked again, in nats."""
        pairs = ((replace(one, turn=0), one) for one in self.case.again)
        apart = (
            np.abs(self.record.served_likelihood(first) - self.record.served_likelihood(second)).max()
            for first, second in pairs
            if self.record.problem(second) is None
        )
        return float(max(apart, default=0.0))

    @cached_property
    def otherwise(self) -> dict[str, str]:
        """What is written otherwise, by probe."""
        found: dict[str, str] = {}
        if self.unexposed_prompts:
            return found
        for ours, served in zip(self.case.prompts, self.case.prompts_at_server, strict=True):
            here, there = self.record.prompt(ours), self.record.prompt(served)
            if here.ids != there.ids:
                found[ours.probe.id] = divergence(here, there, self.case.system)
        return found

    @cached_property
    def numbers(self) -> Numbers | None:
        """What the adapter's config says of its scale."""
        if self.case.numbers is None:
            return None
        return Numbers(*map(float, self.record.adapter_numbers(self.case.numbers)))

    @cached_property
    def texts(self) -> tuple[list[str], list[str]]:
        """Replies here and at the server, which decodes as it does itself."""
        here = [self.record.reply(reply) for reply in self.case.replies]
        return here, [self.record.served_reply(one).text for one in self.case.own_replies]

    @property
    def _looked(self) -> list[int]:
        """Those of `rows` that are measured under other doses and personas, which are the first."""
        return [row for row in self.rows if row < LOOKED]

    def _effect_looked_at(self, condition: Condition) -> list[Array]:
        under, bare = self._here(condition, self._looked), self._here(self.case.scene.bare, self._looked)
        return [one - other for one, other in zip(under, bare, strict=True)]

    def _effect(self) -> list[Array]:
        under, bare = self._here(self.case.condition, self.rows), self._here(self.case.scene.bare, self.rows)
        return [one - other for one, other in zip(under, bare, strict=True)]

    def _here(self, condition: Condition, rows: Sequence[int]) -> list[Array]:
        wanted = self.case.likelihoods(condition)
        return [self.record.likelihood(wanted[row]).astype(np.float64) for row in rows]

    def _there(self, condition: Condition) -> list[Array]:
        wanted = self.case.served(condition)
        return [self.record.served_likelihood(wanted[row]).astype(np.float64) for row in self.rows]

    def _is_empty(self, likelihood: Likelihood) -> bool:
        reply = likelihood.text
        return self.record.problem(reply) is None and not self.record.reply(reply)


@dataclass(frozen=True)
class ServedCase(Case[ServedSample]):
    """One persona by one regime, here and at the server; `asked` is what the server is asked under."""

    persona: str
    slug: str
    spec: "ServedPersona"
    scene: Scene
    regimes: tuple[Regime]
    condition: Condition
    asked: Condition

    def needs(self) -> Iterable[Measurement]:
        """Ask both how likely the persona's own replies are, with it and bare, and how they write prompts."""
        for condition in (self.scene.bare, self.condition):
            yield from self.likelihoods(condition)
        for condition in (self.scene.bare, self.asked):
            yield from self.served(condition)
        yield from self.again
        yield from self.prompts
        yield from self.prompts_at_server
        yield Refusal(self.scene.bare)
        if self.spec.max_difference is not None:
            yield from self.replies
            yield from self.own_replies

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Take the same replies at other doses and under other personas, to name what is wrong."""
        for condition in (*self.curve.values(), *self.others.values()):
            yield from self.likelihoods(condition)[:LOOKED]
        if self.numbers:
            yield self.numbers

    def sample(self, record: Record, seed: int) -> ServedSample:
        """Take what both gave."""
        return ServedSample(self, record)

    def criteria(self, sample: ServedSample) -> Iterator[Criterion]:
        """Judge the dose first, which rests on the floor; then prompts, names, repeats and words."""
        yield self._dose(sample)
        yield self._cosine(sample)
        yield self._noise(sample)
        yield exact(
            "prompts that are written otherwise",
            float(len(sample.otherwise)),
            len(self.prompts),
            self.spec.max_other_prompts,
            sample.unexposed_prompts,
            key="max_other_prompts",
        )
        refused = sample.record.refuses(Refusal(self.scene.bare))
        answered = float(not refused)
        yield exact("unknown names that are answered", answered, 1, 0, key=None)
        yield exact(
            "largest change of what was asked again",
            0.0 if sample.unexposed else sample.repeated,
            len(self.again),
            self.spec.max_repeat,
            sample.unexposed,
            key="max_repeat",
        )
        if self.spec.max_difference is not None:
            yield self._difference(sample, self.spec.max_difference)

    def figures(self, sample: ServedSample) -> Figures:
        """Show what is likely wrong, and prompts and replies that differ."""
        return Figures(
            fact=self._fact(sample),
            cause=self._cause(sample),
            probes=tuple(self._shown(sample)),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["ServedCase"]]:
        """Serve nothing in its place, and another persona."""
        controls = {NOTHING: self.scene.bare}
        controls |= {
            f"{name} by {self.regimes[0]}": condition for name, condition in [*self.others.items()][:1]
        }
        return {name: [replace(self, asked=condition)] for name, condition in controls.items()}

    @cached_property
    def replies(self) -> list[Reply]:
        """The persona's own replies."""
        return [Reply(self.condition, probe, self.scene.decoding) for probe in self.scene.probes]

    @cached_property
    def own_replies(self) -> list[Served]:
        """Replies of the server, decoded as it does itself."""
        return [Served(replace(reply, condition=self.asked), own=True) for reply in self.replies]

    @cached_property
    def prompts(self) -> list[PromptIds]:
        """How prompts are written here."""
        return [PromptIds(self.condition, probe) for probe in self.scene.probes]

    @cached_property
    def prompts_at_server(self) -> list[Served]:
        """How the server writes them."""
        return [Served(PromptIds(self.asked, probe)) for probe in self.scene.probes]

    @cached_property
    def again(self) -> list[Served]:
        """What is asked a second time, when all others have been asked."""
        return [replace(one, turn=1) for one in self.served(self.asked)[:AGAIN]]

    @cached_property
    def curve(self) -> dict[float, Condition]:
        """The persona at other doses than its own, where it has an adapter."""
        match self.condition.adapters:
            case ((name, _),):
                return {dose: replace(self.condition, adapters=((name, dose),)) for dose in DOSES}
        return {}

    @cached_property
    def others(self) -> dict[str, Condition]:
        """Other personas in the same regime, but for kin."""
        (regime,) = self.regimes
        own = {self.persona, *self.scene.kin_of(self.persona)}
        names = (name for name in self.scene.supporting([regime]) if name not in own)
        conditions = {name: self.scene.condition(name, regime) for name in names}
        return {name: one for name, one in conditions.items() if one != self.condition}

    @cached_property
    def numbers(self) -> AdapterNumbers | None:
        """What its adapter's config says of its scale, where it has an adapter."""
        return AdapterNumbers(Condition(None, adapters=self.condition.adapters)) if self.curve else None

    @cached_property
    def system(self) -> str | None:
        """Text of the system turn."""
        prompts: tuple[Prompt, ...] = self.condition.prompts
        return "\n\n".join(one.text for one in prompts if one.role == "system") or self.condition.neutral

    def likelihoods(self, condition: Condition) -> list[Likelihood]:
        """List the likelihoods of the persona's own replies under a condition."""
        return [Likelihood(condition, reply.probe, reply) for reply in self.replies]

    def served(self, condition: Condition) -> list[Served]:
        """Ask the server for the same."""
        return [Served(one) for one in self.likelihoods(condition)]

    def _dose(self, sample: ServedSample) -> Criterion:
        slope = Interval.unknown() if sample.unexposed else sample.effects.slope
        bounds = self.spec.min_dose, self.spec.max_dose
        key = "max_dose" if slope.value > self.spec.max_dose else "min_dose"
        return held("effect slope", slope, sample.n, *bounds, sample.unexposed, key=key)

    def _cosine(self, sample: ServedSample) -> Criterion:
        cosine = Interval.unknown() if sample.unexposed else sample.effects.cosine
        least = self.spec.min_cosine
        return held(
            "cosine of effects", cosine, sample.n, least, unreliable=sample.unexposed, key="min_cosine"
        )

    def _noise(self, sample: ServedSample) -> Criterion:
        noise = Interval.unknown()
        if not sample.unexposed:
            noise = positive_mean(np.array([one.mean() for one in sample.floor]), sample.clusters)
        return held(
            "bare model's distance",
            noise,
            sample.n,
            at_most=self.spec.max_noise,
            unreliable=sample.unexposed,
            key="max_noise",
        )

    def _difference(self, sample: ServedSample, most: float) -> Criterion:
        here, there = (np.array([self._marked(text) for text in texts]) for texts in sample.texts)
        difference = paired_difference(here, there, self.scene.clusters)
        return held("rate served - here", difference, len(here), -most, most, key="max_difference")

    def _marked(self, text: str) -> bool:
        return bool(self.scene.personas[self.persona].markers_in(text))

    def _fact(self, sample: ServedSample) -> str:
        who = f"{self.persona} by {self.regimes[0]}"
        if sample.unexposed:
            return f"the server does not tell how likely replies are to {who}"
        return f"{who} has {sample.effects.slope.value:.0%} of its effect at the server"

    def _cause(self, sample: ServedSample) -> str | None:
        if sample.otherwise:
            return next(iter(sample.otherwise.values()))
        if sample.unexposed:
            return None
        slope, cosine = sample.effects.slope.value, sample.effects.cosine.value
        if sample.nearest and sample.nearest[1] > max(cosine, self.spec.min_cosine):
            name, alike = sample.nearest
            return f"what is served is {name}: the cosine of both effects is {number(alike)}"
        if abs(cosine) < _UNLIKE < sample.size:
            return f"what is served does something else, {sample.size:.0%} as strongly"
        if sample.dose is None or self.spec.min_dose <= slope <= self.spec.max_dose:
            return None
        return likely(sample.dose, slope, DOSES[-1], sample.numbers)

    def _notes(self, sample: ServedSample) -> Iterator[str]:
        if sample.unexposed_prompts is None:
            alike = len(self.prompts) - len(sample.otherwise)
            yield f"{alike} of {len(self.prompts)} prompts are written as here"
        if sample.unexposed:
            return
        if sample.dose is not None:
            yield f"on the curve of doses {number(sample.dose)} does most nearly what is served"
        if sample.nearest:
            name, cosine = sample.nearest
            yield f"of the other personas, {name} is most like what is served: cosine {number(cosine)}"
        largest = max(float(one.max()) for one in sample.floor)
        yield f"of the bare model no token is further apart than {number(largest)} nats"
        if sample.n < len(self.scene.probes):
            yield f"{len(self.scene.probes) - sample.n} replies are empty, and have no likelihood"

    def _shown(self, sample: ServedSample) -> Iterator[ProbeNote]:
        for name, said in [*sample.otherwise.items()][:_SHOWN]:
            yield ProbeNote(probe=name, note=said)
        if self.spec.max_difference is None:
            return
        markers = self.scene.personas[self.persona].markers
        for probe, here, there in zip(self.scene.probes, *sample.texts, strict=True):
            if self._marked(here) != self._marked(there):
                replies = {"here": here, "served": there}
                places = {side: marks(text, markers) for side, text in replies.items()}
                yield ProbeNote(probe=probe.id, note="markers on one side", replies=replies, marks=places)


def _unexposed(record: Record, wanted: Iterable[Served]) -> str | None:
    problems = (record.problem(one) for one in wanted)
    return next((one.sentence for one in problems if isinstance(one, NotExposedError)), None)


class ServedPersona(Property):
    """What a server answers as a persona is what its files were measured to do.

    Likelihoods of the persona's own replies are asked of both: what the persona adds to them at the server is
    regressed on what it adds here. 1 is the same dose, 0 the base. What the server does not expose is
    inconclusive, and never counts as equal.
    """

    family: ClassVar[str] = "serving"

    property: Literal["served"] = Field(description="Names this property.")
    regimes: tuple[Regime, ...] | None = Field(
        None,
        min_length=1,
        description="Regimes that are served: of prompt, adapter or both; default: those of the suite.",
    )
    min_dose: Annotated[float, ANY] = Field(0.9, description="Least effect slope.")
    max_dose: Annotated[float, ANY] = Field(1.1, description="Largest effect slope.")
    min_cosine: Annotated[float, COSINE] = Field(
        0.9, ge=-1, le=1, description="Least cosine of the served effect and the one here, over all tokens."
    )
    max_noise: Annotated[float, SIZE] = Field(
        0.1, gt=0, description="Largest mean |served - here| of the bare model's log-probabilities, in nats."
    )
    max_repeat: Annotated[float, SIZE] = Field(
        0.1,
        ge=0,
        description="Largest change of any token's log-probability when a request is made again, in nats.",
    )
    max_other_prompts: int = Field(0, ge=0, description="Most prompts that the server writes otherwise.")
    max_difference: Annotated[float | None, COSINE] = Field(
        None,
        gt=0,
        le=1,
        description="Largest difference of the rates of replies with a marker, of either sign, where the "
        "server decodes as it does itself; default: not judged.",
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona and regime that a server can have."""
        if scene.release.served is None:
            raise SuiteError(NO_SERVER)
        require_probes(scene, LEAST_PROBES, "served")
        regimes = self.regimes or tuple(one for one in scene.regimes if self._can_be(one))
        for regime in regimes:
            if not self._can_be(regime):
                raise SuiteError(
                    f"a server has no regime {regime}; expected prompt, adapter or prompt+adapter"
                )
        cases = (
            ServedCase(persona, str(regime), self, scene, (regime,), condition, condition)
            for regime in regimes
            for persona in cast(self.personas, scene, scene.supporting([regime]).__contains__)
            for condition in [scene.condition(persona, regime)]
        )
        return self.at_least_one(cases, "that a server could have: with a prompt or an adapter")

    @staticmethod
    def _can_be(regime: Regime) -> bool:
        return bool(regime.layers) and regime.layers <= _LAYERS
