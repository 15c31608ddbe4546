"""Which keys and numbers the format of suites allows where: what an error names as expected."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from coherence.suite.document import Key
from coherence.suite.file import suite_file


def allowed_keys(key: Key, data: object) -> set[str]:
    """Return the keys that the format allows in the mapping at `key`."""
    return {name for node in _nodes(key, data) for name in node.get("properties", {})}


def allowed_range(key: Key, data: object) -> str | None:
    """Spell the range of the number at `key`, such as `from -1 to 1`; None if it has not both ends."""
    starts = {"minimum": "from {:g}", "exclusiveMinimum": "above {:g}"}
    ends = {"maximum": "to {:g}", "exclusiveMaximum": "below {:g}"}
    for node in _nodes(key, data):
        sentences = [
            text.format(node[name]) for side in (starts, ends) for name, text in side.items() if name in node
        ]
        if len(sentences) == 2:
            return " ".join(sentences)
    return None


def _nodes(key: Key, data: object) -> list[dict[str, Any]]:
    here: Any = data
    nodes = list(_branches(_format(), here))
    for step in key:
        here = here[step]
        nodes = [
            branch for node in nodes for below in _below(node, step) for branch in _branches(below, here)
        ]
    return nodes


def _below(node: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(step, int):
        yield from [node["items"]] if "items" in node else []
    elif step in node.get("properties", {}):
        yield node["properties"][step]
    else:
        yield from node.get("patternProperties", {}).values()


def _branches(node: dict[str, Any], data: object) -> Iterator[dict[str, Any]]:
    """Follow references and unions, leaving out the properties that `data` does not name."""
    if "$ref" in node:
        yield from _branches(_format()["$defs"][node["$ref"].rpartition("/")[2]], data)
    for union in ("anyOf", "oneOf"):
        for branch in node.get(union, ()):
            yield from _branches(branch, data)
    const = node.get("properties", {}).get("property", {}).get("const")
    if const is None or (isinstance(data, dict) and data.get("property") == const):
        yield node


@cache
def _format() -> dict[str, Any]:
    return suite_file().model_json_schema()
