"""Classifier: what tells a prompted persona from others tells it in another regime, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene, stream
from coherence.properties.case import Case
from coherence.properties.columns import at_least, interval_series, over_depth, table
from coherence.properties.control import DRAWN, in_its_place
from coherence.properties.criterion import held
from coherence.properties.eligibility import (
    LEAST_BYSTANDERS,
    cast,
    require_probes,
    supporting,
    with_persona,
)
from coherence.properties.lengths import by_length
from coherence.properties.parts import require_in_reply
from coherence.properties.property import Property
from coherence.properties.ranges import COSINE, SHARE
from coherence.properties.reading import Readings
from coherence.properties.space.recognised import Cast, Recognised, Taught
from coherence.vocabulary import Band, Criterion, Curve, Figures, Part, Position, ProbeNote, Regime, Table
from coherence.vocabulary.evidence import number, ranged

LEAST_PROBES = 8
BARE = "bare"


def _beyond_the_prompt(regimes: tuple[Regime, ...] | None) -> tuple[Regime, ...] | None:
    if Regime.PROMPT in (regimes or ()):
        raise ValueError("prompt is what the classifier is trained on; expected adapter, steering or a stack")
    return with_persona(regimes)


@dataclass(frozen=True)
class ClassifierCase(Case[Recognised]):
    """One persona in one regime, read by classifiers of the prompted cast."""

    persona: str
    slug: str
    spec: "Classifier"
    scene: Scene
    regimes: tuple[Regime, Regime]  # the prompt, which is trained on, and the regime that is read
    others: tuple[str, ...]
    shuffled: int | None = None

    def needs(self) -> Iterable[Measurement]:
        """Read the cast by its prompts and in the regime, over what each says."""
        return self.taught.needs(self.tried)

    def sample(self, record: Record, seed: int) -> Recognised:
        """Train the classifiers, each without the questions that it reads."""
        return Recognised(self.taught, self.tried, record, self.spec.sites)

    def criteria(self, sample: Recognised) -> Iterator[Criterion]:
        """Judge the accuracy in the regime, and what is lost from prompted replies to it."""
        judges = {"min_transfer": self._transfer, "max_gap": self._gap}
        for judge, bound in self.spec.written(judges):
            yield judge(sample, bound)

    def figures(self, sample: Recognised) -> Figures:
        """Show the accuracy over depth, who is taken for the persona, and how well probabilities are told."""
        return Figures(
            fact=self._fact(sample),
            curve=self._curve(sample),
            tables=(self._mistakes(sample), self._calibration(sample)),
            probes=tuple(self._worst(sample)),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["ClassifierCase"]]:
        """Nothing, another persona or random vectors in its place, and a classifier of shuffled labels."""
        scenes = in_its_place(self.scene, self.persona, self.regimes, self.others)
        drawn = (
            stream(self.scene.seed, f"shuffled labels {turn} of {self.persona}") for turn in range(DRAWN)
        )
        return {
            **{name: [replace(self, scene=scene) for scene in several] for name, several in scenes},
            "shuffled labels": [replace(self, shuffled=seed) for seed in drawn],
        }

    @cached_property
    def taught(self) -> Taught:
        """The prompted cast."""
        spec = self.spec
        readings = Readings(self.scene, spec.position, spec.text, part=spec.part)
        return Taught(self._cast(Regime.PROMPT), readings, self.shuffled)

    @cached_property
    def tried(self) -> Cast:
        """Who of it the regime can put into the model."""
        return self._cast(self.regimes[1])

    def _cast(self, regime: Regime) -> Cast:
        able = [name for name in self.others if self.scene.supports(name, regime)]
        others = {name: self.scene.condition(name, regime) for name in able}
        return Cast(
            self.persona, self.scene.condition(self.persona, regime), {**others, BARE: self.scene.bare}
        )

    def _transfer(self, sample: Recognised, least: float) -> Criterion:
        return held(
            f"accuracy in {self.regimes[1]}",
            sample.transferred,
            sample.n,
            at_least=least,
            unreliable=self._unread(sample),
            key="min_transfer",
        )

    def _gap(self, sample: Recognised, most: float) -> Criterion:
        return held(
            f"accuracy prompt - {self.regimes[1]}",
            sample.gap,
            sample.n,
            at_most=most,
            unreliable=self._unread(sample),
            key="max_gap",
        )

    def _unread(self, sample: Recognised) -> str | None:
        """Say that prompted replies themselves are not read on new questions; None if they are."""
        prompted, least = sample.prompted, self.spec.min_prompted
        if prompted.value >= least:
            return None
        accuracy = f"accuracy {ranged(prompted.value, prompted.low, prompted.high)}, expected {least:g}"
        return f"the classifier does not read prompted replies to questions that it has not seen: {accuracy}"

    def _fact(self, sample: Recognised) -> str:
        taken = sample.mistaken[1]
        of_others = float(np.mean([share for name, share in taken.items() if name != self.persona]))
        return (
            f"by what a classifier learnt of prompted replies, {taken[self.persona]:.0%} of the replies of "
            f"{self.regimes[1]} are the persona's, and {of_others:.0%} of the others'"
        )

    def _curve(self, sample: Recognised) -> Curve:
        prompted, tried = map(interval_series, sample.by_site)
        transfer = str(self.regimes[1])
        return over_depth(
            {transfer: tried, "prompt": prompted},
            np.zeros(len(prompted.values), dtype=np.bool_),
            "balanced accuracy",
            self.spec.sites,
            at_least(transfer, self.spec.min_transfer),
        )

    def _worst(self, sample: Recognised) -> Iterator[ProbeNote]:
        accuracy = sample.at_band[1].accuracy
        for row in np.argsort(accuracy, kind="stable")[:3]:
            note = f"balanced accuracy {number(accuracy[row])} in {self.regimes[1]}"
            yield ProbeNote(probe=self.scene.probes[row].id, note=note)

    def _notes(self, sample: Recognised) -> Iterator[str]:
        prompted = sample.prompted
        read = ranged(prompted.value, prompted.low, prompted.high)
        yield f"accuracy on prompted replies to questions that it has not seen: {read}; chance is 0.5"
        yield from by_length("accuracy", sample.at_band[1].accuracy, self.scene.probes)

    def _mistakes(self, sample: Recognised) -> Table:
        prompted, tried = sample.mistaken
        columns = {
            "prompt": prompted.values(),
            str(self.regimes[1]): [tried.get(name, nan) for name in prompted],
        }
        return table(
            f"share of replies that is taken for {self.persona}, by whose they are", prompted, columns
        )

    def _calibration(self, sample: Recognised) -> Table:
        columns = {
            "Brier score": [side.brier for side in sample.at_band],
            "calibration error": [side.calibration_error for side in sample.at_band],
        }
        return table("how far the probabilities of the classifier are off", map(str, self.regimes), columns)


class Classifier(Property):
    """A linear classifier that learnt a persona from prompted replies reads it in another regime.

    It is what the field calls a linear probe (arXiv 1610.01644); linear readings of personality after arXiv
    2512.17639. One is trained for each site, and reads questions that it was not trained on.
    """

    family: ClassVar[str] = "space"

    property: Literal["classifier"] = Field(description="Names this property.")
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(_beyond_the_prompt)] = Field(
        None,
        min_length=1,
        description="Regimes that are read, one assertion each; default: the suite's, but for the prompt.",
    )
    sites: Band = Field(description="Where classifiers are trained; accuracies are averaged over the band.")
    position: Position = Field(Position.RESPONSE_MEAN, description="At which token residuals are read.")
    text: Literal["shared", "own"] = Field(
        "own",
        description="For positions in a reply: every condition reads its own, or the bare model's (shared).",
    )
    part: Part = Field(Part.ANSWER, description="Which part of a reply a position is in.")
    min_transfer: Annotated[float | None, SHARE] = Field(
        None, ge=0, le=1, description="Least balanced accuracy in the regime; chance is 0.5."
    )
    max_gap: Annotated[float | None, COSINE] = Field(
        None,
        ge=0,
        le=1,
        description="Largest loss of accuracy from prompted replies to those in the regime.",
    )
    min_prompted: float = Field(
        0.8,
        gt=0.5,
        le=1,
        description="Accuracy on prompted replies below which nothing is decided.",
    )

    @model_validator(mode="after")
    def _something_is_asked(self) -> Self:
        self.require_one(*self.claims)
        require_in_reply(self.part, self.position)
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona that both it and a prompt put into the model."""
        require_probes(scene, LEAST_PROBES, "classifier")
        cases = (
            self._case(persona, regime, scene)
            for regime in self.regimes or [one for one in scene.regimes if one != Regime.PROMPT]
            for persona in cast(self.personas, scene, supporting((Regime.PROMPT, regime), scene).__contains__)
        )
        return self.at_least_one(cases, "with a prompt and another of the suite's regimes")

    def _case(self, persona: str, regime: Regime, scene: Scene) -> Case:
        for needed in (Regime.PROMPT, regime):
            scene.condition(persona, needed)  # complains of an artefact that is missing
        kin = {persona, *scene.kin_of(persona)}
        prompted = tuple(name for name in supporting((Regime.PROMPT,), scene) if name not in kin)
        told = [name for name in prompted if scene.supports(name, regime)]
        if len(prompted) < LEAST_BYSTANDERS or not told:
            raise SuiteError(
                f"classifier of {persona!r} needs at least two other personas with a prompt to be told from, "
                f"one of which {regime} can put into the model; found {', '.join(prompted) or 'none'}, and "
                f"by {regime} {', '.join(told) or 'none'}"
            )
        return ClassifierCase(persona, str(regime), self, scene, (Regime.PROMPT, regime), prompted)
