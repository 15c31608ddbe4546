"""Healthy releases of a suite: its own, and those that are kept in files, one option of the gate a line."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from coherence import limits
from coherence.cli import arguments
from coherence.errors import Place, SuiteError
from coherence.files import read_file

if TYPE_CHECKING:
    from coherence.suite import Overrides, Suite

OWN = "own"


def releases(path: Path, seed: int | None, files: Sequence[Path]) -> "dict[str | None, Suite]":
    """Read a suite with each release, by the names of their files; one without others needs no name.

    A SuiteError says what is wrong with a file, or that a release is there twice.
    """
    from coherence.suite import Overrides, load_suite

    own = load_suite(path, Overrides(seed=seed))
    if not files:
        return {None: own}
    suites: dict[str | None, Suite] = {OWN: own}
    for file in files:
        overrides = _read(file, seed)
        overrides.require_use([own.scene.release])
        suite = load_suite(path, overrides)
        _require_new(file.stem, suite, suites, overrides.place)
        suites[file.stem] = suite
    return suites


def _require_new(called: str, suite: "Suite", suites: "Mapping[str | None, Suite]", place: Place) -> None:
    if called in suites:
        raise SuiteError(f"another release is called {called!r}; expected another name", place)
    for name, other in suites.items():
        if suite.scene.release == other.scene.release:
            raise SuiteError(
                f"this is the release that is called {name!r}; expected another healthy one, such as one "
                "trained with another seed",
                place,
            )


class _Lines(ArgumentParser):
    """Says a mistake as one of the file."""

    def __init__(self, place: Place) -> None:
        super().__init__(prog="a release", add_help=False, allow_abbrev=False)
        self._place = place

    def error(self, message: str) -> NoReturn:
        raise SuiteError(message, self._place)


def _read(file: Path, seed: int | None) -> "Overrides":
    """Read what pytest reads as `@FILE`."""
    from coherence.suite import Overrides

    place = Place(str(file))
    try:
        lines = read_file(file, limits.SUITE_BYTES).decode().replace("\r\n", "\n").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text in UTF-8"
        raise SuiteError(f"the release cannot be read: {reason}", place) from None
    options = _options(place, [line for line in lines if line])
    return Overrides(
        options.coherence_base,
        dict(options.coherence_adapter),
        dict(options.coherence_vector),
        seed,
        place=place,
    )


def _options(place: Place, lines: Sequence[str]) -> Namespace:
    parser = _Lines(place)
    parser.add_argument("--coherence-base")
    for kind in ("adapter", "vector"):
        parser.add_argument(f"--coherence-{kind}", type=arguments.pair, action="append", default=[])
    return parser.parse_args(lines)
