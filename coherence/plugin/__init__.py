"""The pytest plugin: inert, and light to import, unless `--coherence` is given."""

from argparse import ArgumentTypeError
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from coherence.plugin.suites import Suites

# The first choice of each is the default.
POLICIES = {
    "adjust": (("holm", "none"), "How fails are adjusted for the number of claims in the run"),
    "inconclusive": (("fail", "warn"), "What an inconclusive verdict does"),
}

CHOICES = POLICIES | {
    "tier": (
        ("full", "smoke"),
        "Which assertions are judged; smoke: those alone that the suites mark with `tier: smoke`",
    ),
    "baseline-missing": (("fail", "warn", "record"), "What is done where there is no baseline yet"),
    "baseline-fail": (
        ("regressed", "vanished", "none"),
        "What since the baseline fails the run; vanished: what regressed as well",
    ),
    "annotations": (
        ("auto", "github", "none"),
        "Commands that make GitHub show verdicts at their lines of the suites; auto: where it runs them",
    ),
}

FAMILIES = ("collinearity", "markers", "commutativity", "attractor")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; each begins with --coherence."""
    group = parser.getgroup("coherence", "coherence of a persona across prompt, adapter and steering")
    group.addoption("--coherence", action="store_true", help="Collect and judge *.coherence.yaml suites.")
    group.addoption(
        "--coherence-base",
        metavar="MODEL",
        help="Base model in place of the suites' own: hub id, folder or 'reference'.",
    )
    group.addoption(
        "--coherence-adapter",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="Adapter in place of the release's adapter of that name. Repeatable.",
    )
    group.addoption(
        "--coherence-vector",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="Vector file in place of the release's vector of that name. Repeatable.",
    )
    group.addoption(
        "--coherence-dtype",
        choices=["float32", "bfloat16", "float16"],
        metavar="DTYPE",
        help="What the base is computed in, in place of the suites' own: float32, bfloat16 or float16.",
    )
    group.addoption("--coherence-seed", type=_seed, metavar="N", help="Seed in place of the suites' own.")
    group.addoption(
        "--coherence-store",
        type=Path,
        metavar="PATH",
        help="Where measurements are kept. Default: the user's cache.",
    )
    group.addoption(
        "--coherence-engine",
        metavar="ENGINE",
        default="local",
        help="What measures: 'local', 'ray', or 'ray=ADDRESS' for a cluster that is there. Default: local.",
    )
    group.addoption(
        "--coherence-actors",
        type=_count,
        metavar="N",
        help="How many actors Ray measures with. Default: one per GPU, or per 4 cores.",
    )
    group.addoption(
        "--coherence-budget",
        metavar="BUDGET",
        help="What measuring may take: a time in s, m or h (from the end of collection on, loading the model "
        "included), a number of calls, or both: 90s, 2m, '5000 calls' or '2m, 5000 calls'. A call is one "
        "measurement, of which a prompt may take several: a reply, its residuals, a score; a law's search is "
        "one too. Once it is spent no job is begun; what was measured is kept, and the next run goes on from "
        "there. An assertion that lacks measurements is inconclusive. Default: no end.",
    )
    for name, (choices, what) in CHOICES.items():
        text = f"{what}: {' or '.join(choices)}. Default: {choices[0]}."
        group.addoption(f"--coherence-{name}", metavar="CHOICE", help=text)
        parser.addini(f"coherence_{name.replace('-', '_')}", text)
    group.addoption(
        "--coherence-baseline",
        type=Path,
        metavar="PATH",
        help="Compare with what `coherence bless` wrote: what regressed, improved, appeared and vanished.",
    )
    group.addoption(
        "--coherence-baseline-tolerance",
        type=_amount,
        default=0.05,
        metavar="X",
        help="How much worse is not a regression, in units of the statistic. Default: 0.05.",
    )
    group.addoption(
        "--coherence-baseline-anyway",
        action="store_true",
        help="Compare with a baseline of other probes or of another base as well.",
    )
    group.addoption(
        "--coherence-results",
        type=Path,
        metavar="PATH",
        default=Path("coherence-results.json"),
        help="Where the results document is written. Default: coherence-results.json.",
    )
    group.addoption(
        "--coherence-junit", type=Path, metavar="PATH", help="Write a JUnit report of the verdicts."
    )
    group.addoption(
        "--coherence-markdown",
        type=Path,
        metavar="PATH",
        help="Write a summary in markdown; it is added to the file that is $GITHUB_STEP_SUMMARY.",
    )
    group.addoption(
        "--coherence-junit-strict",
        action="store_true",
        help="Leave out of the JUnit report what Jenkins' junit-10.xsd refuses (file and line).",
    )
    group.addoption(
        "--coherence-html", type=Path, metavar="PATH", help="Write a report to look at: one HTML file."
    )
    group.addoption(
        "--coherence-report",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="Write a view that another package brings. Repeatable.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, and the session when it is asked for."""
    config.addinivalue_line("markers", "coherence: an assertion of a coherence suite")
    for family in FAMILIES:
        config.addinivalue_line("markers", f"{family}: a coherence assertion of this family")
    if config.getoption("--coherence"):
        from coherence.plugin.session import CoherenceSession
        from coherence.properties.installed import added

        for family in added().families:
            config.addinivalue_line("markers", f"{family}: a coherence assertion of this family")
        # A broken suite is reported as an error beside the others, and does not hide them.
        config.option.continue_on_collection_errors = True
        config.pluginmanager.register(CoherenceSession(config), "coherence-session")


@pytest.fixture(scope="session")
def coherence(pytestconfig: pytest.Config) -> "Iterator[Suites]":
    """Open a suite: `coherence("suites/a.coherence.yaml")`. Without --coherence the test is skipped."""
    if not pytestconfig.getoption("--coherence"):
        pytest.skip("it measures a model, which takes --coherence")
    from coherence.plugin.suites import SUITES

    suites = pytestconfig.stash[SUITES]
    yield suites
    suites.close()


def _seed(written: str) -> int:
    if not written.isdecimal():
        raise ArgumentTypeError(f"expected a whole number from 0 up, found {written!r}")
    return int(written)


def _amount(written: str) -> float:
    try:
        found = float(written)
    except ValueError:
        found = -1.0
    if not 0 <= found < inf:
        raise ArgumentTypeError(f"expected a number from 0 up, found {written!r}")
    return found


def _count(written: str) -> int:
    if not written.isdecimal() or int(written) < 1:
        raise ArgumentTypeError(f"expected a whole number from 1 up, found {written!r}")
    return int(written)
