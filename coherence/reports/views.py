"""Views of the results document that other distributions add."""

from collections.abc import Iterable
from pathlib import Path

from coherence.errors import CoherenceError, did_you_mean, first_line
from coherence.extensions import declared
from coherence.files import replace_file
from coherence.results import Results

GROUP = "coherence.reports"


def require_views(names: Iterable[str]) -> None:
    """Refuse a name that no installed view has: a CoherenceError says which there are."""
    known = declared(GROUP)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or "; there is none: another distribution can add it"
            raise CoherenceError(f"no view is named {name!r}{hint}")


def write_view(name: str, results: Results, path: Path) -> None:
    """Write what the view makes of the results, atomically.

    Raises OSError, or a CoherenceError that names the distribution whose view it is.
    """
    require_views([name])
    extension = declared(GROUP)[name]
    view = extension.load()
    if not callable(view):
        raise extension.unusable("expected a function of the results that returns a text, or bytes")
    try:
        made = view(results)
    except Exception as problem:  # a report less is no reason to lose the others
        raise extension.unusable(
            f"it failed with {type(problem).__name__}: {first_line(problem)}"
        ) from problem
    if not isinstance(made, str | bytes):
        raise extension.unusable(f"it returned {type(made).__name__}, expected a text, or bytes")
    replace_file(path, made.encode() if isinstance(made, str) else made)
