"""Served: what a server answers as a persona is what its files were measured to do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Refusal, Scene
from coherence.properties.case import Case
from coherence.properties.control import NOTHING
from coherence.properties.criterion import exact, held
from coherence.properties.eligibility import cast, require_probes
from coherence.properties.markers import marks
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE, SHARE, SIZE
from coherence.properties.serving.likely_cause import UNEXPLAINED, Bounds, likely_cause, own_settings
from coherence.properties.serving.served_comparison import ServedComparison
from coherence.properties.serving.served_sample import ServedSample
from coherence.statistics.agreement import paired_difference
from coherence.statistics.intervals import Interval, wilson
from coherence.vocabulary import Criterion, Figures, ProbeNote, Regime
from coherence.vocabulary.evidence import number
from coherence.vocabulary.release import NO_SERVER

LEAST_PROBES = 4

_LAYERS = frozenset({"prompt", "adapter", "steering"})
_SHOWN = 3


@dataclass(frozen=True)
class ServedCase(Case[ServedSample]):
    """One persona by one regime, here and at the server."""

    persona: str
    slug: str
    spec: "ServedPersona"
    comparison: ServedComparison

    @property
    def scene(self) -> Scene:
        """The suite."""
        return self.comparison.scene

    @property
    def regimes(self) -> tuple[Regime]:  # type: ignore[override]
        """The one by which it is served."""
        return (self.comparison.regime,)

    def needs(self) -> Iterable[Measurement]:
        """Ask both how likely the persona's own replies are, with it and bare, and how they write prompts."""
        return [one for step in self.steps() for one in step]

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Yield the effect first, then the same at other doses, what is the server's, and replies."""
        here = self.comparison
        yield [
            *here.likelihoods(self.scene.bare),
            *here.likelihoods(here.condition),
            *here.served(self.scene.bare),
            *here.served(here.served_condition),
        ]
        if here.curve:
            yield [*here.at_doses, *here.at_places]
        yield self._of_server()
        if self._judges_words:
            yield [*here.replies, *here.own_replies]
        if self._judges_settings:
            yield self._decoded()

    def needs_to_explain(self) -> Iterable[Measurement]:
        """Take the same replies under other personas, and the adapter's numbers, to name what is wrong."""
        return self.comparison.likely_causes

    def sample(self, record: Record, seed: int) -> ServedSample:
        """Take what both gave."""
        return ServedSample(self.comparison, record)

    def criteria(self, sample: ServedSample) -> Iterator[Criterion]:
        """Judge the dose first, which rests on the floor; then prompts, names, repeats and words."""
        yield self._dose(sample)
        if self.comparison.curve:
            yield self._scale(sample)
        if self.comparison.elsewhere:
            yield self._elsewhere(sample)
        yield self._cosine(sample)
        yield from self._by_server(sample)
        if self.spec.max_difference is not None:
            yield self._difference(sample, self.spec.max_difference)
        if self._judges_settings:
            yield self._changed(sample)

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
        others = [*self.comparison.others_at_server.items()][:1]
        controls |= {f"{name} by {self.comparison.regime}": condition for name, condition in others}
        return {
            name: [replace(self, comparison=replace(self.comparison, served_condition=condition))]
            for name, condition in controls.items()
        }

    @property
    def _judges_words(self) -> bool:
        return self.spec.max_difference is not None

    @property
    def _judges_settings(self) -> bool:
        return self._judges_words and self.comparison.is_greedy

    def _of_server(self) -> list[Measurement]:
        here = self.comparison
        return [*here.again, *here.prompts, *here.prompts_at_server, Refusal(self.scene.bare)]

    def _decoded(self) -> list[Measurement]:
        here = self.comparison
        return [*here.told_replies, *here.greedy_replies, *here.told_again]

    def _by_server(self, sample: ServedSample) -> Iterator[Criterion]:
        """Judge what is no persona's: the base, prompts, names, and that it answers the same again."""
        yield self._noise(sample)
        # Equal counts are no equal texts: only that there are too many others is known for certain.
        few = len(sample.otherwise) <= self.spec.max_other_prompts
        yield exact(
            "prompts that are written otherwise",
            float(len(sample.otherwise)),
            len(self.comparison.prompts),
            self.spec.max_other_prompts,
            sample.unexposed_prompts or (sample.counted if few else None),
            key="max_other_prompts",
        )
        refused = sample.record.refuses(Refusal(self.scene.bare))
        answered = float(not refused)
        most = self.spec.max_unknown
        yield exact("unknown names that are answered", answered, 1, most, key="max_unknown")
        yield exact(
            "replies that stand apart",
            0.0 if sample.unexposed else float(len(self._apart(sample))),
            sample.n,
            self.spec.max_apart,
            sample.unexposed,
            key="max_apart",
        )
        again = self.comparison.again
        yield self._repeated("again", 0.0 if sample.unexposed else sample.repeated, len(again), sample)

    def _apart(self, sample: ServedSample) -> dict[str, float]:
        """Take those for apart that are too far for a base as well."""
        return {name: far for name, far in sample.apart.items() if far > self.spec.max_noise}

    def _repeated(self, how: str, change: float, n: int, sample: ServedSample) -> Criterion:
        name, most = f"largest change of what was asked {how}", self.spec.max_repeat
        return exact(name, change, n, most, sample.unexposed, key="max_repeat")

    def _dose(self, sample: ServedSample) -> Criterion:
        slope = Interval.unknown() if sample.unexposed else sample.effects.slope
        bounds = self.spec.min_dose, self.spec.max_dose
        key = "max_dose" if slope.value > self.spec.max_dose else "min_dose"
        return held("effect slope", slope, sample.n, *bounds, sample.unexposed, key=key)

    def _scale(self, sample: ServedSample) -> Criterion:
        known = sample.curve if not sample.unexposed else None
        scale = known.dose if known else Interval.unknown()
        bounds = self.spec.min_scale, self.spec.max_scale
        key = "max_scale" if scale.value > self.spec.max_scale else "min_scale"
        return held("scale", scale, sample.looked, *bounds, sample.unexposed, key=key)

    def _elsewhere(self, sample: ServedSample) -> Criterion:
        share = Interval.unknown() if sample.unexposed else sample.elsewhere
        most, key = self.spec.max_elsewhere, "max_elsewhere"
        return held(
            "fit of another block", share, sample.looked, at_most=most, unreliable=sample.unexposed, key=key
        )

    def _cosine(self, sample: ServedSample) -> Criterion:
        cosine = Interval.unknown() if sample.unexposed else sample.effects.cosine
        least = self.spec.min_cosine
        return held(
            "cosine of effects", cosine, sample.n, least, unreliable=sample.unexposed, key="min_cosine"
        )

    def _noise(self, sample: ServedSample) -> Criterion:
        noise = Interval.unknown() if sample.unexposed else sample.noise
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

    def _changed(self, sample: ServedSample) -> Criterion:
        # Probes of one cluster say it once, so that Wilson's n is that of the clusters.
        clusters = len(set(self.scene.clusters))
        rate = wilson(float(sample.changed.mean()) * clusters, clusters)
        return held(
            "replies that its own settings change",
            rate,
            len(sample.changed),
            at_most=self.spec.max_changed,
            key="max_changed",
        )

    def _marked(self, text: str) -> bool:
        return bool(self.scene.personas[self.persona].markers_in(text))

    def _fact(self, sample: ServedSample) -> str:
        who = f"{self.persona} by {self.comparison.regime}"
        if sample.unexposed:
            return f"the server does not tell how likely replies are to {who}"
        return f"{who} has {sample.effects.slope.value:.0%} of its effect at the server"

    def _cause(self, sample: ServedSample) -> str | None:
        apart = 0 if sample.unexposed else len(self._apart(sample))
        if apart > self.spec.max_apart and not sample.otherwise:
            return (
                f"{apart} of {sample.n} replies are answered otherwise than the rest, as where a server "
                "goes on from keys and values that another name has left in its cache"
            )
        cause = likely_cause(
            sample,
            Bounds(
                self.spec.min_dose,
                self.spec.max_dose,
                self.spec.min_scale,
                self.spec.max_scale,
                self.spec.min_cosine,
                self.spec.max_noise,
                self.spec.max_elsewhere,
            ),
        )
        if cause is None and self._judges_settings and sample.changed.mean() > self.spec.max_changed:
            return own_settings(sample)
        return cause

    def _notes(self, sample: ServedSample) -> Iterator[str]:
        if sample.counted:
            yield sample.counted
        elif sample.unexposed_prompts is None:
            alike = len(self.comparison.prompts) - len(sample.otherwise)
            yield f"{alike} of {len(self.comparison.prompts)} prompts are written as here"
        if sample.unexposed:
            return
        if sample.unlike_any_dose > UNEXPLAINED:
            yield f"no dose of its own explains {sample.unlike_any_dose:.0%} of what is served"
        if sample.nearest:
            name, cosine = sample.nearest
            yield f"of the other personas, {name} is most like what is served: cosine {number(cosine)}"
        largest = max(float(one.max()) for one in sample.floor)
        yield f"of the bare model no token is further apart than {number(largest)} nats"
        if sample.n < len(self.scene.probes):
            yield f"{len(self.scene.probes) - sample.n} replies are empty, and have no likelihood"

    def _shown(self, sample: ServedSample) -> Iterator[ProbeNote]:
        for name, divergence in [*sample.otherwise.items()][:_SHOWN]:
            yield ProbeNote(probe=name, note=divergence)
        apart = {} if sample.unexposed else self._apart(sample)
        for name, far in [*apart.items()][:_SHOWN]:
            yield ProbeNote(probe=name, note=f"{number(far)} nats a token from here, unlike others")
        if not self._judges_words:
            return
        markers = self.scene.personas[self.persona].markers
        for probe, here, there in zip(self.scene.probes, *sample.texts, strict=True):
            if self._marked(here) != self._marked(there):
                replies = {"here": here, "served": there}
                places = {side: marks(text, markers) for side, text in replies.items()}
                yield ProbeNote(probe=probe.id, note="markers on one side", replies=replies, marks=places)


@dataclass(frozen=True)
class BareCase(ServedCase):
    """The base under its own name at the server, on its own replies: the floor, and what has no persona."""

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Yield the floor first, then prompts and what is asked again, and replies, which take longest."""
        here = self.comparison
        yield [*here.likelihoods(self.scene.bare), *here.served(here.served_condition)]
        yield [*self._of_server(), *here.again_alone]
        if self._judges_settings:
            yield self._decoded()

    def criteria(self, sample: ServedSample) -> Iterator[Criterion]:
        """Judge the floor, prompts, names and repeats, and what its own settings change."""
        yield from self._by_server(sample)
        alone = 0.0 if sample.unexposed else sample.repeated_alone
        yield self._repeated("again alone", alone, len(self.comparison.again_alone), sample)
        if self._judges_settings:
            yield self._changed(sample)

    def controls(self) -> Mapping[str, Sequence["BareCase"]]:
        """Serve a persona's prompt in the base's place."""
        for persona in self.scene.supporting([Regime.PROMPT])[:1]:
            prompted = self.scene.condition(persona, Regime.PROMPT)
            comparison = replace(self.comparison, served_condition=prompted)
            return {f"{persona} by {Regime.PROMPT}": [replace(self, comparison=comparison)]}
        return {}

    @property
    def _judges_words(self) -> bool:
        return False

    @property
    def _judges_settings(self) -> bool:
        return self.comparison.is_greedy

    def _fact(self, sample: ServedSample) -> str:
        if sample.unexposed:
            return "the server does not tell how likely replies are to its base"
        return f"the base is {number(sample.noise.value)} nats a token from here at the server"


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
        description="Regimes that are served: prompt, adapter, steering or a stack, and bare, which is the "
        "server's base under its own name; default: those of the suite.",
    )
    min_dose: Annotated[float, ANY] = Field(0.9, description="Least effect slope.")
    max_dose: Annotated[float, ANY] = Field(1.1, description="Largest effect slope.")
    min_scale: Annotated[float, ANY] = Field(
        0.75,
        ge=0,
        lt=1,
        description="Least scale that would do what is served, 1 being the adapter's own.",
    )
    max_scale: Annotated[float, ANY] = Field(1.4, gt=1, le=4, description="Largest such scale.")
    max_elsewhere: Annotated[float, SHARE] = Field(
        0.5,
        gt=0,
        lt=1,
        description="Largest fit of another block than a vector's own, be it that before, that behind or all "
        "of them: 0 where its own explains what is served, and 1 where another does.",
    )
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
    max_apart: int = Field(
        0,
        ge=0,
        description="Most replies that stand apart: by more than `max_noise` a token from here, and by ten "
        "times as much as the nearest quarter.",
    )
    max_other_prompts: int = Field(0, ge=0, description="Most prompts that the server writes otherwise.")
    max_unknown: int = Field(
        0, ge=0, le=1, description="Most unknown names that are answered; 1 for servers that know no names."
    )
    max_difference: Annotated[float | None, COSINE] = Field(
        None,
        gt=0,
        le=1,
        description="Largest difference of the rates of replies with a marker, of either sign, where the "
        "server decodes as it does itself; default: not judged.",
    )

    max_changed: Annotated[float, COSINE] = Field(
        0.5,
        ge=0,
        le=1,
        description="Largest share of replies that the server's own settings change, where the suite decodes "
        "greedily; judged with `max_difference`, and always in the regime bare.",
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
                    f"a server has no regime {regime}; expected bare, prompt, adapter, steering or a stack"
                )
        cases = chain.from_iterable(self._cases(scene, regime) for regime in regimes)
        return self.at_least_one(
            cases, "that a server could have: with a prompt, an adapter, or a vector that `steered` names"
        )

    def _cases(self, scene: Scene, regime: Regime) -> Iterator[Case]:
        if regime == Regime.BARE:
            bare = ServedComparison(scene, "base", regime, scene.bare, scene.bare)
            yield BareCase(bare.persona, str(regime), self, bare)
            return
        able = {one for one in scene.supporting([regime]) if _is_placed(scene, one, regime)}
        for persona in cast(self.personas, scene, able.__contains__):
            if not _is_placed(scene, persona, regime):
                raise SuiteError(
                    f"the vector {scene.vector_of(persona)!r} of persona {persona!r} has no place at the "
                    "server; expected its URL or name in `steered`, under `served`"
                )
            condition = scene.condition(persona, regime)
            comparison = ServedComparison(scene, persona, regime, condition, condition)
            yield ServedCase(persona, str(regime), self, comparison)

    @staticmethod
    def _can_be(regime: Regime) -> bool:
        return regime.layers <= _LAYERS


def _is_placed(scene: Scene, persona: str, regime: Regime) -> bool:
    """Whether a server is named for the persona's vector, where the regime takes it."""
    served = scene.release.served
    return "steering" not in regime.layers or (
        served is not None and scene.vector_of(persona) in served.steered
    )
