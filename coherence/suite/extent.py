"""How far a YAML text goes, before anything is made of it: in how many values, and how deep they lie."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, NodeEvent

from coherence import limits


class ExtentError(Exception):
    """A text goes too far at an event, in a sentence."""

    def __init__(self, sentence: str, event: Event) -> None:
        super().__init__(sentence)
        self.event = event


@dataclass
class _Part:
    """A scalar, list or mapping: how many values there are in it with itself, and how many levels."""

    anchor: str | None
    values: int = 1
    levels: int = 1


def values_in(events: Iterable[Event], most: int) -> int:
    """Count the values of a text; those of an alias count as often as it is there.

    An ExtentError where there are more than `most`, or where they lie deeper than they may.
    """
    extent = _Extent(most)
    for event in events:
        try:
            extent.take(event)
        except ValueError as problem:
            raise ExtentError(str(problem), event) from None
    return extent.count


class _Extent:
    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._around: list[_Part] = []
        self._named: dict[str | None, _Part] = {}

    def take(self, event: Event) -> None:
        if isinstance(event, CollectionStartEvent):
            self._around.append(_Part(event.anchor))
            self._grow(1, 0)
        elif isinstance(event, CollectionEndEvent):
            self._close(self._around.pop())
        elif isinstance(event, AliasEvent):
            # One that names nothing, or what it stands in, is refused where the text is composed.
            named = self._named.get(event.anchor, _Part(None))
            self._grow(named.values, named.levels)
            self._close(replace(named, anchor=None))
        elif isinstance(event, NodeEvent):
            self._grow(1, 0)
            self._close(_Part(event.anchor, levels=0))

    def _grow(self, values: int, levels: int) -> None:
        self.count += values
        if self.count > self._most:
            raise ValueError(
                f"the suite has more than {limits.VALUES:,} values, with those that aliases repeat"
            )
        if len(self._around) + levels > limits.DEPTH:
            raise ValueError(f"lists and mappings lie more than {limits.DEPTH} deep in each other")

    def _close(self, part: _Part) -> None:
        if part.anchor is not None:
            self._named[part.anchor] = part
        if self._around:
            outer = self._around[-1]
            outer.values += part.values
            outer.levels = max(outer.levels, 1 + part.levels)
