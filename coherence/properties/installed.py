"""The properties that this installation has: those of this package, and those that others add."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from inspect import isabstract
from typing import Any, get_args

from coherence.errors import ExtensionError
from coherence.extensions import Extension, declared
from coherence.properties import AnyProperty, Property

GROUP = "coherence.properties"

BUILT_IN: tuple[type[Property], ...] = get_args(get_args(AnyProperty)[0])


@dataclass(frozen=True)
class Added:
    """What other distributions add, and why some of it cannot be used, by the names of the properties."""

    properties: tuple[type[Property], ...]
    problems: Mapping[str, ExtensionError]

    @property
    def families(self) -> list[str]:
        """The families that are not those of this package."""
        known = {one.family for one in BUILT_IN}
        return sorted({one.family for one in self.properties} - known)


@cache
def added() -> Added:
    """Load what is declared. What cannot be used is left out: a suite that names it is told why."""
    found: list[type[Property]] = []
    problems: dict[str, ExtensionError] = {}
    for name, extension in declared(GROUP).items():
        try:
            found.append(_property(name, extension))
        except ExtensionError as problem:
            problems[name] = problem
    return Added(tuple(found), problems)


def _property(name: str, extension: Extension) -> type[Property]:
    found = extension.load()
    if not (isinstance(found, type) and issubclass(found, Property)) or isabstract(found):
        raise extension.unusable("expected a subclass of coherence.properties.Property with `cases`")
    if name in map(_tag, BUILT_IN):
        raise extension.unusable("a property of this name is there already")
    if _tag(found) != name:
        raise extension.unusable(
            f"expected the key `property: Literal[{name!r}]`, as the entry point is called"
        )
    if not str(getattr(found, "family", "")).isidentifier():
        raise extension.unusable("expected a `family`, a word that pytest can select by")
    return found


def _tag(found: type[Property]) -> Any:  # noqa: ANN401
    """Read the name of a property off the type of its key `property`."""
    key = found.model_fields.get("property")
    return next(iter(get_args(key.annotation)), None) if key else None
