"""Voice: a regime makes the replies of the prompted persona likelier than those of other personas."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import interval_columns, table
from coherence.properties.control import in_its_place
from coherence.properties.criterion import held, unclear
from coherence.properties.eligibility import (
    beyond_the_prompt,
    cast,
    require_probes,
    supporting,
)
from coherence.properties.lengths import by_length
from coherence.properties.prompted_replies import PromptedReplies
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE, SHARE
from coherence.statistics.preference import Preference
from coherence.vocabulary import Criterion, Figures, ProbeNote, Regime, Table
from coherence.vocabulary.evidence import number, ranged

LEAST_PROBES = 8
SHOWN = 2


@dataclass(frozen=True, eq=False)
class VoiceSample:
    """How much likelier the prompt and the regime make what each prompted persona replies."""

    case: "VoiceCase"
    record: Record

    @cached_property
    def rows(self) -> list[int]:
        """Probes to which every persona has a reply."""
        return self.case.read.rows(self.record)

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.rows)

    @cached_property
    def prompted(self) -> Preference:
        """Under the persona's own prompt: the ceiling."""
        return self._preference(self.case.scene.condition(self.case.persona, Regime.PROMPT))

    @cached_property
    def own(self) -> Preference:
        """In the regime."""
        return self._preference(self.case.scene.condition(self.case.persona, self.case.regimes[1]))

    def _preference(self, condition: Condition) -> Preference:
        clusters = [self.case.scene.clusters[row] for row in self.rows]
        return Preference(self.case.read.gains(self.record, condition), clusters)


@dataclass(frozen=True)
class VoiceCase(Case[VoiceSample]):
    """One persona in one regime, which reads what the prompted persona and the others reply."""

    persona: str
    slug: str
    spec: "Voice"
    scene: Scene
    regimes: tuple[Regime, Regime]  # the prompt, whose replies are read, and the regime that reads them
    others: tuple[str, ...]

    def needs(self) -> Iterable[Measurement]:
        """Let bare, the prompt and the regime read the prompted replies of all."""
        for replies in self.read.replies.values():
            yield from replies
        conditions = (self.scene.bare, *(self.scene.condition(self.persona, one) for one in self.regimes))
        for condition in conditions:
            for of_persona in self.read.likelihoods(condition):
                yield from of_persona

    def sample(self, record: Record, seed: int) -> VoiceSample:
        """Take what was read; nothing is drawn."""
        return VoiceSample(self, record)

    def criteria(self, sample: VoiceSample) -> Iterator[Criterion]:
        """Judge how often the own reply gains most, and how far it leads beside the prompt."""
        judges = {"min_accuracy": self._accuracy, "min_share": self._share, "max_gap": self._gap}
        for judge, bound in self.spec.written(judges):
            yield judge(sample, bound)

    def figures(self, sample: VoiceSample) -> Figures:
        """Show whom the persona leads and how far, and where it does not."""
        return Figures(
            fact=self._fact(sample),
            tables=(self._leads(sample),),
            probes=tuple(self._worst(sample)),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["VoiceCase"]]:
        """Nothing, another persona, or random vectors in its place."""
        scenes = in_its_place(self.scene, self.persona, self.regimes, self.others)
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    @cached_property
    def read(self) -> PromptedReplies:
        """What each prompted persona replies to every probe, the judged one first."""
        return PromptedReplies(self.scene, (self.persona, *self.others))

    def _accuracy(self, sample: VoiceSample, least: float) -> Criterion:
        return held(
            f"accuracy by {self.regimes[1]}",
            sample.own.accuracy,
            sample.n,
            at_least=least,
            unreliable=self._unheard(sample),
            key="min_accuracy",
        )

    def _share(self, sample: VoiceSample, least: float) -> Criterion:
        return held(
            f"share of the prompt's lead by {self.regimes[1]}",
            sample.own.share_of(sample.prompted),
            sample.n,
            at_least=least,
            unreliable=self._unheard(sample),
            key="min_share",
        )

    def _gap(self, sample: VoiceSample, most: float) -> Criterion:
        return held(
            f"accuracy prompt - {self.regimes[1]}",
            sample.own.gap_to(sample.prompted),
            sample.n,
            at_most=most,
            unreliable=self._unheard(sample),
            key="max_gap",
        )

    def _unheard(self, sample: VoiceSample) -> str | None:
        """Say that the prompt does not tell its own replies from others'; None if it does."""
        lead = sample.prompted.lead
        return unclear(
            "the prompt itself does not clearly make its replies likelier than those of others: "
            f"lead {number(lead.value)}",
            lead,
            sample.n,
        )

    def _fact(self, sample: VoiceSample) -> str:
        told = " and ".join(
            f"{int(preference.hits.sum())} by {regime}, {number(preference.lead.value)} nats a token ahead"
            for regime, preference in zip(self.regimes, (sample.prompted, sample.own), strict=True)
        )
        return (
            f"of {sample.n} replies of the prompted {self.persona}, so many gain more than those of "
            f"{len(self.others)} others: {told}"
        )

    def _leads(self, sample: VoiceSample) -> Table:
        columns: dict[str, list[float]] = {}
        for regime, preference in zip(self.regimes, (sample.prompted, sample.own), strict=True):
            leads = [preference.over(place) for place in range(len(self.others))]
            columns |= interval_columns(str(regime), leads, f"{regime} ")
        return table(
            f"how far {self.persona}'s replies lead those of others, nats a token", self.others, columns
        )

    def _worst(self, sample: VoiceSample) -> Iterator[ProbeNote]:
        """Show the own reply beside that which gained most of the others', where it leads least."""
        names = [*self.read.replies]
        for place in np.argsort(sample.own.leads, kind="stable")[:SHOWN]:
            gains, row = sample.own.gains[place], sample.rows[place]
            nearest = 1 + int(gains[1:].argmax())
            shown = (names[0], names[nearest])
            yield ProbeNote(
                probe=self.scene.probes[row].id,
                note=f"gain by {self.regimes[1]}, nats a token: {names[0]} {number(gains[0])}, "
                f"{names[nearest]} {number(gains[nearest])}",
                replies={
                    f"prompt of {name}": sample.record.reply(self.read.replies[name][row]) for name in shown
                },
            )

    def _notes(self, sample: VoiceSample) -> Iterator[str]:
        for regime, preference in zip(self.regimes, (sample.prompted, sample.own), strict=True):
            accuracy, lead = (
                ranged(one.value, one.low, one.high) for one in (preference.accuracy, preference.lead)
            )
            chance = number(1 / (1 + len(self.others)))
            yield f"{regime}: accuracy {accuracy}, where chance is {chance}; lead {lead} nats a token"
        if silent := len(self.scene.probes) - sample.n:
            yield f"{silent} probes are left out, to which a prompted persona replies nothing"
        yield from by_length("lead", sample.own.leads, [self.scene.probes[row] for row in sample.rows])


class Voice(Property):
    """A regime makes the prompted persona's replies likelier than those of other prompted personas.

    Nothing is said in the regime: it reads. So it shows where no marker does, as under a small dose.
    """

    family: ClassVar[str] = "markers"

    property: Literal["voice"] = Field(description="Names this property.")
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(beyond_the_prompt)] = Field(
        None,
        min_length=1,
        description="Regimes that read, one assertion each; default: the suite's, but for the prompt.",
    )
    min_accuracy: Annotated[float | None, SHARE] = Field(
        None,
        ge=0,
        le=1,
        description="Least share of probes whose own reply gains more per token than that of any other "
        "persona; chance is one of all personas.",
    )
    min_share: Annotated[float | None, ANY] = Field(
        None,
        description="Least share of the prompt's lead: the gain of the own reply less the mean of the "
        "others', in nats per token.",
    )
    max_gap: Annotated[float | None, COSINE] = Field(
        None, ge=0, le=1, description="Largest accuracy of the prompt less that in the regime."
    )

    @model_validator(mode="after")
    def _something_is_asserted(self) -> Self:
        self.require_one(*self.claims)
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona that both it and a prompt put into the model."""
        require_probes(scene, LEAST_PROBES, "voice")
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
        others = tuple(name for name in supporting((Regime.PROMPT,), scene) if name not in kin)
        if not others:
            raise SuiteError(
                f"voice of {persona!r} needs another persona with a prompt, and no kin, to be told from"
            )
        return VoiceCase(persona, str(regime), self, scene, (Regime.PROMPT, regime), others)
