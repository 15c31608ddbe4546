"""Dose: a persona's vector, scaled, subtracted and beside others, does what the algebra of vectors says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice, pairwise
from math import inf, isnan, nan
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import at_most, interval_series, series
from coherence.properties.composition.bleed import (
    Projections,
    foreign_markers,
    listed,
    strangers,
)
from coherence.properties.composition.doses import Doses
from coherence.properties.composition.scaled import Scaled, vectors
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held, unevoked
from coherence.properties.eligibility import cast, require_probes
from coherence.properties.lengths import by_length
from coherence.properties.property import Property
from coherence.properties.ranges import ANY, COSINE, SHARE, SIZE
from coherence.statistics.agreement import paired_difference
from coherence.statistics.intervals import Interval
from coherence.statistics.rising_dose import largest, slopes, trend
from coherence.vocabulary import (
    Abscissa,
    Criterion,
    Curve,
    Figures,
    Operation,
    Position,
    ProbeNote,
    Regime,
    Site,
)
from coherence.vocabulary.evidence import number

LEAST_PROBES = 8
LEAST_DOSES = 3
_SLOPE = "slope of the marker rate"


@dataclass(frozen=True)
class DoseCase(Case[Doses]):
    """One persona's vector at several doses, its own dose among them."""

    persona: str
    slug: str
    spec: "Dose"
    scene: Scene
    regimes: tuple[Regime, ...] = (Regime.STEERING,)

    def needs(self) -> Iterable[Measurement]:
        """Let the model answer at every dose; the rest where it is asked for."""
        return chain.from_iterable(self.steps())

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Let the model answer at every dose first: most that does not show the persona ends there."""
        conditions = [self.vector.at(dose) for dose in self.doses]
        yield [reply for condition in conditions for reply in self.vector.replies(condition)]
        if self.spec.max_perplexity is not None:
            yield self.needs_for_figures()
        if self.spec.min_suppression is not None:
            others = (self.vector.prompted, self.vector.subtracted)
            yield [reply for condition in others for reply in self.vector.replies(condition)]
        if self.projections:
            yield self.projections.needs()

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Let the bare model read the answers at every dose."""
        return [likelihood for dose in self.doses for likelihood in self.vector.likelihoods(dose)]

    def sample(self, record: Record, seed: int) -> Doses:
        """Take what is answered at every dose."""
        return Doses(self.vector, self.doses, self.projections, record)

    def criteria(self, sample: Doses) -> Iterator[Criterion]:
        """Yield those that were asked for."""
        judges = {
            "min_slope": self._slope,
            "max_perplexity": self._perplexity,
            "min_suppression": self._suppression,
            "max_bleed": self._bleed,
            "max_projection": self._projection,
        }
        for judge, bound in self.spec.written(judges):
            yield judge(sample, bound)

    def screens(self, sample: Doses) -> Iterator[Criterion]:
        """Hold the slope over the doses that are best for it, whichever of them leave the text whole."""
        least = self.spec.min_slope
        if least is not None and self.spec.max_perplexity is not None:
            steepest = max((self._rise(sample, doses) for doses in range(2, len(sample.at) + 1)), key=_lowest)
            yield held(_SLOPE, steepest, self._n, at_least=least, key="min_slope")

    def figures(self, sample: Doses) -> Figures:
        """Show the response over the doses, and the probes that answer least and most."""
        rising = slopes(sample.at, sample.hits)
        return Figures(
            curve=_curve(sample, self.spec.max_perplexity),
            probes=tuple(self._answers(sample, row) for row in (int(rising.argmin()), int(rising.argmax()))),
            notes=(
                *self._response_notes(sample),
                *by_length("the slope", rising, self.scene.probes),
                *self._other_notes(sample),
            ),
        )

    def controls(self) -> Mapping[str, Sequence["DoseCase"]]:
        """Put nothing, another persona's vector, or random ones in the place of the persona's own.

        Only where the persona has to show: any vector may leave the text whole and the others alone. What is
        said is measured for this alone, so one other persona has a turn.
        """
        if self.spec.min_slope is None and self.spec.min_suppression is None:
            return {}
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *islice(stand_ins(self.scene, self.persona, Regime.STEERING, self.scene.personas), 1),
            *random_vectors(self.scene, self.persona, self.regimes),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    @cached_property
    def vector(self) -> Scaled:
        """The persona's vector."""
        return Scaled(self.scene, self.persona, self.spec.orthonormal)

    @cached_property
    def doses(self) -> tuple[float, ...]:
        """Doses that are answered at, from 0, and the persona's own among them."""
        return tuple(sorted({*self.spec.doses, self.vector.working}))

    @cached_property
    def projections(self) -> Projections | None:
        """What is read of displacements, if anything is."""
        site = self.spec.site
        return Projections(self.vector, site, self.spec.position) if site else None

    def _coherent(self, sample: Doses) -> int:
        """Count the doses below the first at which the perplexity may be more than it may be."""
        most, every = self.spec.max_perplexity, len(sample.at)
        if most is None:
            return every
        return next((row for row in range(1, every) if sample.perplexity[row].high > most), every)

    def _slope(self, sample: Doses, least: float) -> Criterion:
        doses = self._coherent(sample)
        broken = "the text is coherent at no dose above 0: there is no response to follow"
        return held(
            _SLOPE,
            self._rise(sample, doses),
            self._n,
            at_least=least,
            unreliable=None if doses > 1 else broken,
            key="min_slope",
        )

    def _rise(self, sample: Doses, doses: int) -> Interval:
        return trend(sample.at[:doses], sample.hits[:doses], self.scene.clusters)

    def _perplexity(self, sample: Doses, most: float) -> Criterion:
        scored = int(sample.told[sample.working].sum())
        empty = f"on {self._n - scored} of {self._n} probes a reply is empty, and has no perplexity"
        return held(
            f"perplexity at dose {self.vector.working:g} over bare",
            sample.perplexity[sample.working],
            scored,
            at_most=most,
            unreliable=None if scored >= LEAST_PROBES else empty,
            key="max_perplexity",
        )

    def _suppression(self, sample: Doses, least: float) -> Criterion:
        bare, (prompted, subtracted), clusters = sample.replies[0], sample.prompted, self.scene.clusters
        effect = paired_difference(bare.hits, prompted.hits, clusters)
        return held(
            f"suppression by dose {-self.vector.working:g}",
            paired_difference(subtracted.hits, prompted.hits, clusters),
            self._n,
            at_least=least,
            unreliable=unevoked(prompted.rate, bare.rate, effect, self._n),
            key="min_suppression",
        )

    def _bleed(self, sample: Doses, most: float) -> Criterion:
        most_moved = largest([*sample.bleed.values()])
        return held("bleed onto others' markers", most_moved, self._n, at_most=most, key="max_bleed")

    def _projection(self, sample: Doses, most: float) -> Criterion:
        others = strangers(self.persona, self.scene)
        most_moved = largest([moved for name, moved in sample.along_prompts.items() if name in others])
        return held("bleed along others' prompts", most_moved, self._n, at_most=most, key="max_projection")

    @property
    def _n(self) -> int:
        return len(self.scene.probes)

    def _answers(self, sample: Doses, row: int) -> ProbeNote:
        """Show what a probe is answered at every dose."""
        with np.errstate(over="ignore"):
            perplexity = np.exp(sample.surprise[:, row])
        answers = list(zip(sample.at, sample.replies, perplexity, strict=True))
        counted = ", ".join(
            f"{dose:g}: {replies.counts[row]} ({number(value)})" for dose, replies, value in answers
        )
        return ProbeNote(
            probe=self.scene.probes[row].id,
            note=f"markers (perplexity) by dose: {counted}",
            replies={f"dose {dose:g}": replies.texts[row] for dose, replies, _ in answers},
        )

    def _response_notes(self, sample: Doses) -> Iterator[str]:
        coherent, most = self._coherent(sample), self.spec.max_perplexity
        rates = [(dose, replies.rate) for dose, replies in zip(sample.at, sample.replies, strict=True)]
        turns = " and ".join(
            f"from {before:.2f} at dose {one:g} to {after:.2f} at {two:g}"
            for (one, before), (two, after) in pairwise(rates[:coherent])
            if after < before
        )
        yield f"the marker rate falls {turns}" if turns else "the marker rate never falls as the dose rises"
        if most is not None:
            upto = f"up to dose {sample.at[coherent - 1]:g}" if coherent > 1 else "at no dose above 0"
            bound = f"{most:g} times that of bare"
            yield f"the text is coherent {upto}: its perplexity is clearly at most {bound}"

    def _other_notes(self, sample: Doses) -> Iterator[str]:
        if self.spec.min_suppression is not None:
            prompted, subtracted = (f"{replies.rate:.0%}" for replies in sample.prompted)
            dose = f"prompt and dose {-self.vector.working:g}"
            yield f"replies with a marker: prompt {prompted}, {dose} {subtracted}"
        if self.spec.max_bleed is not None:
            yield f"markers of others, rate minus bare: {listed(sample.bleed)}"
        if sample.projections:
            yield f"along prompts at {self.spec.site}: {listed(sample.along_prompts)}"


def _lowest(interval: Interval) -> float:
    return -inf if isnan(interval.low) else interval.low


def _curve(sample: Doses, most: float | None) -> Curve:
    lines = {
        "marker rate": series(replies.rate for replies in sample.replies),
        "markers": series(float(np.mean(replies.counts)) for replies in sample.replies),
        "distinct words": series(_variety(replies.texts) for replies in sample.replies),
        "perplexity": interval_series(sample.perplexity),
    }
    return Curve(
        over=Abscissa(title="dose"),
        at=tuple(f"{dose:g}" for dose in sample.at),
        series=lines,
        value="rate, count, share, perplexity",
        thresholds=tuple(at_most("perplexity", most)),
    )


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
        "vectors of all personas, which must be at the same sites.",
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
        prompted = "" if self.min_suppression is None else " and, for min_suppression, a prompt"
        cases = (self._case(persona, scene) for persona in cast(self.personas, scene, able.__contains__))
        return self.at_least_one(cases, f"with a vector, markers{prompted}")

    def _able(self, persona: str, scene: Scene) -> bool:
        prompted = self.min_suppression is None or scene.supports(persona, Regime.PROMPT)
        return scene.supports(persona, Regime.STEERING) and bool(scene.personas[persona].markers) and prompted

    def _case(self, persona: str, scene: Scene) -> Case:
        for regime in (Regime.STEERING, *([] if self.min_suppression is None else [Regime.PROMPT])):
            scene.condition(persona, regime)  # complains of an artefact that is missing
        judged = scene.personas[persona]
        if not judged.markers:
            raise SuiteError(f"dose follows markers, and persona {persona!r} has none")
        operation = scene.release.vectors[scene.vector_of(persona)].operation
        if operation is not Operation.ADD:
            raise SuiteError(
                f"the vector of persona {persona!r} has `operation: {operation}`; expected `add`, to add "
                "more of it and subtract it"
            )
        if not (dose := scene.dose_of(persona)) > 0:
            raise SuiteError(
                f"persona {persona!r} has the dose {dose:g}; expected one above 0, to add and subtract"
            )
        self._require_others(persona, scene)
        return DoseCase(persona, "steering-orthonormal" if self.orthonormal else "steering", self, scene)

    def _require_others(self, persona: str, scene: Scene) -> None:
        prompted = [name for name in strangers(persona, scene) if scene.supports(name, Regime.PROMPT)]
        if self.max_bleed is not None and not foreign_markers(persona, scene):
            raise SuiteError(f"max_bleed needs another persona than {persona!r} with markers of its own")
        if self.max_projection is not None and not prompted:
            raise SuiteError(f"max_projection needs another persona than {persona!r} with a prompt")
        if self.orthonormal and len(vectors(scene)) < 2:
            raise SuiteError(f"orthonormal needs another persona than {persona!r} with a vector of its own")
