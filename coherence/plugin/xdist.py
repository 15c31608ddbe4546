"""What only a run with several processes needs: their last messages, from workers to the controller."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from coherence.plugin.message import Message

if TYPE_CHECKING:
    from coherence.plugin.session import CoherenceSession, Summary
    from coherence.plugin.unjudged import Unjudged

_KEY = "coherence"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """Whether this process hands its tests on to workers; it does not where pytest-xdist is not there."""
    handed_on = config.getoption("dist", "no") != "no" and config.getoption("tx", None)
    return bool(handed_on) and not is_worker(config)


class Worker:
    """Sends what its session found along with what pytest-xdist sends at the end."""

    def __init__(self, config: pytest.Config, session: "CoherenceSession") -> None:
        self._output: dict[str, str] = config.workeroutput  # type: ignore[attr-defined]
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Send it, after an error of the options too."""
        self._output[_KEY] = self._session.message().model_dump_json()


class Controller:
    """Takes in what its workers send."""

    def __init__(self, summary: "Summary", unjudged: "Unjudged") -> None:
        self._summary = summary
        self._unjudged = unjudged

    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        """Hear what a worker selected, before any of it can crash."""
        self._unjudged.select(dict.fromkeys(ids))

    def pytest_testnodedown(self, node: object) -> None:
        """Hear a worker out, unless it crashed; what is wrong with the options ends the run."""
        output = getattr(node, "workeroutput", None) or {}
        message = Message.model_validate_json(output.get(_KEY, "{}"))
        self._summary.hear(message)
        if message.misuse:
            raise pytest.UsageError(message.misuse)
