"""The pytest plugin: inert, and light to import, unless `--coherence` is given."""

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

# The first choice of each is the default.
POLICIES = {
    "adjust": (("holm", "none"), "How fails are adjusted for the number of claims in the run"),
    "inconclusive": (("fail", "warn"), "What an inconclusive verdict does"),
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
    for name, (choices, what) in POLICIES.items():
        text = f"{what}: {' or '.join(choices)}. Default: {choices[0]}."
        group.addoption(f"--coherence-{name}", metavar="CHOICE", help=text)
        parser.addini(f"coherence_{name}", text)
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
        "--coherence-junit-strict",
        action="store_true",
        help="Leave out of the JUnit report what Jenkins' junit-10.xsd refuses (file and line).",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, and the session when it is asked for."""
    config.addinivalue_line("markers", "coherence: an assertion of a coherence suite")
    for family in FAMILIES:
        config.addinivalue_line("markers", f"{family}: a coherence assertion of this family")
    if config.getoption("--coherence"):
        from coherence.plugin.session import CoherenceSession

        # A broken suite is reported as an error beside the others, and does not hide them.
        config.option.continue_on_collection_errors = True
        config.pluginmanager.register(CoherenceSession(config), "coherence-session")


def _seed(written: str) -> int:
    if not written.isdecimal():
        raise ArgumentTypeError(f"expected a whole number from 0 up, found {written!r}")
    return int(written)


def _count(written: str) -> int:
    if not written.isdecimal() or int(written) < 1:
        raise ArgumentTypeError(f"expected a whole number from 1 up, found {written!r}")
    return int(written)
