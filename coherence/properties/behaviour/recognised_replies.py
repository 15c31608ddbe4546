"""Recognised: what prompted replies teach takes a regime's replies for the persona's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.plan.calibration import CALIBRATION
from coherence.properties.behaviour.lesson import NOBODY, Lesson, ReadReplies
from coherence.properties.case import Case
from coherence.properties.columns import table
from coherence.properties.control import in_its_place
from coherence.properties.criterion import held
from coherence.properties.eligibility import (
    beyond_the_prompt,
    cast,
    require_probes,
    supporting,
)
from coherence.properties.lengths import by_length
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE, SHARE
from coherence.statistics.agreement import Hits, mean_share, paired_difference, recovery
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.logistic_regression import Labels
from coherence.vocabulary import Band, Criterion, Figures, Probe, ProbeNote, Regime, Table
from coherence.vocabulary.evidence import number, ranged
from coherence.vocabulary.probe import wording

BARE = "bare"
LEAST_PROBES = 8
LEAST_QUESTIONS = 8
SHOWN = 2


@dataclass(frozen=True, eq=False)
class RecognisedSample:
    """Whose the replies to the probes are taken to be: of the prompted cast, and of the regime."""

    case: "RecognisedCase"
    record: Record

    @cached_property
    def own(self) -> Labels:
        """In the regime: places in the cast, the persona's first, [replies]."""
        return self._lesson.by_reading(self.case.read(self.case.condition))

    @cached_property
    def known(self) -> dict[str, Labels]:
        """Of each of the cast, whose it is known to be."""
        return {name: self._lesson.by_reading(one) for name, one in self.case.known.items()}

    @property
    def prompted(self) -> Labels:
        """Of the prompted persona: the ceiling."""
        return self.known[self.case.persona]

    @property
    def clusters(self) -> list[str]:
        """The cluster of each reply's probe."""
        return [probe.cluster for probe in self.case.scene.answered]

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.case.scene.probes)

    @cached_property
    def rate(self) -> Interval:
        """Share of the regime's replies that is taken for the persona's."""
        return mean_share(_hits(self.own).astype(np.float64), self.clusters)

    @cached_property
    def ceiling(self) -> Interval:
        """The same of the prompted persona's, to questions that nobody learnt from."""
        return mean_share(_hits(self.prompted).astype(np.float64), self.clusters)

    @cached_property
    def recovery(self) -> Interval:
        """Share of what the prompt's rate is above bare's."""
        own, ceiling, bare = (_hits(one) for one in (self.own, self.prompted, self.known[BARE]))
        return recovery(own, ceiling, bare, self.clusters)

    @cached_property
    def gap(self) -> Interval:
        """Rate of the prompt less that of the regime, paired by probe."""
        return paired_difference(_hits(self.own), _hits(self.prompted), self.clusters)

    @cached_property
    def beyond_length(self) -> Interval:
        """How much better prompted replies are told by reading them than by the number of their words.

        Difference of balanced accuracies: own replies that are recognised, and others' that are not.
        """
        counted = {name: self._lesson.by_length(one) for name, one in self.case.known.items()}
        return paired_difference(self._balanced(counted), self._balanced(self.known), self.clusters)

    @cached_property
    def _lesson(self) -> Lesson:
        return Lesson(self.case.speakers, self.record)

    def _balanced(self, told: Mapping[str, Labels]) -> Array:
        own = _hits(told[self.case.persona])
        others = np.mean([~_hits(labels) for name, labels in told.items() if name != self.case.persona], 0)
        return np.asarray((own + others) / 2)


@dataclass(frozen=True)
class RecognisedCase(Case[RecognisedSample]):
    """One persona in one regime, whose replies are told from those of other prompted personas and of bare."""

    persona: str
    slug: str
    spec: "RecognisedReplies"
    scene: Scene
    regimes: tuple[Regime, Regime]  # the prompt, whose replies are learnt from, and the regime that is told
    others: tuple[str, ...]
    held_out: tuple[Probe, ...]

    def needs(self) -> Iterable[Measurement]:
        """Read what the cast replies to held-out questions and to the probes, and what the regime does."""
        for one in (*self.speakers.values(), *self.known.values(), self.read(self.condition)):
            yield from one.replies
            yield from one.readings

    def sample(self, record: Record, seed: int) -> RecognisedSample:
        """Learn, and tell; nothing is drawn."""
        return RecognisedSample(self, record)

    def criteria(self, sample: RecognisedSample) -> Iterator[Criterion]:
        """Judge how often the persona is recognised, alone and beside its prompt."""
        judges = {"min_rate": self._rate, "min_recovery": self._recovery, "max_gap": self._gap}
        for judge, bound in self.spec.written(judges):
            yield judge(sample, bound)

    def figures(self, sample: RecognisedSample) -> Figures:
        """Show whose the replies are taken to be, and those that are not recognised."""
        return Figures(
            fact=self._fact(sample),
            tables=(self._confusion(sample),),
            probes=tuple(self._missed(sample)),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["RecognisedCase"]]:
        """Nothing, another persona, or random vectors in its place."""
        scenes = in_its_place(self.scene, self.persona, self.regimes, self.others)
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    @cached_property
    def condition(self) -> Condition:
        """The persona in the regime."""
        return self.scene.condition(self.persona, self.regimes[1])

    @cached_property
    def speakers(self) -> dict[str, ReadReplies]:
        """What the cast replies to the held-out questions."""
        return {
            name: ReadReplies(self.scene, self.held_out, self.spec.sites, one)
            for name, one in self._cast.items()
        }

    @cached_property
    def known(self) -> dict[str, ReadReplies]:
        """What the cast replies to the probes."""
        return {name: self.read(one) for name, one in self._cast.items()}

    def read(self, condition: Condition) -> ReadReplies:
        """Let the bare model read what a condition replies to the probes."""
        return ReadReplies(self.scene, self.scene.probes, self.spec.sites, condition, sampled=True)

    @property
    def _cast(self) -> dict[str, Condition]:
        """The prompted persona first, then the others, and the bare model."""
        names = (self.persona, *self.others)
        return {name: self.scene.condition(name, Regime.PROMPT) for name in names} | {BARE: self.scene.bare}

    def _rate(self, sample: RecognisedSample, least: float) -> Criterion:
        return held(
            f"recognised by {self.regimes[1]}",
            sample.rate,
            sample.n,
            at_least=least,
            unreliable=self._unrecognised(sample),
            key="min_rate",
        )

    def _recovery(self, sample: RecognisedSample, least: float) -> Criterion:
        return held(
            f"recovery by {self.regimes[1]}",
            sample.recovery,
            sample.n,
            at_least=least,
            unreliable=self._unrecognised(sample),
            key="min_recovery",
        )

    def _gap(self, sample: RecognisedSample, most: float) -> Criterion:
        return held(
            f"recognised by prompt - {self.regimes[1]}",
            sample.gap,
            sample.n,
            at_most=most,
            unreliable=self._unrecognised(sample),
            key="max_gap",
        )

    def _unrecognised(self, sample: RecognisedSample) -> str | None:
        """Say why prompted replies do not tell the persona, or by length alone; None if they do."""
        ceiling, beyond = sample.ceiling, sample.beyond_length
        if ceiling.value < self.spec.min_prompted:
            rate = ranged(ceiling.value, ceiling.low, ceiling.high)
            return (
                "prompted replies themselves are not recognised on questions that nobody learnt from: "
                f"{rate}, expected {self.spec.min_prompted:g}"
            )
        if beyond.low <= 0:
            more = ranged(beyond.value, beyond.low, beyond.high)
            return (
                "the length of a reply tells as well whose it is: by reading it, balanced accuracy is higher "
                f"by {more}"
            )
        return None

    def _fact(self, sample: RecognisedSample) -> str:
        told = self._by_regime(sample)
        counts = ", ".join(f"{int(_hits(labels).sum())} by {name}" for name, labels in told.items())
        drawn = len(sample.own)
        return f"of {drawn} replies each, so many are taken for the prompted {self.persona}'s: {counts}"

    def _by_regime(self, sample: RecognisedSample) -> dict[str, Labels]:
        return {str(self.regimes[1]): sample.own, "prompt": sample.prompted, BARE: sample.known[BARE]}

    def _confusion(self, sample: RecognisedSample) -> Table:
        names = [*self.known]
        columns = {
            name: [float((labels == place).mean()) for place in (*range(len(names)), NOBODY)]
            for name, labels in self._by_regime(sample).items()
        }
        return table("share of replies by whose they are taken to be", [*names, "nobody"], columns)

    def _missed(self, sample: RecognisedSample) -> Iterator[ProbeNote]:
        names, regime = {NOBODY: "nobody", **dict(enumerate(self.known))}, str(self.regimes[1])
        texts, prompted = (
            one.texts(sample.record) for one in (self.read(self.condition), self.known[self.persona])
        )
        for row in np.flatnonzero(~_hits(sample.own))[:SHOWN]:
            yield ProbeNote(
                probe=self.scene.answered[row].id,
                note=f"by {regime} taken for {names[int(sample.own[row])]}",
                replies={regime: texts[row], "prompt": prompted[row]},
            )

    def _notes(self, sample: RecognisedSample) -> Iterator[str]:
        ceiling, beyond = sample.ceiling, sample.beyond_length
        yield f"recognised by prompt: {ranged(ceiling.value, ceiling.low, ceiling.high)}"
        yield (
            "balanced accuracy on prompted replies, by reading them less by the number of their words: "
            f"{ranged(beyond.value, beyond.low, beyond.high)}"
        )
        words = {
            name: float(np.exp(one.lengths(sample.record)).mean())
            for name, one in {str(self.regimes[1]): self.read(self.condition), **self.known}.items()
            if one.worded(sample.record).any()
        }
        yield "mean number of words: " + ", ".join(f"{name} {number(mean)}" for name, mean in words.items())
        yield from by_length("recognition", _hits(sample.own), self.scene.probes)


class RecognisedReplies(Property):
    """What prompted replies teach of whose a reply is takes a regime's replies for the persona's.

    It is learnt from what the prompted personas and the bare model reply to held-out questions, as the bare
    model reads it: nothing but the text decides, and no list of words.
    """

    family: ClassVar[str] = "markers"

    property: Literal["recognised"] = Field(description="Names this property.")
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(beyond_the_prompt)] = Field(
        None,
        min_length=1,
        description="Regimes whose replies are told, one assertion each; default: the suite's, but for the "
        "prompt.",
    )
    sites: Band = Field(description="Where the bare model's residuals are taken, averaged over the reply.")
    questions: tuple[str, ...] | None = Field(
        None,
        min_length=LEAST_QUESTIONS,
        description="Held-out questions whose replies are learnt from, none of them a probe; default: the "
        "20 calibration questions.",
    )
    min_rate: Annotated[float | None, SHARE] = Field(
        None, ge=0, le=1, description="Least share of the regime's replies that is recognised."
    )
    min_recovery: Annotated[float | None, ANY] = Field(
        None, ge=0, description="Least (rate - bare) / (prompt - bare)."
    )
    max_gap: Annotated[float | None, COSINE] = Field(
        None, ge=0, le=1, description="Largest rate of the prompt less that of the regime, paired by probe."
    )
    min_prompted: float = Field(
        0.7, gt=0, le=1, description="Rate of prompted replies below which nothing is decided."
    )

    @model_validator(mode="after")
    def _something_is_asserted(self) -> Self:
        self.require_one(*self.claims)
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona that both it and a prompt put into the model."""
        require_probes(scene, LEAST_PROBES, "recognised")
        held_out = self._held_out(scene)
        cases = (
            self._case(persona, regime, scene, held_out)
            for regime in self.regimes or [one for one in scene.regimes if one != Regime.PROMPT]
            for persona in cast(self.personas, scene, supporting((Regime.PROMPT, regime), scene).__contains__)
        )
        return self.at_least_one(cases, "with a prompt and another of the suite's regimes")

    def _case(self, persona: str, regime: Regime, scene: Scene, held_out: tuple[Probe, ...]) -> Case:
        for needed in (Regime.PROMPT, regime):
            scene.condition(persona, needed)  # complains of an artefact that is missing
        kin = {persona, *scene.kin_of(persona)}
        others = tuple(name for name in supporting((Regime.PROMPT,), scene) if name not in kin)
        if not others:
            raise SuiteError(
                f"recognised of {persona!r} needs another persona with a prompt, and no kin, to be told from"
            )
        return RecognisedCase(persona, str(regime), self, scene, (Regime.PROMPT, regime), others, held_out)

    def _held_out(self, scene: Scene) -> tuple[Probe, ...]:
        """Take the questions that are learnt from; a SuiteError says which of them is a probe."""
        # All of them whatever the probes: a half of these must be told by the same recogniser as the whole.
        written = enumerate(self.questions or ())
        held_out = tuple(Probe(id=f"held-out-{place}", text=text) for place, text in written) or CALIBRATION
        probes = {wording(probe.text): probe.id for probe in scene.probes}
        for question in held_out:
            if probe := probes.get(wording(question.text)):
                raise SuiteError(
                    f"{question.text!r} is learnt from, and is the probe {probe!r}; expected held-out "
                    "questions: write some that are no probes under questions"
                )
        return held_out


def _hits(told: Labels) -> Hits:
    """Whether a reply is taken for the persona's, who is the first of the cast."""
    return np.asarray(told == 0)
