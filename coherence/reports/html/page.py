"""The page: templates filled from the results document, under a policy that runs no script but its own."""

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from coherence.files import replace_file
from coherence.reports import reproduce
from coherence.reports.adjustment import lost_fails
from coherence.reports.controls import beside
from coherence.reports.figure_columns import columns_of
from coherence.reports.html import forest, matrix, text
from coherence.reports.html.differing import differences
from coherence.reports.html.palette import palette_of
from coherence.reports.html.pictures import pictures
from coherence.reports.order import worst_first
from coherence.reports.since_baseline import verdict, worth_showing
from coherence.results import AssertionResult, Results
from coherence.vocabulary.evidence import number

_TEMPLATES = files(__package__) / "templates"


def write_html(results: Results, path: Path) -> None:
    """Write the report atomically. Raises OSError."""
    replace_file(path, page(results).encode())


def page(results: Results) -> str:
    """Fill the page; it loads nothing and holds no script but the one that sorts and searches."""
    anchors = {id(result): f"a{place}" for place, result in enumerate(results.assertions, 1)}
    return (
        _environment()
        .get_template("page.html")
        .render(
            results=results,
            answer=_answer(results),
            palette=palette_of(results.assertions),
            personas=results.by_persona(),
            worst_first=worst_first(results.assertions),
            lost=lost_fails(results),
            anchor=lambda result: anchors[id(result)],
            command=reproduce.command(results),
            artefacts=reproduce.artefacts(results),
        )
    )


def _hue(results: Sequence[AssertionResult]) -> Markup:
    """Name the class of elements that show these; nothing is not green."""
    return Markup("green") if results and all(result.green for result in results) else Markup("red")


def _answer(results: Results) -> str:
    """Say in one sentence what became of the run."""
    missed, among = sum(not result.green for result in results.assertions), len(results.assertions)
    if not among:
        return "Nothing was evaluated"
    headline = (
        f"{missed} of {among} assertions are not as expected" if missed else f"All {among} are as expected"
    )
    changed = results.comparison and results.comparison.failing
    joined = f"{headline}, {'and' if missed else 'but'} the comparison with the baseline fails"
    return joined if changed else headline


def _number(value: float) -> Markup:
    return Markup(number(value))


@cache
def _environment() -> Environment:
    # Every text in the page goes through `shown`, also the one that a template's author did not think of.
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        finalize=text.shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= _inline() | {
        "beside": beside,
        "forest_chart": forest.chart,
        "columns_of": columns_of,
        "differences": differences,
        "matrices": matrix.matrices,
        "pictures": pictures,
        "verdict": verdict,
        "worth_showing": worth_showing,
        "zip": zip,
    }
    environment.filters |= {
        "any": any,
        "attribute": text.attribute,
        "hue": _hue,
        "marked": text.marked,
        "number": _number,
    }
    return environment


def _inline() -> dict[str, object]:
    """Read the style and the script, and make the policy that allows these two and nothing else."""
    style, script = (_TEMPLATES.joinpath(name).read_text("utf-8") for name in ("style.css", "script.js"))
    allowed = f"style-src {_digest(style)}; script-src {_digest(script)}"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    return {"style": Markup(style), "script": Markup(script), "policy": policy}


def _digest(inline: str) -> str:
    return f"'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}'"
