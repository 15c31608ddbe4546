"""What a property measures: the schema says what an author writes, docs/verdicts.md how it is computed."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from coherence.properties.composition.commutativity import LAWS
from coherence.suite import Assertion
from coherence.suite.file import suite_file
from coherence.suite.schema import schema


def properties() -> dict[str, dict[str, Any]]:
    """Schemas of all properties, by name."""
    described = schema(suite_file())
    named = described["properties"]["assertions"]["items"]["discriminator"]["mapping"]
    return {name: described["$defs"][path.rpartition("/")[2]] for name, path in named.items()}


def of_property(name: str) -> str:
    """Explain a property, in markdown."""
    described = properties()[name]
    return _together(f"# {name}", described["description"], _keys(described), _computed(name))


def of_assertion(assertion: Assertion) -> str:
    """Explain an assertion of a suite with its own keys, in markdown."""
    stated = assertion.property
    described = properties()[stated.word()]
    law = LAWS.get(assertion.case.slug) if stated.word() == "commutativity" else None
    return _together(
        f"# {assertion.id}",
        f"`{stated.word()}` of `{assertion.case.persona}`, stated in {assertion.place}, with "
        f"`expect: {assertion.expect}`.",
        f"The law: {law.says}." if law else "",
        described["description"],
        _keys(described, stated.model_dump(mode="json")),
        _computed(stated.word()),
    )


def _together(*parts: str) -> str:
    return "\n\n".join(filter(None, parts))


def _keys(described: Mapping[str, Any], written: Mapping[str, Any] | None = None) -> str:
    """Make a table of keys with their defaults, and with what is written where an assertion is explained."""
    heads = ["key", "default", "here", "what it is"] if written else ["key", "default", "what it is"]
    rows = [heads, ["---"] * len(heads)]
    for key, about in described["properties"].items():
        default = "required" if key in described.get("required", ()) else _value(about.get("default"))
        here = [_value(written[key])] if written else []
        rows.append([f"`{key}`", default, *here, about.get("description", "")])
    lines = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
    return "\n".join(["## Keys", "", *lines])


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _computed(name: str) -> str:
    reading = f"## How to read its verdict\n\n{_sections()['From estimates to a verdict']}"
    computed = _sections().get(name)
    return _together(f"## How it is computed\n\n{computed}", reading) if computed else reading


@cache
def _sections() -> dict[str, str]:
    """Sections of docs/verdicts.md by their titles; links, which lead nowhere here, are their texts."""
    # A link in the package: the text is there once, and wheels and archives hold a copy.
    text = (files("coherence") / "verdicts.md").read_text(encoding="utf-8")
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    titled = (section.partition("\n") for section in re.split(r"^## ", plain, flags=re.MULTILINE)[1:])
    return {title: body.strip() for title, _, body in titled}
