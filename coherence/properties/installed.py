"""The properties that this installation has: those of this package, and those that others add."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import isabstract
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from coherence import properties
from coherence.errors import ExtensionError
from coherence.extensions import Extension, declared
from coherence.properties.property import Property

GROUP = "coherence.properties"


def _built_in() -> Iterator[type[Property]]:
    """Yield the properties of this package: what a module of it defines and names with its key `property`."""
    package = f"{properties.__name__}."
    for module in walk_packages(properties.__path__, package):
        import_module(module.name)
    left = Property.__subclasses__()
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if kind.__module__.startswith(package) and kind.word():
            yield kind


BUILT_IN = tuple(sorted(_built_in(), key=lambda kind: (kind.family, kind.word())))

if TYPE_CHECKING:
    AnyProperty = Property
else:
    AnyProperty = Annotated[Union[BUILT_IN], Field(discriminator="property")]  # noqa: UP007


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
    properties: list[type[Property]] = []
    problems: dict[str, ExtensionError] = {}
    for name, extension in declared(GROUP).items():
        try:
            properties.append(_property(name, extension))
        except ExtensionError as problem:
            problems[name] = problem
    return Added(tuple(properties), problems)


def _property(name: str, extension: Extension) -> type[Property]:
    loaded = extension.load()
    if not (isinstance(loaded, type) and issubclass(loaded, Property)) or isabstract(loaded):
        raise extension.unusable("expected a subclass of coherence.properties.Property with `cases`")
    if name in {one.word() for one in BUILT_IN}:
        raise extension.unusable("a property of this name is there already")
    if loaded.word() != name:
        raise extension.unusable(
            f"expected the key `property: Literal[{name!r}]`, as the entry point is called"
        )
    if not str(getattr(loaded, "family", "")).isidentifier():
        raise extension.unusable("expected a `family`, a word that pytest can select by")
    return loaded
