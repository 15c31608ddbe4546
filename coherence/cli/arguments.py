"""What is written on a command line, as values; an ArgumentTypeError says what was expected."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.errors import did_you_mean

if TYPE_CHECKING:
    from coherence.suite import Overrides
    from coherence.vocabulary import Position, Site
    from coherence.vocabulary.release import Dtype

# Types of the vocabulary are imported where one is read: pydantic takes longer than a completion may.


RESULTS = Path("coherence-results.json")
"""Where a run writes its results unless it is told otherwise."""


def add_results(parser: ArgumentParser) -> None:
    """Let a command take the results document of a run."""
    parser.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=RESULTS,
        help="results document of a run of the gate; default: %(default)s",
    )


def add_release(parser: ArgumentParser) -> None:
    """Let a command take artefacts in the place of a suite's own, as the gate does."""
    parser.add_argument("--base", metavar="PATH", help="as --coherence-base of the gate")
    for kind in ("adapter", "vector"):
        parser.add_argument(
            f"--{kind}",
            type=pair,
            action="append",
            default=[],
            metavar="NAME=PATH",
            help=f"as --coherence-{kind} of the gate; repeatable",
        )


def overrides_of(options: Namespace, dtype: "Dtype | None" = None) -> "Overrides":
    """Make what `add_release` took into what a suite is loaded with."""
    from coherence.suite import Overrides

    return Overrides(options.base, dict(options.adapter), dict(options.vector), dtype=dtype)


def site(written: str) -> "Site":
    """Read a site, such as `resid_post.14`; what is none is an error of the command line."""
    from coherence.vocabulary import Site

    try:
        return Site.parse(written)
    except ValueError as problem:
        raise ArgumentTypeError(str(problem)) from None


def position(written: str) -> "Position":
    """Read the name of a token's role."""
    from coherence.vocabulary import Position

    try:
        return Position(written)
    except ValueError:
        raise ArgumentTypeError(f"found {written!r}{did_you_mean(written, positions())}") from None


def positions(**_: object) -> list[str]:
    """All names of positions, for completion."""
    from coherence.vocabulary import Position

    return [position.value for position in Position]


def size(written: str) -> int:
    """Read a size with its unit, such as `2GB`, as a number of bytes."""
    from coherence.store.size import parse_size

    try:
        return parse_size(written)
    except ValueError as problem:
        raise ArgumentTypeError(str(problem)) from None


def probability(written: str) -> float:
    """Read a number between 0 and 1."""
    try:
        number = float(written)
    except ValueError:
        number = -1.0
    if not 0 < number < 1:
        raise ArgumentTypeError(f"found {written!r}, expected a number between 0 and 1, such as 0.05")
    return number


def looks(written: str) -> tuple[int, ...]:
    """Read `8,16`, numbers of probes."""
    from coherence.vocabulary.policy import looks

    try:
        return looks(written)
    except ValueError as problem:
        raise ArgumentTypeError(str(problem)) from None


def pair(written: str) -> tuple[str, str]:
    """Read `NAME=PATH` as name and path, neither of them empty."""
    name, separator, path = written.partition("=")
    if not (name and separator and path):
        raise ArgumentTypeError(f"found {written!r}, expected NAME=PATH")
    return name, path


def named(written: str) -> tuple[str, str]:
    """Read `NAME=PERSONA` as release and persona; a release's name may have `=` in it."""
    name, separator, persona = written.rpartition("=")
    if not (name and separator and persona):
        raise ArgumentTypeError(f"found {written!r}, expected NAME=PERSONA")
    return name, persona


def add_seed(parser: ArgumentParser) -> None:
    """Let a command take the seed of what it draws."""
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of every random choice; default: %(default)s"
    )


def _seed(written: str) -> int:
    from coherence import limits

    if not written.isdecimal() or int(written) > limits.SEED:
        raise ArgumentTypeError(f"found {written!r}, expected a whole number from 0")
    return int(written)


def count(written: str) -> int:
    """Read a whole number from 1 up."""
    return _whole(written, least=1, such_as=4)


def several(written: str) -> int:
    """Read a whole number from 10 up."""
    return _whole(written, least=10, such_as=40)


def _whole(written: str, least: int, such_as: int) -> int:
    if not written.isdecimal() or int(written) < least:
        raise ArgumentTypeError(f"found {written!r}, expected a number from {least}, such as {such_as}")
    return int(written)


def vector_file(written: str) -> Path:
    """Read the path of a .safetensors file."""
    path = Path(written)
    if path.suffix != ".safetensors":
        raise ArgumentTypeError(f"found the ending {path.suffix!r}, expected .safetensors")
    return path
