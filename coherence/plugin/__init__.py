"""The pytest plugin: inert, and light to import, unless `--coherence` is given."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from coherence.plugin.options import OPTIONS, setting_of

if TYPE_CHECKING:
    from coherence.plugin.suites import Suites

FAMILIES = ("collinearity", "markers", "commutativity", "attractor", "serving", "space")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and a key in pytest's configuration for each."""
    group = parser.getgroup("coherence", "coherence of a persona across prompt, adapter and steering")
    for option in OPTIONS.values():
        group.addoption(option.flag, help=option.text, **option.arguments)
        parser.addini(option.key, option.text, type=option.ini, default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, and the session when it is asked for."""
    config.addinivalue_line("markers", "coherence: an assertion of a coherence suite")
    for family in FAMILIES:
        config.addinivalue_line("markers", f"{family}: a coherence assertion of this family")
    if setting_of(config, "--coherence").value:
        from coherence.properties.installed import added

        for family in added().families:
            config.addinivalue_line("markers", f"{family}: a coherence assertion of this family")
        # A broken suite is reported as an error beside the others, and does not hide them.
        config.option.continue_on_collection_errors = True
        _begin(config)


@pytest.fixture(scope="session")
def coherence(pytestconfig: pytest.Config) -> "Iterator[Suites]":
    """Open a suite: `coherence("suites/a.coherence.yaml")`. Without --coherence the test is skipped."""
    if not setting_of(pytestconfig, "--coherence").value:
        pytest.skip("it measures a model, which takes --coherence")
    from coherence.plugin.suites import SUITES

    suites = pytestconfig.stash[SUITES]
    yield suites
    suites.close()


def _begin(config: pytest.Config) -> None:
    """Register what a run consists of in this process."""
    from coherence.plugin.session import CoherenceSession, Summary
    from coherence.plugin.signals import Signals
    from coherence.plugin.unjudged import Unjudged
    from coherence.plugin.xdist import Controller, Worker, is_controller, is_worker

    session, signals = CoherenceSession(config), Signals()
    config.pluginmanager.register(session, "coherence-session")
    config.pluginmanager.register(signals, "coherence-signals")
    if is_worker(config):
        config.pluginmanager.register(Worker(config, session), "coherence-worker")
        return
    unjudged = Unjudged(config, session.overrides)
    config.pluginmanager.register(unjudged, "coherence-unjudged")
    summary = Summary(config, session, unjudged, signals)
    config.pluginmanager.register(summary, "coherence-summary")
    if is_controller(config):
        config.pluginmanager.register(Controller(summary, unjudged), "coherence-controller")
