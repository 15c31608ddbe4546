"""A yardstick: what replies of a prompted persona are, measured so that others can be held to it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from coherence.errors import MeasurementError
from coherence.plan import Condition, Likelihood, Measurement, Reading, Record, Reply, Scene
from coherence.plan.calibration import CALIBRATION
from coherence.properties.behaviour.lesson import Lesson, ReadReplies
from coherence.properties.conversations.axis import Scale
from coherence.properties.reading import within_reach
from coherence.statistics.intervals import Array
from coherence.vocabulary import Band, Position, Probe, Regime, Site
from coherence.vocabulary.probe import wording

BARE = "bare"
STATISTICS = ("position", "recognition", "likelihood", "markers")
"""Of a reply: where it stands on the axis; log-odds that it is the persona's; how much likelier the persona's
prompt makes it, nats a token; how many distinct markers it has."""


class Read(NamedTuple):
    """What is measured of a reply: as the bare model reads it, and how likely it is to both."""

    reading: Reading
    bare: Likelihood
    prompted: Likelihood


@dataclass(frozen=True)
class Yardstick:
    """A persona at a site. What it is learnt from is no probe, and where it is at home is told by probes.

    The axis leads from what the bare model replies to the calibration questions to what the prompted persona
    does, and the recogniser tells the persona's replies to them from those of others. All is read by the bare
    model, as nobody knows what those who spoke elsewhere were told.
    """

    scene: Scene
    persona: str
    site: Site

    def needs(self) -> Iterable[Measurement]:
        """Read what is learnt from, and the persona's own replies to the probes."""
        for speaker in self.speakers.values():
            yield from speaker.replies
            yield from speaker.readings
        yield from self.needs_of(self.persona)

    def needs_of(self, name: str) -> Iterable[Measurement]:
        """Read what one of the cast replies to the probes."""
        for reply in self.replies(name):
            yield reply
            yield from self.read(reply)

    @cached_property
    def cast(self) -> dict[str, Condition]:
        """The prompted persona first, then others that are no kin, and the bare model."""
        scene, kin = self.scene, self.scene.kin_of(self.persona)
        others = [one for one in scene.supporting((Regime.PROMPT,)) if one not in kin and one != self.persona]
        prompted = {name: scene.condition(name, Regime.PROMPT) for name in (self.persona, *others)}
        return {**prompted, BARE: scene.bare}

    @cached_property
    def speakers(self) -> dict[str, ReadReplies]:
        """What each of the cast replies to the questions that are learnt from."""
        band = Band((self.site,))
        return {name: ReadReplies(self.scene, CALIBRATION, band, one) for name, one in self.cast.items()}

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """One probe of each template, as those of one are alike; none that is learnt from."""
        taught = {wording(probe.text) for probe in CALIBRATION}
        first = {probe.cluster: probe for probe in reversed(self.scene.probes)}
        return tuple(
            probe
            for probe in self.scene.probes
            if first[probe.cluster] is probe and wording(probe.text) not in taught
        )

    def replies(self, name: str) -> list[Reply]:
        """Let one of the cast answer the probes."""
        return [Reply(self.cast[name], probe, self.scene.decoding) for probe in self.probes]

    def given(self, probe: Probe, answer: str) -> Reply:
        """Take an answer that was given elsewhere, as far as one of the suite's replies may be long."""
        return Reply(self.scene.bare, probe, self.scene.decoding, given=answer)

    def read(self, reply: Reply) -> Read:
        """Read a reply, whoever gave it, by the bare model alone."""
        bare, probe = self.scene.bare, reply.probe
        return Read(
            Reading(bare, probe, Position.RESPONSE_MEAN, reply, self.site),
            Likelihood(bare, probe, reply),
            Likelihood(self.cast[self.persona], probe, reply),
        )


@dataclass(frozen=True, eq=False)
class Marked:
    """A yardstick with its numbers."""

    yardstick: Yardstick
    record: Record = field(repr=False)

    @cached_property
    def home(self) -> Array:
        """Statistics of the persona's own replies to the probes, [probes, statistics].

        Those without a word tell nothing of where it is; a MeasurementError where most are.
        """
        told = self.others(self.yardstick.persona, self.record)
        worded = told[~np.isnan(told[:, 0])]
        if 2 * len(worded) < len(told):
            raise MeasurementError(
                f"{self.yardstick.persona} has a word for {len(worded)} of {len(told)} probes alone"
            )
        return worded

    def others(self, name: str, record: Record) -> Array:
        """Statistics of what one of the cast replies to the probes, [probes, statistics]."""
        replies = self.yardstick.replies(name)
        return np.stack([self.statistics(reply, record.reply(reply), record) for reply in replies])

    def statistics(self, reply: Reply, text: str, record: Record) -> Array:
        """Make numbers of a reply, [statistics]; a MeasurementError says why it cannot be read.

        One without a word is nobody's, has no markers, and is at no place.
        """
        if not text.split():
            return np.array([np.nan, -np.inf, np.nan, 0.0])
        read = self.yardstick.read(reply)
        stack = record.residuals(read.reading)
        residual = stack[within_reach(self.yardstick.site, len(stack)).depth].astype(np.float64)
        likelier = record.likelihood(read.prompted).astype(np.float64) - record.likelihood(read.bare)
        markers = self.yardstick.scene.personas[self.yardstick.persona].markers_in(text)
        position = float(self.scale.positions(residual))
        recognition = float(self._lesson.log_odds(residual[None, None])[0])
        return np.array([position, recognition, likelier.mean(), len(markers)])

    @cached_property
    def scale(self) -> Scale:
        """The axis in numbers; a MeasurementError where it has none."""
        speakers = self.yardstick.speakers
        low, high = speakers[BARE], speakers[self.yardstick.persona]
        both = low.worded(self.record) & high.worded(self.record)
        if 2 * both.sum() < len(both):
            raise MeasurementError(
                f"only {both.sum()} of {len(both)} questions have replies of bare and of "
                f"{self.yardstick.persona}: too few for an axis"
            )
        questions = [probe.id for probe, kept in zip(CALIBRATION, both, strict=True) if kept]
        scale = Scale(_among(low, both, self.record), _among(high, both, self.record), questions)
        if not scale.length:
            raise MeasurementError(
                f"the axis of {self.yardstick.persona} has no length: its ends are the same"
            )
        return scale

    @cached_property
    def _lesson(self) -> Lesson:
        return Lesson(self.yardstick.speakers, self.record)


def _among(replies: ReadReplies, kept: NDArray[np.bool_], record: Record) -> Array:
    """Residuals of replies to the questions that are kept, [kept, width]."""
    (residuals,) = replies.residuals(record)
    return np.asarray(residuals[kept[replies.worded(record)]])
