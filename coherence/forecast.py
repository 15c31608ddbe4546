"""What a run would measure, without a model: tokens and arithmetic by property and persona, and for whom."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

from coherence.engine.artefacts import keys
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.requests.arithmetic import Arithmetic
from coherence.gate.beginnings import Beginnings
from coherence.gate.looks import Look, looks_at, looks_at_controls
from coherence.gate.needs import Needs
from coherence.plan import LawSearch, Measurement, Plan
from coherence.plan.workload import TokenCount
from coherence.store import Store
from coherence.store.entry import manifest_of
from coherence.suite import Assertion, Suite

FURTHER = "further"


class Charge(NamedTuple):
    """What measurements are for: an assertion's own claim, or what is held against it.

    The purpose is `claim`, `controls`, `laws`, or `further`: what controls take that go on beyond their first
    step and look, which few do.
    """

    property: str
    persona: str
    purpose: str
    measurements: int
    stored: int
    tokens: TokenCount
    flops: float


@dataclass(frozen=True)
class Forecast:
    """All parts of a run. What several assertions share is the first one's; claims come before controls."""

    parts: tuple[Charge, ...]

    @property
    def expected(self) -> tuple[Charge, ...]:
        """All but what is measured only of controls that go further."""
        return tuple(part for part in self.parts if part.purpose != FURTHER)

    @property
    def flops(self) -> float:
        """Floating-point operations of what is expected to be measured, less what is stored."""
        return sum(part.flops for part in self.expected)

    @property
    def further(self) -> float:
        """Floating-point operations that may come to these where controls go further."""
        return sum(part.flops for part in self.parts) - self.flops

    def by(self, *names: str) -> dict[tuple[str, ...], list[Charge]]:
        """Group the parts by some of their names."""
        groups: dict[tuple[str, ...], list[Charge]] = {}
        for part in self.parts:
            groups.setdefault(tuple(getattr(part, name) for name in names), []).append(part)
        return groups


def forecast(
    selected: Mapping[Suite, Sequence[Assertion]], store: Store, looks: Sequence[int] = ()
) -> Forecast:
    """Count what the store lacks for assertions; a CoherenceError says which artefact cannot be read.

    Where there are `looks` before all probes are measured, what the first takes is expected, and what the
    others take is further.
    """
    releases: dict[str, list[tuple[Suite, Assertion]]] = {}
    for suite, assertions in selected.items():
        releases.setdefault(suite.release_key, []).extend((suite, one) for one in assertions)
    charged: set[str] = set()
    return Forecast(
        tuple(part for chosen in releases.values() for part in _of_release(chosen, store, charged, looks))
    )


def _of_release(
    chosen: Sequence[tuple[Suite, Assertion]], store: Store, charged: set[str], looks: Sequence[int]
) -> Iterator[Charge]:
    scene, places = chosen[0][0].scene, chosen[0][0].places
    artefacts = Artefacts.of(scene, places)
    bill = _Bill(artefacts, store, Arithmetic(artefacts), charged)
    ordered = {suite: Beginnings(suite.scene) for suite, _ in chosen}
    planned = [looks_at(assertion, ordered[suite], Needs(assertion), looks) for suite, assertion in chosen]
    for first, *_ in planned:
        yield from bill.parts(first.assertion, "claim", first.assertion.case.measurements())
    for (suite, _), (first, *_) in zip(chosen, planned, strict=True):
        begun = _first_at_controls(first, ordered[suite])
        yield from bill.parts(first.assertion, "controls", begun.begun_control_needs())
    for look in chain.from_iterable(planned):
        yield from bill.parts(look.assertion, FURTHER, look.assertion.case.measurements())
        yield from bill.parts(look.assertion, FURTHER, look.assertion.control_needs())


def _first_at_controls(look: Look, beginnings: Beginnings) -> Assertion:
    """Give the assertion about those probes that its controls are looked at first."""
    for earlier in looks_at_controls(look, beginnings):
        return replace(look.assertion, case=earlier.case)
    return look.assertion


class _Bill:
    """Charges each measurement to whom it is for first: a release finds what another has stored."""

    def __init__(self, artefacts: Artefacts, store: Store, arithmetic: Arithmetic, charged: set[str]) -> None:
        self._artefacts, self._store, self._arithmetic = artefacts, store, arithmetic
        self._charged = charged
        self._known: set[Measurement] = set()

    def parts(self, assertion: Assertion, purpose: str, needs: Iterable[Measurement]) -> Iterator[Charge]:
        new = [one for one in Plan(needs) if self._is_new(one)]
        laws = [one for one in new if isinstance(one, LawSearch)]
        others = [one for one in new if not isinstance(one, LawSearch)]
        for what, measurements in ((purpose, others), ("laws", laws)):
            if measurements:
                yield self._part(assertion, what, measurements)

    def _part(self, assertion: Assertion, purpose: str, measurements: Sequence[Measurement]) -> Charge:
        missing = [one for one in measurements if not self._is_stored(one)]
        added = [self._arithmetic.tokens(one) for one in missing]
        tokens = TokenCount(sum(one.read for one in added), sum(one.generated for one in added))
        persona = assertion.case.persona
        stored = len(measurements) - len(missing)
        flops = self._arithmetic.flops(tokens)
        return Charge(assertion.property.word(), persona, purpose, len(measurements), stored, tokens, flops)

    def _is_new(self, measurement: Measurement) -> bool:
        if measurement in self._known:
            return False
        self._known.add(measurement)
        manifest = manifest_of(keys.key_of(measurement, self._artefacts))
        new = manifest not in self._charged
        self._charged.add(manifest)
        return new

    def _is_stored(self, measurement: Measurement) -> bool:
        return self._store.get(keys.key_of(measurement, self._artefacts)) is not None
