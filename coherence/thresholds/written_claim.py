"""What an author wrote in one place: a property, and the assertions that share its thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from coherence.errors import Place
from coherence.properties import Property
from coherence.suite import Assertion, Suite


@dataclass(frozen=True)
class Entry:
    """The item `index` of a suite's `assertions`."""

    index: int
    asserted: Property
    assertions: tuple[Assertion, ...]

    @property
    def name(self) -> str:
        """What its assertions are called by."""
        return self.asserted.id or self.asserted.word()

    @property
    def place(self) -> Place:
        """File and line at which the suite has it."""
        return self.assertions[0].place

    @property
    def claims(self) -> tuple[Assertion, ...]:
        """Its assertions that rest on a sample; a law's tolerance is rounding, and nothing to calibrate."""
        return tuple(assertion for assertion in self.assertions if assertion.case.units)

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return the number, or both ends of the range, under a key; its default where it is not written.

        None at all where nothing is asked under the key, or only a count.
        """
        written = getattr(self.asserted, key)
        if written is None or isinstance(written, int):
            return ()
        return written if isinstance(written, tuple) else (written,)


def entries(suite: Suite) -> Iterator[Entry]:
    """Every entry has at least one assertion, and they lie together."""
    by_entry = groupby(suite.assertions, key=lambda assertion: id(assertion.property))
    for index, (_, assertions) in enumerate(by_entry):
        listed = tuple(assertions)
        yield Entry(index, listed[0].property, listed)
