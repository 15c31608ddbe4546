"""How far conditions are apart: at the next token, and in the markers of what they say."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial

import numpy as np

from coherence.plan import Condition, NextToken, Record, Reply, Scene
from coherence.properties.composition.blends import Blend
from coherence.properties.markers import Replies, positive, profile
from coherence.statistics.alignment import Alignment
from coherence.statistics.divergence import Lean, jeffreys
from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Marker

LEAST_KL = 0.01  # nats; nearer to bare than this, a condition has no next token of its own


class TokenDistances:
    """Half the sum of KL both ways between the next tokens of conditions, in nats."""

    def __init__(self, log_probs: Callable[[Condition], Real], conditions: Iterable[Condition]) -> None:
        self._rows = {condition: row for row, condition in enumerate(dict.fromkeys(conditions))}
        self._apart = jeffreys([*map(log_probs, self._rows)])

    def apart(self, first: Condition, second: Condition) -> Array:
        """Jeffreys distance of the next tokens of two conditions at each probe, in nats: [probes]."""
        return np.asarray(self._apart[self._rows[first], self._rows[second]])

    def lean(self, way: Blend) -> Lean:
        """Which of its two personas a way is nearer to."""
        return Lean(*(self.apart(way.condition, alone) for alone in way.alone()))


class ProfileDistances:
    """How much more often than bare each marker shows in the replies of conditions, each looked up once."""

    def __init__(self, record: Record, scene: Scene, markers: Sequence[Marker]) -> None:
        self.texts = replies = cache(partial(texts, record, scene))
        self._scene, self._markers = scene, positive(markers)

        @cache
        def shown(condition: Condition) -> Array:
            return profile(replies(condition), markers)

        self._shown = shown

    def cosine(self, first: Condition, second: Condition) -> Interval:
        """Noise-free cosine of two profiles; NaN where one is not told from that of bare."""
        bare = self._shown(self._scene.bare)
        one, other = (self._shown(condition) - bare for condition in (first, second))
        return Alignment.of(one[None], other[None], self._scene.clusters).cosine()

    def rate(self, condition: Condition, markers: Iterable[Marker]) -> float:
        """Share of the replies that show one of some of the markers."""
        own = set(markers)
        columns = [column for column, marker in enumerate(self._markers) if marker in own]
        return float(self._shown(condition)[:, columns].any(1).mean())


def next_tokens(scene: Scene, *conditions: Condition) -> list[NextToken]:
    """Ask for the next token after every probe, under some conditions."""
    return [NextToken(condition, probe) for condition in conditions for probe in scene.probes]


def replies(scene: Scene, *conditions: Condition) -> list[Reply]:
    """Ask for a reply to every probe, under some conditions."""
    return [Reply(condition, probe, scene.decoding) for condition in conditions for probe in scene.probes]


def log_probs(record: Record, scene: Scene, condition: Condition) -> Real:
    """Look up log-probabilities of the next token after every probe, nats: [probes, vocabulary]."""
    return np.stack([record.log_probs(each) for each in next_tokens(scene, condition)])


def texts(record: Record, scene: Scene, condition: Condition) -> tuple[str, ...]:
    """Look up the replies to every probe, under one condition."""
    return tuple(record.reply(each) for each in replies(scene, condition))


def marker_rates(by_name: Mapping[str, Replies]) -> str:
    """Say how often markers show in replies, by who says them."""
    rates = ", ".join(f"{name} {replies.rate:.0%}" for name, replies in by_name.items())
    return f"replies with a marker of either persona: {rates}"
