"""Channel: what a model says to itself before it answers is the persona's as much as its answer is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, Field

from coherence.errors import SuiteError
from coherence.plan import Measurement, Record, Reply, Scene
from coherence.properties.case import Case
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.criterion import held
from coherence.properties.eligibility import cast, require_probes, supporting, with_persona
from coherence.properties.lengths import by_length
from coherence.properties.markers import LEAST_PROBES, Replies, by_mcnemar, marks, untold
from coherence.properties.parts import require_reasoning
from coherence.properties.property import Property
from coherence.properties.ranges import COSINE
from coherence.statistics.agreement import kappa, paired_difference
from coherence.vocabulary import Criterion, Figures, Marker, Part, ProbeNote, Regime

SHOWN = 2


class Channels(NamedTuple):
    """The two parts of what a model said to each probe, and how many distinct markers each holds."""

    reasoning: Replies
    answer: Replies

    def by_name(self) -> dict[str, Replies]:
        """Name them as reports do."""
        return self._asdict()


@dataclass(frozen=True)
class ChannelSample:
    """What is reasoned and answered under the persona, and by the bare model."""

    own: Channels
    bare: Channels
    clusters: Sequence[str]  # of each reply
    n: int  # probes

    @property
    def untold(self) -> str | None:
        """Say that the rates are too extreme to tell agreement from chance; None if they are not."""
        return untold(self.own.reasoning.hits, self.own.answer.hits, "channels", self.n)


@dataclass(frozen=True)
class ChannelCase(Case[ChannelSample]):
    """One persona in one regime: its reasoning against its answer, and either against the bare model's."""

    persona: str
    slug: str
    spec: "Channel"
    scene: Scene
    regimes: tuple[Regime]
    markers: tuple[Marker, ...]

    @property
    def part(self) -> Part:
        """Both are looked at."""
        return Part.BOTH

    def needs(self) -> Iterable[Measurement]:
        """Let the model answer every probe, bare and in the regime."""
        return [reply for own in (False, True) for reply in self._replies(own)]

    def sample(self, record: Record, seed: int) -> ChannelSample:
        """Count the markers of all reasoning and of all answers."""
        own, bare = self._replies(own=True), self._replies(own=False)
        require_reasoning(own, record)
        clusters = [probe.cluster for probe in self.scene.answered]
        return ChannelSample(
            self._said(own, record), self._said(bare, record), clusters, len(self.scene.probes)
        )

    def criteria(self, sample: ChannelSample) -> Iterator[Criterion]:
        """Judge agreement by probe, the difference of rates, and how far either rate is above bare's."""
        reasoning, answer = (replies.hits for replies in sample.own)
        if sample.untold is None:
            agreement = kappa(reasoning, answer, sample.clusters)
            yield held("Cohen's kappa", agreement, sample.n, self.spec.min_agreement, key="min_agreement")
        most = self.spec.max_difference
        difference = paired_difference(reasoning, answer, sample.clusters)
        yield held("rate answer - reasoning", difference, sample.n, -most, most, key="max_difference")
        for name, own in sample.own.by_name().items():
            rise = paired_difference(sample.bare.by_name()[name].hits, own.hits, sample.clusters)
            yield held(f"rise of {name}", rise, sample.n, self.spec.min_rise, key="min_rise")

    def figures(self, sample: ChannelSample) -> Figures:
        """Show reasoning and answers side by side, and every rate."""
        return Figures(probes=self._side_by_side(sample), notes=tuple(self._notes(sample)))

    def controls(self) -> Mapping[str, Sequence["ChannelCase"]]:
        """Nothing, another persona, or random vectors in its place."""
        scenes = (
            *nothing(self.scene, self.persona, self.regimes),
            *stand_ins(self.scene, self.persona, *self.regimes, self.scene.personas),
            *random_vectors(self.scene, self.persona, self.regimes),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    def _replies(self, own: bool) -> list[Reply]:
        condition = self.scene.condition(self.persona, *self.regimes)
        if not own:
            # Without a persona, and let to reason as with it.
            condition = replace(self.scene.bare, thinking=condition.thinking)
        return self.scene.replies(condition)

    def _said(self, replies: Sequence[Reply], record: Record) -> Channels:
        return Channels(
            *(
                Replies.of((record.reply(reply, part) for reply in replies), self.markers)
                for part in (Part.REASONING, Part.ANSWER)
            )
        )

    def _side_by_side(self, sample: ChannelSample) -> tuple[ProbeNote, ...]:
        """Show those that disagree first."""
        alike = sample.own.reasoning.hits == sample.own.answer.hits
        return tuple(self._note(int(row), sample) for row in alike.argsort(kind="stable")[:SHOWN])

    def _note(self, row: int, sample: ChannelSample) -> ProbeNote:
        parts = sample.own.by_name()
        return ProbeNote(
            probe=self.scene.answered[row].id,
            note="markers: " + ", ".join(f"{name} {replies.counts[row]}" for name, replies in parts.items()),
            replies={name: replies.texts[row] for name, replies in parts.items()},
            marks={name: marks(replies.texts[row], self.markers) for name, replies in parts.items()},
        )

    def _notes(self, sample: ChannelSample) -> Iterator[str]:
        drawn = len(set(sample.clusters))
        for whose, channels in (("bare", sample.bare), (str(self.regimes[0]), sample.own)):
            for name, replies in channels.by_name().items():
                yield replies.told(f"{whose}, {name}", drawn)
        reasoning, answer = (replies.hits for replies in sample.own)
        yield from by_mcnemar(reasoning, answer, "reasoning and answer", sample.n)
        if sample.untold:
            yield sample.untold
        yield from by_length("agreement", reasoning == answer, self.scene.probes)


class Channel(Property):
    """The persona shows in what a model reasons as in what it answers: on the same probes, and as often.

    A probe is a hit of a channel when that holds at least one marker. Reasoning and answer are those of one
    reply, so they are paired by probe.
    """

    family: ClassVar[str] = "markers"

    property: Literal["channel"] = Field(description="Names this property.")
    regimes: Annotated[tuple[Regime, ...] | None, AfterValidator(with_persona)] = Field(
        None, min_length=1, description="Regimes in which it reasons and answers; default: the suite's."
    )
    min_agreement: Annotated[float, COSINE] = Field(
        ge=-1,
        le=1,
        description="Least Cohen's kappa of which probes are hits, in reasoning and answer. It is no "
        "criterion where the rates are so extreme that independent channels disagree on fewer than "
        f"{LEAST_PROBES} probes; a note says so.",
    )
    max_difference: Annotated[float, COSINE] = Field(
        gt=0, le=1, description="Largest difference of the two hit rates, of either sign."
    )
    min_rise: Annotated[float, COSINE] = Field(
        ge=0,
        le=1,
        description="Least hit rate less the bare model's, of the reasoning and of the answer.",
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per regime and persona that has markers."""
        require_probes(scene, LEAST_PROBES, "channel")
        cases = (
            self._case(persona, regime, scene)
            for regime in self.regimes or scene.regimes
            for persona in cast(self.personas, scene, self._able(regime, scene).__contains__)
        )
        return self.at_least_one(cases, "with markers that a regime puts into the model")

    def _able(self, regime: Regime, scene: Scene) -> list[str]:
        return [name for name in supporting((regime,), scene) if scene.personas[name].markers]

    def _case(self, persona: str, regime: Regime, scene: Scene) -> Case:
        scene.condition(persona, regime)  # complains of an artefact that is missing
        if not scene.personas[persona].markers:
            raise SuiteError(f"persona {persona!r} has no markers")
        return ChannelCase(persona, str(regime), self, scene, (regime,), scene.personas[persona].markers)
