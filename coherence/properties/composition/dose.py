"""Dose: a persona's vector, scaled, subtracted and beside others, does what the algebra of vectors says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from math import inf, nan
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene
from coherence.properties.columns import column
from coherence.properties.composition.bleed import Projections, foreign_markers, listed, onto_markers
from coherence.properties.composition.scaled import Scaled, vectors
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held, unclear
from coherence.properties.eligibility import cast, require_probes
from coherence.properties.lengths import by_length
from coherence.properties.markers import Replies
from coherence.properties.property import Case, Property
from coherence.properties.ranges import ANY, COSINE, SHARE, SIZE
from coherence.statistics.agreement import paired_difference
from coherence.statistics.dose import largest, slopes, trend
from coherence.statistics.intervals import Array
from coherence.vocabulary import Criterion, Curve, Evidence, Position, ProbeNote, Regime, Site
from coherence.vocabulary.evidence import number

LEAST_PROBES = 8
LEAST_DOSES = 3


@dataclass(frozen=True)
class DoseCase(Case):
    """One persona's vector at several doses, its own dose among them."""

    persona: str
    slug: str
    asked: "Dose"
    scene: Scene

    def needs(self) -> Iterable[Measurement]:
        """Let the model answer at every dose, and read the answers bare; the rest where it is asked for."""
        read = [likelihood for dose in self._doses for likelihood in self._vector.likelihoods(dose)]
        suppressed = self.asked.min_suppression is not None
        spoken = (self._vector.prompted, self._vector.subtracted) if suppressed else ()
        return [
            *(likelihood.text for likelihood in read),
            *read,
            *(reply for condition in spoken for reply in self._vector.replies(condition)),
            *(self._projections.needs() if self._projections else ()),
        ]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge what was asked for; the curve and the replies are there in any case."""
        answers = {dose: self._vector.said(record, self._vector.at(dose)) for dose in self._doses}
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=self._curve(record, answers),
            probes=self._least_and_most(record, answers),
            notes=(*self._response_notes(record, answers), *self._other_notes(record)),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield those that were asked for."""
        judges = {
            "min_slope": self._slope,
            "max_perplexity": self._perplexity,
            "min_suppression": self._suppression,
            "max_bleed": self._bleed,
            "max_projection": self._projection,
        }
        for judge, bound in self.asked.written(judges):
            yield judge(record, bound)

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Put nothing, another persona's vector, or random ones in the place of the persona's own.

        Only where the persona has to show: any vector may leave the text whole and the others alone. What is
        said is measured for this alone, so one other persona has a turn.
        """
        if self.asked.min_slope is None and self.asked.min_suppression is None:
            return {}
        scenes = (
            *nothing(self.scene, self.persona, (Regime.STEERING,)),
            *islice(stand_ins(self.scene, self.persona, Regime.STEERING, self.scene.personas), 1),
            *random_vectors(self.scene, self.persona, (Regime.STEERING,)),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    def _slope(self, record: Record, least: float) -> Criterion:
        doses = self._coherent(record)
        hits = np.stack([self._vector.said(record, self._vector.at(dose)).hits for dose in doses])
        broken = "the text is coherent at no dose above 0: there is no response to follow"
        return held(
            "slope of the marker rate",
            trend(doses, hits, self.scene.clusters),
            self._n,
            at_least=least,
            unreliable=None if len(doses) > 1 else broken,
            key="min_slope",
        )

    def _perplexity(self, record: Record, most: float) -> Criterion:
        found, there = self._vector.perplexity(record, self._vector.working)
        empty = f"on {self._n - there} of {self._n} probes a reply is empty, and has no perplexity"
        return held(
            f"perplexity at dose {self._vector.working:g} over bare",
            found,
            there,
            at_most=most,
            unreliable=None if there >= LEAST_PROBES else empty,
            key="max_perplexity",
        )

    def _suppression(self, record: Record, least: float) -> Criterion:
        conditions = self.scene.bare, self._vector.prompted, self._vector.subtracted
        bare, prompted, subtracted = (self._vector.said(record, condition) for condition in conditions)
        flat = f"the prompt's rate {prompted.rate:.2f} is not clearly above the bare rate {bare.rate:.2f}"
        effect = paired_difference(bare.hits, prompted.hits, self.scene.clusters)
        return held(
            f"suppression by dose {-self._vector.working:g}",
            paired_difference(subtracted.hits, prompted.hits, self.scene.clusters),
            self._n,
            at_least=least,
            unreliable=unclear(flat, effect, self._n),
            key="min_suppression",
        )

    def _bleed(self, record: Record, most: float) -> Criterion:
        effects = list(onto_markers(self._vector, record).values())
        return held("bleed onto others' markers", largest(effects), self._n, at_most=most, key="max_bleed")

    def _projection(self, record: Record, most: float) -> Criterion:
        assert self._projections
        found = largest(self._projections.foreign(record))
        return held("bleed along others' prompts", found, self._n, at_most=most, key="max_projection")

    def _coherent(self, record: Record) -> tuple[float, ...]:
        """Doses below the first at which the perplexity may be more than it may be."""
        most = self.asked.max_perplexity
        if most is None:
            return self._doses
        steered = (dose for dose in self._doses if dose > 0)
        first = next((dose for dose in steered if self._vector.perplexity(record, dose)[0].high > most), inf)
        return tuple(dose for dose in self._doses if dose < first)

    def _curve(self, record: Record, answers: Mapping[float, Replies]) -> Curve:
        ratios = [self._vector.perplexity(record, dose)[0] for dose in answers]
        return Curve(
            axis="dose",
            at=tuple(f"{dose:g}" for dose in answers),
            columns={
                "marker rate": column(replies.rate for replies in answers.values()),
                "markers": column(float(np.mean(replies.counts)) for replies in answers.values()),
                "distinct words": column(_variety(replies.texts) for replies in answers.values()),
                "perplexity": column(ratio.value for ratio in ratios),
                "low": column(ratio.low for ratio in ratios),
                "high": column(ratio.high for ratio in ratios),
            },
        )

    def _least_and_most(self, record: Record, answers: Mapping[float, Replies]) -> tuple[ProbeNote, ...]:
        """Show the probe that answers the dose least, and the one that does most."""
        with np.errstate(over="ignore"):
            perplexity = np.exp([self._vector.surprise(record, dose) for dose in answers])
        rising = self._slopes(answers)

        def counted(row: int) -> str:
            found = zip(answers.items(), perplexity[:, row], strict=True)
            return ", ".join(
                f"{dose:g}: {said.counts[row]} ({number(value)})" for (dose, said), value in found
            )

        return tuple(
            ProbeNote(
                probe=self.scene.probes[row].id,
                note=f"markers (perplexity) by dose: {counted(row)}",
                replies={f"dose {dose:g}": said.texts[row] for dose, said in answers.items()},
            )
            for row in (int(rising.argmin()), int(rising.argmax()))
        )

    def _response_notes(self, record: Record, answers: Mapping[float, Replies]) -> Iterator[str]:
        coherent = self._coherent(record)
        falls = [(one, two) for one, two in pairwise(coherent) if answers[two].rate < answers[one].rate]
        turns = " and ".join(
            f"from {answers[one].rate:.2f} at dose {one:g} to {answers[two].rate:.2f} at {two:g}"
            for one, two in falls
        )
        yield f"the marker rate falls {turns}" if falls else "the marker rate never falls as the dose rises"
        if self.asked.max_perplexity is not None:
            upto = f"up to dose {coherent[-1]:g}" if len(coherent) > 1 else "at no dose above 0"
            most = f"{self.asked.max_perplexity:g} times that of bare"
            yield f"the text is coherent {upto}: its perplexity is clearly at most {most}"
        yield from by_length("the slope", self._slopes(answers), self.scene.probes)

    def _other_notes(self, record: Record) -> Iterator[str]:
        vector = self._vector
        if self.asked.min_suppression is not None:
            shown = {"prompt": vector.prompted, f"prompt and dose {-vector.working:g}": vector.subtracted}
            rates = (f"{name} {vector.said(record, condition).rate:.0%}" for name, condition in shown.items())
            yield f"replies with a marker: {', '.join(rates)}"
        if self.asked.max_bleed is not None:
            yield f"markers of others, rate minus bare: {listed(onto_markers(vector, record))}"
        if self._projections:
            yield f"along prompts at {self.asked.site}: {listed(self._projections.of(record))}"

    def _slopes(self, answers: Mapping[float, Replies]) -> Array:
        return slopes(self._doses, np.stack([replies.hits for replies in answers.values()]))

    @property
    def _n(self) -> int:
        return len(self.scene.probes)

    @property
    def _doses(self) -> tuple[float, ...]:
        return tuple(sorted({*self.asked.doses, self._vector.working}))

    @property
    def _vector(self) -> Scaled:
        return Scaled(self.scene, self.persona, self.asked.orthonormal)

    @property
    def _projections(self) -> Projections | None:
        site = self.asked.site
        return Projections(self._vector, site, self.asked.position) if site else None


def _variety(texts: Iterable[str]) -> float:
    """Share of the words of a reply that are distinct, on average: what perplexity does not see."""
    replies = [words for words in (text.lower().split() for text in texts) if words]
    return float(np.mean([len(set(words)) / len(words) for words in replies])) if replies else nan


def _rising_from_bare(doses: tuple[float, ...]) -> tuple[float, ...]:
    listed = list(doses)
    if len(doses) < LEAST_DOSES:
        raise ValueError(f"found {len(doses)} doses, {listed}; expected at least {LEAST_DOSES} for a trend")
    if min(doses) < 0:
        raise ValueError(
            f"the doses {listed} go below 0; expected doses to add, as min_suppression asks for subtraction"
        )
    if min(np.diff(doses)) <= 0:
        raise ValueError(f"the doses {listed} do not rise")
    if doses[0] != 0:
        raise ValueError(f"the doses {listed} do not begin with 0, the bare model that they are held against")
    return doses


class Dose(Property):
    """Vectors scale, subtract and keep apart: more of one is more of its persona while the text stays whole.

    Scaling and subtracting after arXiv 2602.15669, bleed and orthonormalisation after arXiv 2602.15847.
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["dose"] = Field(description="Names this property.")
    doses: Annotated[tuple[float, ...], AfterValidator(_rising_from_bare)] = Field(
        (0.0, 0.25, 0.5, 1.0, 2.0),
        description="Doses to answer at, rising from 0; the persona's own is measured as well.",
    )
    orthonormal: bool = Field(
        False,
        description="Steer with the vector's part of the symmetric (Löwdin) orthonormalisation of the "
        "vectors of all personas, which must be at one site.",
    )
    min_slope: Annotated[float | None, ANY] = Field(
        None,
        ge=0,
        description="Least slope of the marker rate per unit of dose, while the text is coherent.",
    )
    max_perplexity: Annotated[float | None, SIZE] = Field(
        None,
        ge=1,
        description="Largest perplexity of the replies at the persona's dose, under the bare model and in "
        "units of that of its own replies; beyond it a dose does not count as coherent.",
    )
    min_suppression: Annotated[float | None, COSINE] = Field(
        None,
        ge=0,
        le=1,
        description="Least amount by which subtracting the vector lowers the marker rate of the prompt.",
    )
    max_bleed: Annotated[float | None, SHARE] = Field(
        None,
        ge=0,
        le=1,
        description="Largest change, of either sign, of how many replies show a marker of another persona.",
    )
    max_projection: Annotated[float | None, SIZE] = Field(
        None,
        ge=0,
        description="Largest displacement, of either sign, along what another persona's prompt does, in "
        "units of that; needs `site`.",
    )
    site: Site | None = Field(None, description="Where displacements are read, for `max_projection`.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token they are read.")

    @model_validator(mode="after")
    def _something_is_asked(self) -> "Dose":
        self.require_one(*self.claims)
        if (self.max_projection is None) != (self.site is None):
            raise ValueError("max_projection and site go together: one says how much, the other where")
        return self

    def cases(self, scene: Scene) -> list[Case]:
        """One case per persona that has a vector, markers and, to suppress, a prompt."""
        require_probes(scene, LEAST_PROBES, "dose")
        able = [name for name in scene.personas if self._able(name, scene)]
        found = [self._case(persona, scene) for persona in cast(self.personas, scene, able.__contains__)]
        if not found:
            prompted = "" if self.min_suppression is None else " and, for min_suppression, a prompt"
            raise SuiteError(f"dose found no persona with a vector, markers{prompted}")
        return found

    def _able(self, persona: str, scene: Scene) -> bool:
        prompted = self.min_suppression is None or scene.supports(persona, Regime.PROMPT)
        return scene.supports(persona, Regime.STEERING) and bool(scene.personas[persona].markers) and prompted

    def _case(self, persona: str, scene: Scene) -> Case:
        for regime in (
            (Regime.STEERING, Regime.PROMPT) if self.min_suppression is not None else (Regime.STEERING,)
        ):
            scene.condition(persona, regime)  # complains of an artefact that is missing
        judged = scene.personas[persona]
        if not judged.markers:
            raise SuiteError(f"dose follows markers, and persona {persona!r} has none")
        if not judged.dose > 0:
            raise SuiteError(
                f"persona {persona!r} has the dose {judged.dose:g}; expected one above 0, to add and subtract"
            )
        self._require_others(persona, scene)
        return DoseCase(persona, "steering-orthonormal" if self.orthonormal else "steering", self, scene)

    def _require_others(self, persona: str, scene: Scene) -> None:
        others = scene.personas.keys() - {persona} - scene.kin_of(persona)
        if self.max_bleed is not None and not foreign_markers(persona, scene):
            raise SuiteError(f"max_bleed needs another persona than {persona!r} with markers of its own")
        if self.max_projection is not None and not any(
            scene.supports(name, Regime.PROMPT) for name in others
        ):
            raise SuiteError(f"max_projection needs another persona than {persona!r} with a prompt")
        if self.orthonormal and len(vectors(scene)) < 2:
            raise SuiteError(f"orthonormal needs another persona than {persona!r} with a vector of its own")
