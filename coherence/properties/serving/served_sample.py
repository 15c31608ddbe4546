"""What one persona was measured to do, here and at the server, and what follows of both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import isnan

import numpy as np

from coherence.errors import NotExposedError
from coherence.plan import Answer, Condition, Elsewhere, Likelihood, Record, Served
from coherence.properties.serving.at_doses import LOOKED
from coherence.properties.serving.likely_dose import Numbers
from coherence.properties.serving.otherwise_written import divergence
from coherence.properties.serving.served_comparison import ServedComparison
from coherence.statistics.dose_curve import DoseCurve
from coherence.statistics.effect_slope import Effects
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import positive_mean, positive_ratio

_APART = 10.0
"""Times as far as the nearest quarter, for a reply to stand apart."""


@dataclass(frozen=True)
class ServedSample:
    """What was measured here and at the server; a value that the server does not expose is its error."""

    comparison: ServedComparison
    record: Record

    @cached_property
    def rows(self) -> list[int]:
        """Probes that have an answer to look at: an empty one has no tokens."""
        bare = self.comparison.likelihoods(self.comparison.scene.bare)
        return [row for row, one in enumerate(bare) if not self._is_empty(one)]

    @cached_property
    def clusters(self) -> list[str]:
        """Clusters of those probes."""
        return [self.comparison.scene.clusters[row] for row in self.rows]

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.rows)

    @cached_property
    def unexposed(self) -> str | None:
        """Say that the server tells no log-probabilities; None where it does."""
        likelihoods = chain(
            self.comparison.served(self.comparison.served_condition),
            self.comparison.served(self.comparison.served_bare),
        )
        return _unexposed(self.record, likelihoods)

    @cached_property
    def unexposed_prompts(self) -> str | None:
        """Say that the server does not tell how it writes prompts; None where it does."""
        return _unexposed(self.record, self.comparison.prompts_at_server)

    @cached_property
    def floor(self) -> list[Array]:
        """|served - here| of the bare model, by token, in nats."""
        return self._distances(self.comparison.scene.bare, self.comparison.served_bare)

    @cached_property
    def apart(self) -> dict[str, float]:
        """Replies that are further from here than others, mean nats a token by probe.

        Of a server that computes otherwise all are about as far, and none is listed.
        """
        sides = [self.floor, self._distances(self.comparison.condition, self.comparison.served_condition)]
        means = np.array([[one.mean() for one in side] for side in sides]).max(0)
        least = _APART * np.quantile(means, 0.25) if self.n else 0.0
        return {
            self.comparison.scene.probes[row].id: float(mean)
            for row, mean in zip(self.rows, means, strict=True)
            if mean > least
        }

    @cached_property
    def noise(self) -> Interval:
        """Mean of that over tokens, and then over probes."""
        return positive_mean(np.array([one.mean() for one in self.floor]), self.clusters)

    @cached_property
    def effects(self) -> Effects:
        """The persona's effect at the server against that here."""
        return Effects.of(self.served_effect, self._effect(), self.clusters)

    @property
    def size(self) -> float:
        """How large the served effect is, of whatever kind, as a share of the one here."""
        return float(np.sqrt(self.effects.form.sum() / self.effects.reference.sum()))

    @cached_property
    def served_effect(self) -> list[Array]:
        """Log p(persona) - log p(bare) at the server, by token."""
        under, bare = self._there(self.comparison.served_condition), self._there(self.comparison.served_bare)
        return [one - other for one, other in zip(under, bare, strict=True)]

    @cached_property
    def curve(self) -> DoseCurve | None:
        """Where what is served lies among doses of the persona here; None where it has no dose."""
        if not self.comparison.curve or not self._looked:
            return None
        curve = {1.0: self.comparison.condition, **self.comparison.curve}
        effects = {dose: self._effect_looked_at(one) for dose, one in curve.items()}
        return DoseCurve.of(self._served_looked_at, effects, self.clusters[: len(self._looked)])

    @property
    def looked(self) -> int:
        """Probes that the curve is made of."""
        return len(self._looked)

    @cached_property
    def nearest(self) -> tuple[str, float] | None:
        """The other persona whose effect is most like what is served, and the cosine of both.

        None where the persona's own is as near, at some dose: different personas move a reply's first tokens
        alike.
        """
        served, effects = self._served_looked_at, self._effects_of_others
        told = {
            name: cosine
            for name, effect in effects.items()
            if not isnan(cosine := Effects.of(served, effect, self.clusters[: len(served)]).cosine.value)
        }
        name = max(told, key=lambda one: told[one], default=None)
        if name is None or (self.curve and self.curve.left <= _squares(served, effects[name])):
            return None
        return name, told[name]

    @cached_property
    def _effects_of_others(self) -> dict[str, list[Array]]:
        if not self._is_explained:
            return {}
        return {name: self._effect_looked_at(one) for name, one in self.comparison.others.items()}

    @cached_property
    def _is_explained(self) -> bool:
        """Whether what only tells why it is red was measured."""
        return all(map(self.record.has, self.comparison.likely_causes))

    @cached_property
    def _elsewhere(self) -> dict[Elsewhere, list[Array]]:
        """Effects of the vector where it does not belong; there is no block after the last."""
        return {
            where: self._effect_looked_at(condition)
            for where, condition in self.comparison.elsewhere.items()
            if not any(
                self.record.problem(self.comparison.likelihoods(condition)[row]) for row in self._looked
            )
        }

    @cached_property
    def nearest_elsewhere(self) -> tuple[Elsewhere, float] | None:
        """Where else the vector does what is most like what is served, and the cosine of both effects."""
        left = {where: _squares(self._served_looked_at, one) for where, one in self._elsewhere.items()}
        if not left:
            return None
        where = min(left, key=lambda one: left[one])
        clusters = self.clusters[: len(self._looked)]
        return where, Effects.of(self._served_looked_at, self._elsewhere[where], clusters).cosine.value

    @cached_property
    def elsewhere(self) -> Interval:
        """What its own place leaves of the served effect, as a share of that and of what the other leaves.

        0: its own explains all, at some dose; 1: the other does.
        """
        if self.curve is None or self.nearest_elsewhere is None:
            return Interval.unknown()
        moved = self._elsewhere[self.nearest_elsewhere[0]]
        own = self.curve.left_by_probe
        other = np.array(
            [_squares([one], [two]) for one, two in zip(self._served_looked_at, moved, strict=True)]
        )
        share = positive_ratio(own, own + other, self.clusters[: len(self._looked)])
        return replace(share, low=max(share.low, 0.0), high=min(share.high, 1.0))

    @property
    def _served_looked_at(self) -> list[Array]:
        return self.served_effect[: len(self._looked)]

    @cached_property
    def unlike_any_dose(self) -> float:
        """What of the served effect no dose of the persona's own explains, a share of its length."""
        if self.curve is None:
            return 0.0
        whole = sum(float(one @ one) for one in self._served_looked_at)
        return float(np.sqrt(self.curve.left / whole)) if whole else 0.0

    @cached_property
    def repeated(self) -> float:
        """Largest |first answer - second answer| of what was asked again, in nats."""
        return self._apart(self.comparison.again)

    @cached_property
    def repeated_alone(self) -> float:
        """The same of what was asked again with nothing beside it, when at first there was."""
        return self._apart(self.comparison.again_alone)

    def _apart(self, again: Sequence[Served]) -> float:
        pairs = ((replace(one, turn=0, alone=False), one) for one in again)
        apart = (
            np.abs(self.record.served_likelihood(first) - self.record.served_likelihood(second)).max()
            for first, second in pairs
            if self.record.problem(second) is None
        )
        return float(max(apart, default=0.0))

    @cached_property
    def otherwise(self) -> dict[str, str]:
        """What is written otherwise, by probe."""
        divergences: dict[str, str] = {}
        if self.unexposed_prompts:
            return divergences
        for ours, served in zip(self.comparison.prompts, self.comparison.prompts_at_server, strict=True):
            here, there = self.record.prompt(ours), self.record.prompt(served)
            if told := divergence(here, there, self.comparison.system):
                divergences[ours.probe.id] = told
        return divergences

    @cached_property
    def counted(self) -> str | None:
        """Say that prompts are known by their lengths alone; None where the server tells their tokens."""
        served = self.comparison.prompts_at_server
        if self.unexposed_prompts or isinstance(self.record.prompt(served[0]), Answer):
            return None
        alike = len(served) - len(self.otherwise)
        return (
            f"{alike} of {len(served)} prompts have as many tokens at the server as here; which they are is "
            "not exposed, so that equal counts are known and equal texts are not"
        )

    @cached_property
    def numbers(self) -> Numbers | None:
        """What the adapter's config says of its scale; None where that was not asked for."""
        if self.comparison.numbers is None or not self._is_explained:
            return None
        return Numbers(*map(float, self.record.adapter_numbers(self.comparison.numbers)))

    @cached_property
    def texts(self) -> tuple[list[str], list[str]]:
        """Replies here and at the server, which decodes as it does itself."""
        here = [self.record.reply(reply) for reply in self.comparison.replies]
        return here, [self.record.served_reply(one).text for one in self.comparison.own_replies]

    @cached_property
    def changed(self) -> Array:
        """Whether settings that a server is not told change its likeliest reply, [probes]."""
        return self._otherwise_said(self.comparison.told_replies, self.comparison.greedy_replies)

    @cached_property
    def drawn(self) -> int:
        """How many of its likeliest replies are others when they are asked for again."""
        again = self.comparison.told_again
        return int(self._otherwise_said(self.comparison.told_replies[: len(again)], again).sum())

    def _otherwise_said(self, first: Sequence[Served], second: Sequence[Served]) -> Array:
        pairs = zip(first, second, strict=True)
        return np.array(
            [
                self.record.served_reply(one).text != self.record.served_reply(other).text
                for one, other in pairs
            ],
            np.float64,
        )

    @property
    def _looked(self) -> list[int]:
        """Those of `rows` that are measured under other doses and personas, which are the first."""
        return [row for row in self.rows if row < LOOKED]

    def _effect_looked_at(self, condition: Condition) -> list[Array]:
        under, bare = (
            self._here(condition, self._looked),
            self._here(self.comparison.scene.bare, self._looked),
        )
        return [one - other for one, other in zip(under, bare, strict=True)]

    def _effect(self) -> list[Array]:
        under, bare = (
            self._here(self.comparison.condition, self.rows),
            self._here(self.comparison.scene.bare, self.rows),
        )
        return [one - other for one, other in zip(under, bare, strict=True)]

    def _distances(self, here: Condition, there: Condition) -> list[Array]:
        pairs = zip(self._here(here, self.rows), self._there(there), strict=True)
        return [np.abs(one - other) for one, other in pairs]

    def _here(self, condition: Condition, rows: Sequence[int]) -> list[Array]:
        likelihoods = self.comparison.likelihoods(condition)
        return [self.record.likelihood(likelihoods[row]).astype(np.float64) for row in rows]

    def _there(self, condition: Condition) -> list[Array]:
        likelihoods = self.comparison.served(condition)
        return [self.record.served_likelihood(likelihoods[row]).astype(np.float64) for row in self.rows]

    def _is_empty(self, likelihood: Likelihood) -> bool:
        reply = likelihood.text
        return self.record.problem(reply) is None and not self.record.reply(reply)


def _squares(effect: Sequence[Array], other: Sequence[Array]) -> float:
    return sum(float(np.square(one - two).sum()) for one, two in zip(effect, other, strict=True))


def _unexposed(record: Record, measurements: Iterable[Served]) -> str | None:
    problems = (record.problem(one) for one in measurements)
    return next((one.sentence for one in problems if isinstance(one, NotExposedError)), None)
