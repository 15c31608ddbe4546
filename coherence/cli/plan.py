"""`coherence plan`: what a run would measure, and how much arithmetic that is."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import show

if TYPE_CHECKING:
    from rich.box import Box

    from coherence.forecast import Charge, Forecast
    from coherence.reports.fitted_table import FittedTable

_WIDTH = 100
_TERA = 1e12


def _add(parser: Parser) -> None:
    parser.add_argument("suites", type=Path, nargs="+", help="suites, or folders of *.coherence.yaml files")
    arguments.add_release(parser)
    parser.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    parser.add_argument(
        "--looks", type=arguments.looks, default=(), metavar="N,N", help="as --coherence-looks of the gate"
    )
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.forecast import forecast
    from coherence.store import Store, store_root
    from coherence.suite import load_suite, suites_at

    overrides = arguments.overrides_of(options)
    suites = [load_suite(path, overrides) for folder in options.suites for path in suites_at(folder)]
    overrides.require_use([suite.scene.release for suite in suites])
    store = Store(options.store or store_root())
    counted = forecast({suite: suite.assertions for suite in suites}, store, options.looks)
    show(lambda box: _table(counted, box), _WIDTH)
    print(_summary(counted))
    return Output(_document(counted))


def _table(forecast: "Forecast", box: "Box") -> "FittedTable":
    from coherence.reports.plain import cell, table

    columns = ("measurements", "stored", "read", "said", "TFLOP", "share")
    shown = table("property", "for", *columns, numbers=columns, box=box)
    for (name, purpose), parts in sorted(forecast.by("property", "purpose").items()):
        shown.add_row(*map(cell, (name, purpose, *_numbers(parts, forecast))))
    shown.add_section()
    for (persona,), parts in sorted(forecast.by("persona").items()):
        expected = [part for part in parts if part in forecast.expected]
        shown.add_row(*map(cell, (persona, "everything", *_numbers(expected, forecast))))
    return shown


def _numbers(parts: "Sequence[Charge]", forecast: "Forecast") -> list[str]:
    from coherence.forecast import FURTHER

    flops = sum(part.flops for part in parts)
    counts = (
        sum(part.measurements for part in parts),
        sum(part.stored for part in parts),
        round(sum(part.tokens.read for part in parts)),
        round(sum(part.tokens.generated for part in parts)),
    )
    share = flops / forecast.flops if forecast.flops else 0.0
    own = "" if any(part.purpose == FURTHER for part in parts) else f"{share:.0%}"
    return [*(f"{count:,}" for count in counts), f"{flops / _TERA:.2f}", own]


def _summary(forecast: "Forecast") -> str:
    from coherence.engine.running.speed import seconds_for

    measurements = sum(part.measurements for part in forecast.expected)
    missing = measurements - sum(part.stored for part in forecast.expected)
    if not missing:
        return f"all {measurements:,} measurements are stored: no model will be loaded"
    seconds = seconds_for(forecast.flops)
    left = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return (
        f"{missing:,} of {measurements:,} measurements are to be made: {forecast.flops / _TERA:.1f} TFLOP, "
        f"about {left} on this machine if it does nothing else; what goes further than its first look or its "
        f"first step takes up to {forecast.further / _TERA:.1f} TFLOP more"
    )


def _document(forecast: "Forecast") -> dict[str, object]:
    parts = [part._asdict() | {"tokens": part.tokens._asdict()} for part in forecast.parts]
    return {"flops": forecast.flops, "further": forecast.further, "parts": parts}


COMMAND = Command(
    name="plan",
    help="count what a run would measure, without a model",
    about="Tokens to be read and said, and the arithmetic that they take, by property and persona, for "
    "claims, controls and laws, without what the store has already. Replies are counted as long as they may "
    "become. What several assertions share is the first one's, and claims come before controls. What is "
    "measured only of claims that go further than their first look, and of controls that go further than "
    "their first step, is apart, and no part of the sum.",
    example="coherence plan pirate.coherence.yaml",
    add=_add,
)
