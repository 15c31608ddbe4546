"""What pydantic found wrong, as sentences for the author of a suite."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from coherence import limits
from coherence.errors import did_you_mean, shortened
from coherence.properties.installed import added
from coherence.suite.allowed import allowed_keys, allowed_range
from coherence.suite.document import Document, Key
from coherence.suite.problem import Problem

_EXPECTED = {
    "string_type": "a text",
    "string_unicode": "a text without lone surrogates",
    "dict_type": "a mapping (`key: value` lines)",
    "model_type": "a mapping (`key: value` lines)",
    "model_attributes_type": "a mapping (`key: value` lines)",
    "tuple_type": "a list",
    "list_type": "a list",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_too_short": "a text that is not empty",
    "string_pattern_mismatch": "a short ASCII name (letters, digits, - and _)",
}

# Of a longer key, more would hide what is said of it.
_LONGEST_STEP = 60

_BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}


def problems_of(error: ValidationError, document: Document) -> Iterator[Problem]:
    """Say each error in a sentence, with its line; of the branches of a union only the first speaks."""
    return (problem_of(detail, key, document) for key, detail in keyed(error, document))


def keyed(error: ValidationError, document: Document) -> Iterator[tuple[Key, ErrorDetails]]:
    """Yield the errors that `problems_of` says, each with the key that it is about."""
    spoken: set[Key] = set()
    for detail in error.errors(include_url=False):
        key = _key(detail["loc"], document.data)
        about = (*key, detail["loc"][-1]) if detail["type"] == "missing" else key
        if about not in spoken:
            spoken.add(about)
            yield key, detail


def _key(loc: tuple[str | int, ...], data: object) -> Key:
    """Keep of pydantic's location what the author wrote, without the names of union branches."""
    key: Key = ()
    here: Any = data
    for step in _without_discriminator(loc):
        if _has(here, step):
            key, here = (*key, step), here[step]
    return key


def _has(data: object, step: str | int) -> bool:
    if isinstance(data, dict):
        return step in data
    return isinstance(data, list) and isinstance(step, int) and step < len(data)


def _without_discriminator(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return (*loc[:2], *loc[3:]) if loc[0] == "assertions" else loc


def problem_of(detail: ErrorDetails, key: Key, document: Document) -> Problem:
    """Say an error in a sentence, with its line."""
    kind, value, name = detail["type"], detail["input"], str(detail["loc"][-1])
    if kind == "extra_forbidden":
        return Problem(document.place(key), _unknown_key(key, document.data))
    if kind == "missing":
        return Problem(document.place(key), _missing(detail["loc"][-1], key))
    if kind == "union_tag_not_found":
        return _no_property(key, value, document)
    if kind == "union_tag_invalid":
        options = _quoted(detail["ctx"]["expected_tags"])
        tag = str(detail["ctx"]["tag"])
        place = document.place((*key, "property"))
        if tag in added().problems:
            return Problem(place, f"the property {tag!r} cannot be used: {added().problems[tag]}")
        return Problem(place, f"{shortened(tag)} is not a property{did_you_mean(tag, options)}")
    if name == "[key]":
        number = kind == "float_parsing"
        expected = "a number" if number else f"at most {limits.NAME} ASCII letters, digits, - and _"
        where = f"a {'key' if number else 'name'} in {_spelled(key[:-1])}"
        sentence = f"{shortened(value)} cannot be {where}; expected {expected}"
        return Problem(document.place(key), sentence)
    if kind in _BOUNDS and (span := allowed_range(key, document.data)):
        sentence = f"{_spelled(key)}: expected a number {span}, found {_described(value)}"
        return Problem(document.place(key), sentence)
    return Problem(document.place(key), f"{_spelled(key)}: {_complaint(detail)}")


def _missing(step: str | int, key: Key) -> str:
    if isinstance(step, int):
        return f"{_spelled(key)}: expected at least {step + 1} items"
    return f"missing key {step!r}{_within(key)}"


def _complaint(detail: ErrorDetails) -> str:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        options = _quoted(context["expected"])
        hint = (
            did_you_mean(value, options)
            if isinstance(value, str) and options
            else f"; expected {context['expected']}"
        )
        return f"found {_described(value)}{hint}"
    expected = _EXPECTED.get(kind) or _bound(detail["msg"])
    quotes = (
        "; put it in quotes" if kind == "string_type" and not isinstance(value, dict | list | None) else ""
    )
    return f"expected {expected}, found {_described(value)}{quotes}"


def _bound(message: str) -> str:
    """Turn what pydantic says of a bound into what was expected."""
    number = re.sub(r"^Input should be (greater|less)", r"a number \1", message)
    return re.sub(r"^\w+ should have (.*?)( after validation)?, not .*", r"\1", number)


def _unknown_key(key: Key, data: object) -> str:
    *around, name = key
    hint = did_you_mean(str(name), allowed_keys(tuple(around), data))
    return f"unknown key {shortened(name)}{_within(tuple(around))}{hint}"


def _no_property(key: Key, value: object, document: Document) -> Problem:
    for name in value if isinstance(value, dict) else ():
        if "did you mean" in did_you_mean(name, ["property"]):
            return Problem(
                document.place((*key, name)), f"unknown key {name!r}{_within(key)}; did you mean 'property'?"
            )
    return Problem(document.place(key), f"missing key 'property'{_within(key)}")


def _spelled(key: Key) -> str:
    """Spell a key as `personas.pirate.markers[0]`."""
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step[:_LONGEST_STEP]}" for step in key
    ).lstrip(".")


def _within(key: Key) -> str:
    return f" in {_spelled(key)}" if key else ""


def _described(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    return shortened(value) if isinstance(value, str | int | float) else str(value)


def _quoted(expected: str) -> list[str]:
    return re.findall(r"'([^']*)'", expected)
