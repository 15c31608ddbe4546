"""Drift: through scripted conversations a persona stays what it is, and moves alike in every regime."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError, UnknownNameError, did_you_mean
from coherence.plan import Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.control import NOTHING, random_vectors, stand_ins
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    ConversationCase,
    Conversations,
    require_scripts,
)
from coherence.properties.conversations.drift_report import chronicle
from coherence.properties.conversations.drifting import Drifted, Drifting, DriftSample
from coherence.properties.conversations.parting import PartingCase
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import (
    Between,
    Pair,
    cast,
    pairs,
    require_probes,
    slug,
    supporting,
    with_persona,
)
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, SHARE
from coherence.vocabulary import Criterion, Figures, Regime, Script, Site

LEAST_PROBES = 8


@dataclass(frozen=True)
class DriftCase(ConversationCase[DriftSample]):
    """One persona in one regime, or something else in its place, through the scripts."""

    persona: str
    slug: str
    spec: "Drift"
    regimes: tuple[Regime]
    most: float
    drifting: Drifting

    def needs(self) -> Iterable[Measurement]:
        """Place the answers, and the regime's own replies to the probes."""
        return [*self.drifting.needs(), *self.drifting.single(*self.regimes)]

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Place the answers of the bare model."""
        return self.drifting.under(self.drifting.scene.bare).needs()

    def sample(self, record: Record, seed: int) -> DriftSample:
        """Place them on the axis."""
        drifted = Drifted.of(self.drifting, record, seed)
        bare = drifted.under(self.drifting.scene.bare)
        return DriftSample(*self.regimes, self.spec.coverage, drifted, bare)

    def criteria(self, sample: DriftSample) -> Iterator[Criterion]:
        """Judge slope, region and markers."""
        drifted, turns = sample.drifted, self.spec.min_turns
        course, n, unreliable = drifted.course, len(drifted.scripts), drifted.unreliable
        yield over_scripts(
            "slope per turn", course.slope(), n, -self.most, self.most, unreliable, key="max_drift"
        )
        name, margin = f"margin in the region through turn {turns}", course.margin(sample.region, turns)
        yield over_scripts(name, margin, n, 0, unreliable=unreliable, key="min_turns")
        if self.spec.min_rate is not None:
            yield over_scripts("marker rate", drifted.rate, n, self.spec.min_rate, key="min_rate")

    def figures(self, sample: DriftSample) -> Figures:
        """Show where the answers stand, and the scripts that go furthest."""
        return chronicle(sample)

    def controls(self) -> Mapping[str, Sequence["DriftCase"]]:
        """Let nobody, another persona or random vectors talk in its place: none may pass for this one.

        Nobody is the bare model, in stacks too: whoever talks is judged, and not what a layer adds. Personas
        that are judged themselves come first, as their conversations are measured anyway.
        """
        scene, (regime,) = self.drifting.scene, self.regimes
        others = dict.fromkeys((*(self.spec.personas or ()), *scene.personas))
        scenes = (
            *islice(stand_ins(scene, self.persona, regime, others), 1),
            *random_vectors(scene, self.persona, self.regimes),
        )
        talking = {
            name: [other.condition(self.persona, regime) for other in several] for name, several in scenes
        }
        return {
            name: [replace(self, drifting=self.drifting.under(condition)) for condition in several]
            for name, several in {NOTHING: [scene.bare], **talking}.items()
        }


class Drift(Property):
    """In scripted conversations a persona does not move along its own axis, nor leave its region.

    The axis leads from the bare model to the prompted persona (arXiv 2601.10387); the region is that of the
    regime's replies to single probes.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["drift"] = Field(description="Names this property.")
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(with_persona)] = Field(
        None, description="Regimes to talk in; default: the suite's."
    )
    scripts: tuple[str, ...] | None = Field(
        None, min_length=1, description="Ids of scripts; default: all of the suite's."
    )
    site: Site = Field(description="Where positions on the persona's axis are read.")
    max_drift: Annotated[float | None, ANY] = Field(
        None,
        ge=0,
        description="Largest slope of the position, of either sign, per turn; one assertion a regime.",
    )
    coverage: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Probability with which one more single-turn reply would be in the region.",
    )
    min_turns: Annotated[int, ANY] = Field(
        1, ge=1, description="How many turns the mean position must stay in the region."
    )
    min_rate: Annotated[float | None, SHARE] = Field(
        None, ge=0, le=1, description="Least share of the answers that hold a marker of the persona."
    )
    between: Between = None
    max_difference: Annotated[float | None, ANY] = Field(
        None,
        ge=0,
        description="Largest difference of two regimes' slopes on the same scripts; one assertion a pair.",
    )

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        if self.max_drift is None and self.max_difference is None:
            raise ValueError("nothing is asserted; expected max_drift, max_difference or both")
        if self.min_rate is not None and self.max_drift is None:
            raise ValueError("min_rate goes with max_drift: both are asked of one regime")
        if self.between and self.max_difference is None:
            raise ValueError("between goes with max_difference: one says which regimes, the other how much")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona and regime, then one per pair of regimes."""
        require_probes(scene, LEAST_PROBES, "drift")
        cases = [*self._alone(scene), *self._paired(scene)]
        return self.at_least_one(cases, "with a prompt, for the axis, that a regime puts into the model")

    def _alone(self, scene: Scene) -> Iterator[Case]:
        if self.max_drift is None:
            return
        for regime in self._regimes(scene):
            for persona in self._cast(scene, (regime,)):
                drifting = self._drifting(scene, persona, regime)
                yield DriftCase(persona, str(regime), self, (regime,), self.max_drift, drifting)

    def _paired(self, scene: Scene) -> Iterator[Case]:
        if self.max_difference is None:
            return
        for pair in pairs(self.between, replace(scene, regimes=self._regimes(scene))):
            for persona in self._cast(scene, pair):
                first, second = (self._drifting(scene, persona, regime) for regime in pair)
                yield PartingCase(persona, slug(pair), pair, self.max_difference, first, second)

    def _regimes(self, scene: Scene) -> tuple[Regime, ...]:
        return scene.regimes if self.regimes is None else self.regimes

    def _cast(self, scene: Scene, regimes: tuple[Regime] | Pair) -> list[str]:
        able = supporting((Regime.PROMPT, *regimes), scene)
        if self.min_rate is not None:
            able = [persona for persona in able if scene.personas[persona].markers]
        return cast(self.personas, scene, able.__contains__)

    def _drifting(self, scene: Scene, persona: str, regime: Regime) -> Drifting:
        if self.min_rate is not None and not scene.personas[persona].markers:
            raise SuiteError(f"persona {persona!r} has no markers, and min_rate counts them")
        conversations = Conversations(scene, self._scripts(scene), scene.condition(persona, regime))
        if self.min_turns > conversations.turns:
            raise SuiteError(
                f"min_turns is {self.min_turns}, and the longest script has {conversations.turns} turns"
            )
        return Drifting(Axis.of(scene, persona, self.site), conversations)

    def _scripts(self, scene: Scene) -> tuple[Script, ...]:
        known = {script.id: script for script in scene.scripts}
        for name in self.scripts or ():
            if name not in known:
                raise UnknownNameError(f"no script is named {name!r}{did_you_mean(name, known)}")
        chosen = scene.scripts if self.scripts is None else tuple(known[name] for name in self.scripts)
        require_scripts(chosen, LEAST_SCRIPTS, "drift")
        return chosen
