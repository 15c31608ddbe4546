"""How far conditions are apart: at the next token, and in the markers of what they say."""

from collections.abc import Iterable, Sequence

import numpy as np

from coherence.plan import Condition, NextToken, Record, Reply, Scene
from coherence.statistics.alignment import Alignment
from coherence.statistics.divergence import jeffreys
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Marker

LEAST_KL = 0.01  # nats; nearer to bare than this, a condition has no next token of its own


class TokenDistances:
    """Half the sum of KL both ways between the next tokens of conditions, in nats."""

    def __init__(self, record: Record, scene: Scene, conditions: Sequence[Condition]) -> None:
        self._rows = {condition: row for row, condition in enumerate(dict.fromkeys(conditions))}
        said = [
            [record.log_probs(each) for each in next_tokens(scene, condition)] for condition in self._rows
        ]
        self._apart = jeffreys(np.array(said))

    def apart(self, first: Condition, second: Condition) -> Array:
        """Jeffreys distance of the next tokens of two conditions at each probe, in nats: [probes]."""
        return np.asarray(self._apart[self._rows[first], self._rows[second]])


class ProfileDistances:
    """How much more often than bare each marker shows in the replies of conditions."""

    def __init__(
        self, record: Record, scene: Scene, conditions: Sequence[Condition], markers: Sequence[Marker]
    ) -> None:
        self.texts = {
            condition: tuple(record.reply(reply) for reply in replies(scene, condition))
            for condition in (*conditions, scene.bare)
        }
        self._clusters = scene.clusters
        found = {
            condition: np.array([[marker.found_in(text) for marker in markers] for text in texts], np.float64)
            for condition, texts in self.texts.items()
        }
        self._found, self._markers = found, list(markers)
        self._gained = {condition: shown - found[scene.bare] for condition, shown in found.items()}

    def cosine(self, first: Condition, second: Condition) -> Interval:
        """Noise-free cosine of two profiles; NaN where one is not told from that of bare."""
        one, other = self._gained[first], self._gained[second]
        return Alignment.of(one[None], other[None], self._clusters).cosine()

    def rate(self, condition: Condition, markers: Iterable[Marker]) -> float:
        """Share of the replies that show one of some of the markers."""
        columns = [self._markers.index(marker) for marker in markers]
        return float(self._found[condition][:, columns].any(1).mean())


def next_tokens(scene: Scene, condition: Condition) -> list[NextToken]:
    """Ask for the next token after every probe, under one condition."""
    return [NextToken(condition, probe) for probe in scene.probes]


def replies(scene: Scene, condition: Condition) -> list[Reply]:
    """Ask for a reply to every probe, under one condition."""
    return [Reply(condition, probe, scene.decoding) for probe in scene.probes]
