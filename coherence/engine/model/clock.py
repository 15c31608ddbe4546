"""The clock of a chat template, stopped: what is said must not depend on the day on which it is measured."""

from datetime import date
from typing import Any

from coherence.vocabulary import Templating

# In the place of the clock that transformers gives to templates: it hands data on to them, and no functions.
# The line break at the end goes with the last tag, and what follows is read as if it were the beginning.
_STOPPED = (
    "{%- macro strftime_now(format) -%}"
    "{%- set said = namespace(text=format) -%}"
    "{%- for code, words in coherence_clock.items() -%}"
    "{%- set said.text = said.text | replace(code, words) -%}"
    "{%- endfor -%}"
    "{{- said.text -}}"
    "{%- endmacro %}\n"
)
_CODES = "aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyYzZ"
_FLAGS = ("", "-", "_", "0", "^", "#")
_PERCENT = "\ue0c2"


def writes_date(template: str, templating: Templating) -> bool:
    """Whether a chat template asks for a date: of a clock, or the one that a suite states."""
    return "strftime_now" in template or _takes(template, templating)


def pinned(template: str, templating: Templating) -> tuple[str, dict[str, Any]]:
    """Return a template whose clock is stopped, and what it is to be told.

    A template may have a date of its own, `date_string`, which one that a suite states takes the place of.
    """
    told: dict[str, Any] = {}
    if _takes(template, templating):
        told["date_string"] = templating.day.strftime("%d %b %Y")
    if "strftime_now" not in template:
        return template, told
    return _STOPPED + template, told | {"coherence_clock": _clock(templating.day)}


def _takes(template: str, templating: Templating) -> bool:
    return templating.date is not None and "date_string" in template


def _clock(day: date) -> dict[str, str]:
    """Say a day in every way that strftime knows, in the order in which they are to be replaced."""
    codes = [f"%{flag}{letter}" for letter in _CODES for flag in _FLAGS]
    return {"%%": _PERCENT} | {code: day.strftime(code) for code in codes} | {_PERCENT: "%"}
