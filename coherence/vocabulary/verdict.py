"""The four outcomes of an assertion."""

from enum import StrEnum


class Verdict(StrEnum):
    """Four values, never two; ordered from best to worst."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ERROR = "error"

    @property
    def severity(self) -> int:
        """0 for a pass, rising."""
        return list(Verdict).index(self)
