"""Which keys the format of suites allows where: the options of a "did you mean"."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from coherence.suite.document import Key
from coherence.suite.file import SuiteFile


def allowed_keys(key: Key, data: object) -> set[str]:
    """Return the keys that the format allows in the mapping at `key`."""
    here: Any = data
    nodes = list(_branches(_format(), here))
    for step in key:
        here = here[step]
        nodes = [
            branch for node in nodes for below in _below(node, step) for branch in _branches(below, here)
        ]
    return {name for node in nodes for name in node.get("properties", {})}


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
    return SuiteFile.model_json_schema()
