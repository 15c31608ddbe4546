"""Judged: another model, whose error is measured first, says how many replies meet a rubric."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from coherence.errors import SuiteError, UnknownNameError, did_you_mean
from coherence.plan import Measurement, Record, Reply, Scene
from coherence.properties.behaviour.judge_scores import JudgedTexts, JudgeScores
from coherence.properties.behaviour.labelled_scores import (
    LABELLED,
    LabelledReplies,
    LabelledScores,
    of_persona,
)
from coherence.properties.case import Case
from coherence.properties.columns import interval_columns, table
from coherence.properties.control import in_its_place
from coherence.properties.criterion import held
from coherence.properties.eligibility import require_probes, supporting, with_persona
from coherence.properties.lengths import by_length
from coherence.properties.property import Property
from coherence.properties.ranges import COSINE, SHARE
from coherence.statistics.agreement import paired_difference
from coherence.statistics.corrected_share import corrected_difference, corrected_share
from coherence.statistics.intervals import Interval
from coherence.vocabulary import (
    Criterion,
    Figures,
    Judge,
    Labelled,
    Name,
    ProbeNote,
    Regime,
    Rubric,
    Table,
)
from coherence.vocabulary.evidence import number, ranged

LEAST_PROBES = 8
LEAST_LABELS = 8
SHOWN = 2


@dataclass(frozen=True, eq=False)
class JudgedSample:
    """What the judge makes of the replies in the regime, by the prompt, and of labelled ones."""

    case: "JudgedCase"
    record: Record

    @cached_property
    def own(self) -> JudgeScores:
        """In the regime, [probes]."""
        return self.case.judged(self.case.regimes[-1]).scores(self.record)

    @cached_property
    def prompted(self) -> JudgeScores:
        """By the persona's own prompt, [probes]."""
        return self.case.judged(Regime.PROMPT).scores(self.record)

    @cached_property
    def labelled(self) -> LabelledScores:
        """Of replies of which people say what they are."""
        return self.case.labelled.scores(self.record)

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.case.scene.probes)

    def rate(self, scores: JudgeScores) -> Interval:
        """Share of replies that meet the rubric as people say."""
        return corrected_share(scores.mean(self.case.scene.clusters), *self._known)

    @cached_property
    def gap(self) -> Interval:
        """That share by the prompt less that in the regime, paired by probe."""
        clusters = self.case.scene.clusters
        (own_low, own_high), (low, high) = self.own.between(), self.prompted.between()
        least, most = paired_difference(own_high, low, clusters), paired_difference(own_low, high, clusters)
        both = self.own.is_read & self.prompted.is_read
        apart = (self.prompted.values - self.own.values)[both]
        value = float(apart.mean()) if len(apart) else 0.0
        apart_by = Interval(value, min(least.low, value), max(most.high, value))
        return corrected_difference(apart_by, *self._known)

    def undecided(self, *judged: JudgeScores) -> str | None:
        """Say why the judge decides nothing; None where it does."""
        if any(one.splits for one in (self.labelled.scores, *judged)):
            return (
                "the judge writes numbers digit by digit, and its first token is no score: more probes do "
                "not help; expected `highest: 9`, or `answer: yes-no`"
            )
        for scores, of in ((self.labelled.scores, LABELLED), *((one, "replies") for one in judged)):
            if scores.too_many_missing:
                return scores.missing(of)
        return self.labelled.below(self.case.spec.min_agreement)

    @cached_property
    def _known(self) -> tuple[Interval, Interval]:
        """Mean scores of labelled replies that meet the rubric, and of those that do not."""
        return self.labelled.mean_of(met=True), self.labelled.mean_of(met=False)


@dataclass(frozen=True)
class JudgedCase(Case[JudgedSample]):
    """One persona in one regime, whose replies another model holds against a rubric."""

    persona: str
    slug: str
    spec: "JudgedReplies"
    scene: Scene
    regimes: tuple[Regime, ...]  # the prompt, where it is compared with, and the regime that is judged
    others: tuple[str, ...]

    def needs(self) -> Iterable[Measurement]:
        """Judge labelled replies, those of the regime and, where there is a gap, those of the prompt."""
        yield from self.labelled.needs()
        for regime in self.regimes:
            yield from self.judged(regime).needs()

    def sample(self, record: Record, seed: int) -> JudgedSample:
        """Take what was said; nothing is drawn."""
        return JudgedSample(self, record)

    def criteria(self, sample: JudgedSample) -> Iterator[Criterion]:
        """Judge how many replies meet the rubric, alone and beside the prompt's."""
        judges = {"min_rate": self._rate, "max_gap": self._gap}
        for judge, bound in self.spec.written(judges):
            yield judge(sample, bound)

    def figures(self, sample: JudgedSample) -> Figures:
        """Show what the judge says and what is made of it, and the replies that it thinks least of."""
        return Figures(
            fact=self._fact(sample),
            tables=(self._shares(sample),),
            probes=tuple(self._least(sample)),
            notes=tuple(self._notes(sample)),
        )

    def controls(self) -> Mapping[str, Sequence["JudgedCase"]]:
        """Nothing, another persona, or random vectors in its place."""
        scenes = in_its_place(self.scene, self.persona, self.regimes, self.others)
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    @cached_property
    def labelled(self) -> LabelledReplies:
        """The labels of this persona, judged by the first wording of its rubric."""
        labels = of_persona(self.spec.labels, self.persona)
        return LabelledReplies(self.spec.judge, self.spec.rubrics[self.persona][0], labels)

    def judged(self, regime: Regime) -> JudgedTexts:
        """Put together what a regime replies to the probes."""
        condition = self.scene.condition(self.persona, regime)
        replies = tuple((probe, Reply(condition, probe, self.scene.decoding)) for probe in self.scene.probes)
        return JudgedTexts(self.spec.judge, self.spec.rubrics[self.persona][0], replies)

    def _rate(self, sample: JudgedSample, least: float) -> Criterion:
        return held(
            f"rubric met by {self.regimes[-1]}",
            sample.rate(sample.own),
            sample.n,
            least,
            unreliable=sample.undecided(sample.own),
            key="min_rate",
        )

    def _gap(self, sample: JudgedSample, most: float) -> Criterion:
        return held(
            f"rubric met, prompt - {self.regimes[-1]}",
            sample.gap,
            sample.n,
            at_most=most,
            unreliable=sample.undecided(sample.own, sample.prompted),
            key="max_gap",
        )

    def _by_regime(self, sample: JudgedSample) -> dict[str, JudgeScores]:
        both = {str(Regime.PROMPT): sample.prompted} if len(self.regimes) > 1 else {}
        return {**both, str(self.regimes[-1]): sample.own}

    def _fact(self, sample: JudgedSample) -> str:
        rate = sample.rate(sample.own)
        return (
            f"of {sample.n} replies by {self.regimes[-1]}, {number(rate.value)} meet the rubric of "
            f"{self.persona}, by a judge whose kappa with people is {number(sample.labelled.agreement.value)}"
        )

    def _shares(self, sample: JudgedSample) -> Table:
        regimes = self._by_regime(sample)
        means = [scores.mean(self.scene.clusters).value for scores in regimes.values()]
        rates = [sample.rate(scores) for scores in regimes.values()]
        columns = {"judge's mean": means, **interval_columns("as people say", rates)}
        return table("share of replies that meet the rubric", regimes, columns)

    def _least(self, sample: JudgedSample) -> Iterator[ProbeNote]:
        regime = str(self.regimes[-1])
        replies = self.judged(self.regimes[-1]).texts
        order = np.argsort(np.where(sample.own.is_read, sample.own.values, -1.0), kind="stable")
        for row in order[:SHOWN]:
            probe, reply = replies[row]
            assert isinstance(reply, Reply)
            score = sample.own.values[row]
            note = "no score" if np.isnan(score) else f"score {number(float(score))} of 1"
            yield ProbeNote(probe=probe.id, note=note, replies={regime: sample.record.reply(reply)})

    def _notes(self, sample: JudgedSample) -> Iterator[str]:
        labelled = sample.labelled
        kappa, n = labelled.agreement, len(labelled.labels)
        yield f"the judge is {self.spec.judge}, asked for a {self.spec.judge.answer} in both orders"
        yield f"its kappa with people on {n} {LABELLED}: {ranged(kappa.value, kappa.low, kappa.high)}"
        for met, what in ((True, "meet the rubric"), (False, "do not")):
            mean = labelled.mean_of(met)
            yield f"its mean score of those that {what}: {ranged(mean.value, mean.low, mean.high)}"
        for name, scores in self._by_regime(sample).items():
            if missing := scores.missing(f"replies by {name}"):
                yield missing
        if missing := labelled.scores.missing(LABELLED):
            yield missing
        yield from by_length("the score", np.nan_to_num(sample.own.values, nan=0.5), self.scene.probes)


def _lines(written: object) -> object:
    if isinstance(written, str):
        raise ValueError(
            f"found {written!r}, expected labelled replies, or in a suite the path of a .jsonl file"
        )
    return written


class JudgedReplies(Property):
    """As many of a regime's replies meet a rubric as a judge finds, whose error is reckoned with.

    The judge is another model, which is never told where a reply is from. What it says of labelled replies
    corrects what it says of others.
    """

    family: ClassVar[str] = "markers"

    property: Literal["judged"] = Field(description="Names this property.")
    judge: Judge = Field(description="The model that is asked, and where it is.")
    rubrics: dict[Name, Rubric] = Field(
        min_length=1,
        description="Persona to what its replies must be, in a sentence or two; of several the first is "
        "judged by, and `coherence judge check` holds the others against it.",
    )
    labels: Annotated[
        tuple[Labelled, ...],
        BeforeValidator(_lines, json_schema_input_type=str | tuple[Labelled, ...]),
    ] = Field(
        description="Replies with what a person says of them, or the path of a .jsonl file with one a line."
    )
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(with_persona)] = Field(
        None,
        min_length=1,
        description="Regimes whose replies are judged, one assertion each; default: the suite's.",
    )
    min_rate: Annotated[float | None, SHARE] = Field(
        None, ge=0, le=1, description="Least share of replies that meet the rubric, as people would say."
    )
    max_gap: Annotated[float | None, COSINE] = Field(
        None,
        ge=0,
        le=1,
        description="Largest such share by the prompt less that in the regime, paired by probe; not of the "
        "prompt itself.",
    )
    min_agreement: float = Field(
        0.5, gt=0, lt=1, description="Kappa of judge and people below which nothing is decided."
    )

    @model_validator(mode="after")
    def _something_is_asserted(self) -> Self:
        self.require_one(*self.claims)
        if self.max_gap is not None and Regime.PROMPT in (self.regimes or ()):
            raise ValueError("`max_gap` holds a regime against the prompt; expected other regimes than that")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona that has a rubric."""
        require_probes(scene, LEAST_PROBES, "judged")
        self._require_personas(scene)
        regimes = self.regimes or tuple(
            one for one in scene.regimes if self.max_gap is None or one != Regime.PROMPT
        )
        cases = (
            self._case(persona, regime, scene)
            for regime in regimes
            for persona in self.personas or self.rubrics
            if self.personas or scene.supports(persona, regime)
        )
        return self.at_least_one(cases, "with a rubric that one of the regimes can put into the model")

    def _require_personas(self, scene: Scene) -> None:
        labelled = dict.fromkeys(one.persona for one in self.labels)
        for persona in (*self.rubrics, *labelled, *(self.personas or ())):
            if persona not in scene.personas:
                hint = did_you_mean(persona, scene.personas)
                raise UnknownNameError(f"no persona is named {persona!r}{hint}")
        for persona in self.personas or ():
            if persona not in self.rubrics:
                raise SuiteError(f"persona {persona!r} has no rubric; expected one under `rubrics`")

    def _case(self, persona: str, regime: Regime, scene: Scene) -> Case:
        regimes = (regime,) if self.max_gap is None else (Regime.PROMPT, regime)
        for needed in regimes:
            scene.condition(persona, needed)  # complains of an artefact that is missing
        met = [one.met for one in of_persona(self.labels, persona)]
        if min(met.count(True), met.count(False)) < LEAST_LABELS:
            raise SuiteError(
                f"judged of {persona!r} needs at least {LEAST_LABELS} labelled replies that meet its "
                f"rubric, and as many that do not, to know how often the judge is wrong; found "
                f"{met.count(True)} and {met.count(False)}"
            )
        kin = {persona, *scene.kin_of(persona)}
        others = tuple(name for name in supporting((regime,), scene) if name not in kin)
        return JudgedCase(persona, str(regime), self, scene, regimes, others)
