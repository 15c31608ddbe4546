"""What the processes of a run tell each other, with each report of pytest and at the end."""

from typing import Self

import pytest
from pydantic import BaseModel, ConfigDict

from coherence.results import AssertionResult
from coherence.vocabulary import ArtefactFiles

Report = pytest.CollectReport | pytest.TestReport


class Message(BaseModel):
    """What was found since the last one, as JSON wherever it is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    results: dict[str, AssertionResult] = {}
    """By node id: what assertions came to, and suites that cannot be read."""

    required: tuple[AssertionResult, ...] = ()
    """What tests of one's own required of suites that they opened."""

    left_out: frozenset[tuple[str, str]] = frozenset()
    """Suite and id of assertions that are of another tier than was asked for."""

    remarks: tuple[str, ...] = ()
    """What was said of artefacts before they were measured."""

    seed: int | None = None
    """Of the first suite that was selected."""

    device: str | None = None
    """What measured."""

    artefacts: tuple[ArtefactFiles, ...] = ()
    """What took part in what was judged, with its files."""

    misuse: str | None = None
    """What is wrong with the options, which only shows once suites are collected."""

    def send_with(self, report: Report) -> None:
        """Put it on a report, which pytest-xdist takes from workers to the controller."""
        report.coherence = self.model_dump_json()  # type: ignore[union-attr]

    @classmethod
    def sent_with(cls, report: Report) -> Self:
        """Read what was put on a report; it says nothing where there is none."""
        return cls.model_validate_json(getattr(report, "coherence", "{}"))
