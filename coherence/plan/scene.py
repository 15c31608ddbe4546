"""A suite as the properties see it: personas, probes and the conditions that put one into the model."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from coherence.errors import SuiteError, UnknownNameError, did_you_mean
from coherence.plan.calibration import CALIBRATION
from coherence.plan.extract import Extract
from coherence.plan.measurement import Cap, Condition, Reading, Reply, Steer
from coherence.vocabulary import (
    Bound,
    Decoding,
    Extraction,
    Operation,
    Persona,
    Position,
    Probe,
    Regime,
    Release,
    Script,
    Site,
    Templating,
    Thinking,
)
from coherence.vocabulary.templating import AS_IT_IS
from coherence.vocabulary.training_file import TrainedOn


@dataclass(frozen=True)
class Scene:
    """Pure values; no model behind them. What all assertions ask of it is found once."""

    release: Release
    personas: Mapping[str, Persona]
    probes: tuple[Probe, ...]
    regimes: tuple[Regime, ...]
    neutral: str | None
    decoding: Decoding
    seed: int
    scripts: tuple[Script, ...] = ()
    kin: tuple[frozenset[str], ...] = ()
    templating: Templating = AS_IT_IS
    thinking: Thinking = "auto"
    samples: int = 1
    """How many replies rates are counted in, to each probe; what else is said is decoded as the first."""

    trained: Mapping[str, TrainedOn] = field(default_factory=dict)
    """Of adapters whose training file the suite names, what of it is in there."""

    @cached_property
    def clusters(self) -> list[str]:
        """The cluster of each probe."""
        return [probe.cluster for probe in self.probes]

    @cached_property
    def templates(self) -> frozenset[str]:
        """The clusters, each once."""
        return frozenset(self.clusters)

    def replies(self, condition: Condition) -> list[Reply]:
        """Let a condition answer every probe so many times: [probes * samples], probe by probe."""
        return [Reply(condition, probe, decoding) for probe in self.probes for decoding in self.draws]

    @cached_property
    def answered(self) -> tuple[Probe, ...]:
        """The probe of each of the `replies`."""
        return tuple(probe for probe in self.probes for _ in self.draws)

    @cached_property
    def draws(self) -> tuple[Decoding, ...]:
        """How each reply to a probe is decoded that rates are counted in."""
        return self.sampling.draws

    @property
    def sampling(self) -> Decoding:
        """How replies are drawn, as the suite says it."""
        return self.decoding.model_copy(update={"samples": self.samples})

    @property
    def bare(self) -> Condition:
        """The same probe with no persona at all: the floor."""
        return Condition(self.neutral, thinking=self.thinking)

    def adapter_of(self, persona: str) -> str:
        """Name of the persona's adapter in the release."""
        return self.personas[persona].adapter or persona

    def vector_of(self, persona: str) -> str:
        """Name of the persona's vector in the release."""
        return self.personas[persona].vector or persona

    def dose_of(self, persona: str) -> float:
        """Dose that the persona is steered with: its own, or what is usual for what its vector does."""
        own = self.personas[persona].dose
        return self.release.vectors[self.vector_of(persona)].usual_dose if own is None else own

    def kin_of(self, persona: str) -> frozenset[str]:
        """Find the other personas that are nearly the same: they say nothing against a claim about it."""
        return self._kin.get(persona, frozenset())

    def supporting(self, regimes: Collection[Regime]) -> tuple[str, ...]:
        """Find all personas that each of the regimes can put into the model."""
        key = frozenset(regimes)
        if key not in self._supporting:
            self._supporting[key] = tuple(
                persona for persona in self.personas if all(self.supports(persona, one) for one in key)
            )
        return self._supporting[key]

    def units(self, personas: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Put personas that are kin together: as controls they count as one."""
        grouped: list[list[str]] = []
        unit_of: dict[str, list[str]] = {}
        for persona in personas:
            unit = next((unit_of[one] for one in self.kin_of(persona) if one in unit_of), None)
            if unit is None:
                grouped.append(unit := [])
            unit.append(persona)
            unit_of[persona] = unit
        return tuple(map(tuple, grouped))

    def by_kin(self, regimes: Collection[Regime]) -> tuple[tuple[str, ...], ...]:
        """Put those of `supporting` together that are kin."""
        key = frozenset(regimes)
        if key not in self._by_kin:
            self._by_kin[key] = self.units(self.supporting(key))
        return self._by_kin[key]

    def supports(self, persona: str, regime: Regime) -> bool:
        """Tell whether the persona has what every layer of the regime needs. No such persona: SuiteError."""
        if persona not in self.personas:
            raise UnknownNameError(f"no persona is named {persona!r}{did_you_mean(persona, self.personas)}")
        has = {
            "prompt": self.personas[persona].prompt is not None,
            "adapter": self.adapter_of(persona) in self.release.adapters,
            "steering": self.vector_of(persona) in self.release.vectors,
            "cap": self.personas[persona].cap is not None,
            "thinking": True,
        }
        return all(has[layer] for layer in regime.layers)

    def condition(self, persona: str, regime: Regime) -> Condition:
        """Put one persona into the model; a SuiteError says which artefact is missing."""
        return self.mixture({persona: 1.0}, regime)

    def mixture(self, weights: Mapping[str, float], regime: Regime) -> Condition:
        """Put several personas into the model at once; weights multiply doses and adapter scales."""
        for persona in weights:
            if not self.supports(persona, regime):
                lacks = self._lacks(persona, regime)
                raise SuiteError(f"persona {persona!r} cannot be put into the model by {regime}: its {lacks}")
        prompts = tuple(self.personas[name].prompt for name in weights) if "prompt" in regime.layers else ()
        uncapped = replace(
            self.bare,
            prompts=tuple(prompt for prompt in prompts if prompt is not None),
            adapters=tuple((self.adapter_of(name), weight) for name, weight in weights.items())
            if "adapter" in regime.layers
            else (),
            steers=tuple(self._steers(weights)) if "steering" in regime.layers else (),
            thinking=self._reasoning if "thinking" in regime.layers else self.thinking,
        )
        return self._capped(uncapped, tuple(weights)) if "cap" in regime.layers else uncapped

    def capped(self, condition: Condition, persona: str, bound: Bound) -> Condition:
        """Bound how far a condition goes along the axis of a persona; a SuiteError where it has no prompt.

        The axis leads from the bare model's answers to the calibration questions to those of the prompted
        persona: what is done to the model must not depend on the questions of a suite.
        """
        towards, last = self.condition(bound.persona or persona, Regime.PROMPT), bound.sites.sites[-1]
        low, high = (self._answers(end, last) for end in (self.bare, towards))
        return replace(condition, cap=Cap(low, high, bound.sites.sites, bound.at, bound.tokens))

    @cached_property
    def _kin(self) -> dict[str, frozenset[str]]:
        related: dict[str, frozenset[str]] = {}
        for group in self.kin:
            for persona in group:
                related[persona] = related.get(persona, frozenset()) | (group - {persona})
        return related

    @cached_property
    def _by_kin(self) -> dict[frozenset[Regime], tuple[tuple[str, ...], ...]]:
        return {}

    @cached_property
    def _supporting(self) -> dict[frozenset[Regime], tuple[str, ...]]:
        return {}

    @property
    def extracts(self) -> dict[str, Extract]:
        """The vectors of the release that the suite makes itself, by name."""
        return {
            name: self._extract(source.extract)
            for name, source in self.release.vectors.items()
            if source.extract is not None
        }

    def _steers(self, weights: Mapping[str, float]) -> Iterator[Steer]:
        for name, weight in weights.items():
            vector = self.vector_of(name)
            # None of a persona is no vector, where a dose of 0 would still set a component.
            if weight or self.release.vectors[vector].operation is Operation.ADD:
                yield Steer(vector, weight * self.dose_of(name))

    @property
    def _reasoning(self) -> Thinking:
        """What a layer that lets a model reason says: as much as the suite does, if it does."""
        return "on" if self.thinking in ("auto", "off") else self.thinking

    def _capped(self, condition: Condition, personas: tuple[str, ...]) -> Condition:
        bounds = [self.personas[name].cap for name in personas]
        if len(bounds) != 1 or bounds[0] is None:
            raise SuiteError(f"a cap bounds one persona; found {', '.join(personas)}")
        return self.capped(condition, personas[0], bounds[0])

    def _answers(self, condition: Condition, through: Site) -> tuple[Reading, ...]:
        answers = (Reply(condition, probe, self.decoding) for probe in CALIBRATION)
        return tuple(
            Reading(condition, reply.probe, Position.RESPONSE_MEAN, reply, through) for reply in answers
        )

    def _extract(self, extraction: Extraction) -> Extract:
        positive = self._positive(extraction)
        negative = self.condition(extraction.against, Regime.PROMPT) if extraction.against else self.bare
        if extraction.under:
            positive, negative = (
                replace(side, adapters=((extraction.under, 1.0),)) for side in (positive, negative)
            )
        # A vector belongs to the base, as its norms do: it must not move with how a suite lets it reason.
        positive, negative = (replace(side, thinking="auto") for side in (positive, negative))
        return Extract(positive, negative, extraction.site, extraction.position)

    def _positive(self, extraction: Extraction) -> Condition:
        if extraction.persona is not None:
            return self.condition(extraction.persona, Regime.PROMPT)
        return replace(self.bare, adapters=((extraction.adapter or "", 1.0),))

    def _lacks(self, persona: str, regime: Regime) -> str:
        if "prompt" in regime.layers and self.personas[persona].prompt is None:
            return "prompt is not written in the suite"
        if "cap" in regime.layers and self.personas[persona].cap is None:
            return "cap is not written in the suite"
        if "adapter" in regime.layers and self.adapter_of(persona) not in self.release.adapters:
            return f"adapter {self.adapter_of(persona)!r} is not in the release"
        return f"vector {self.vector_of(persona)!r} is not in the release"
