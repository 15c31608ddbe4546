"""A case and its controls, judged on values that a test makes up for what they need."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from coherence.plan import Measurement, Record
from coherence.vocabulary import Evidence


def controlled(case: Any, value: Callable[[Any], Any]) -> Evidence:
    """Judge a case and, whether it passes or not, its controls; `value` makes up each need once, in order."""
    cases = (case, *chain.from_iterable(case.controls().values()))
    needs: dict[Measurement, None] = dict.fromkeys(need for one in cases for need in one.needs())
    record = Record({need: value(need) for need in needs})
    judged: Evidence = case.judge(record, 0)
    return judged.model_copy(update={"controls": case.controlled(record, 0)})


def by_key(evidence: Evidence) -> dict[str | None, Any]:
    """Find criteria by the key that their bound is written under."""
    return {criterion.key: criterion for criterion in evidence.criteria}
