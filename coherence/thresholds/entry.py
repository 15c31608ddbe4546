"""What an author wrote in one place: a property, and the assertions that share its thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from coherence.errors import Place
from coherence.properties import AnyProperty, Commutativity, Factorial, Worst
from coherence.suite import Assertion, Suite


@dataclass(frozen=True)
class Entry:
    """The item `index` of a suite's `assertions`."""

    index: int
    asserted: AnyProperty
    assertions: tuple[Assertion, ...]

    @property
    def name(self) -> str:
        """What its assertions are called by."""
        return self.asserted.id or self.asserted.property

    @property
    def place(self) -> Place:
        """Where it is written."""
        return self.assertions[0].place

    @property
    def is_law(self) -> bool:
        """Whether it is exact for every example, so that its tolerance is rounding and not sampling."""
        return isinstance(self.asserted, Commutativity | Worst)

    @property
    def uncalibrated(self) -> str | None:
        """Why nothing is proposed for it, if nothing is."""
        if self.asserted.expect == "fail":
            return "is expected to fail"
        if isinstance(self.asserted, Factorial) and self.asserted.tasks is not None:
            return "has tasks of its own, so halves of the suite's probes do not vary it"
        return None

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return the number, or both ends of the range, under a key; its default where it is not written."""
        written = getattr(self.asserted, key)
        return written if isinstance(written, tuple) else (written,)


def entries(suite: Suite) -> Iterator[Entry]:
    """Every entry has at least one assertion, and they lie together."""
    by_entry = groupby(suite.assertions, key=lambda assertion: id(assertion.property))
    for index, (_, assertions) in enumerate(by_entry):
        found = tuple(assertions)
        yield Entry(index, found[0].property, found)
