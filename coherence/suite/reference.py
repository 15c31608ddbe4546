"""Every key of a suite, generated from the schema: a page of the documents.

The committed docs/reference/properties.md is what `python -m coherence.suite.reference` prints.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from coherence.properties import Property
from coherence.suite.schema import schema

Described = Mapping[str, Any]

_HEAD = """\
# Every key of a suite

Generated from the schema that suites are checked with. What the keys are for, with complete examples, is in
[suites.md](../suites.md); how estimates are computed, in [verdicts.md](../verdicts.md).
`coherence explain PROPERTY` shows the same in a terminal."""

_FILE = "Its name ends in `.coherence.yaml`."
_COMMON = "Every property has these."
_NOTHING = "nothing"
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def text() -> str:
    """Return the page: the file's keys, each property's, and those of what they hold."""
    described = schema()
    named: Mapping[str, str] = described["properties"]["assertions"]["items"]["discriminator"]["mapping"]
    properties = {name: described["$defs"][path.rpartition("/")[2]] for name, path in named.items()}
    common = Property.model_json_schema()
    parts = [
        _HEAD,
        _section("The file", _FILE, _keys(described, described["$defs"])),
        _section("Keys of every property", _COMMON, _keys(common, described["$defs"])),
        *(_property(name, about, common, described["$defs"]) for name, about in properties.items()),
        *_held(described, [about["title"] for about in properties.values()]),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *filter(None, parts)])


def _property(name: str, about: Described, common: Described, held: Described) -> str:
    """Make the section of a property: what it claims, and the keys that are not every property's."""
    links = f"[How to write it](../suites.md#{name}), [how it is computed](../verdicts.md#{name})."
    shared = common["properties"]
    own = {
        key: value
        for key, value in about["properties"].items()
        if key not in shared or value["description"] != shared[key]["description"]
    }
    return _section(name, about["description"], links, _keys({**about, "properties": own}, held))


def _held(described: Described, properties: Sequence[str]) -> Iterator[str]:
    """Yield sections of the mappings that keys hold, such as a persona's."""
    for name, about in described["$defs"].items():
        if about.get("type") == "object" and name not in properties:
            yield _section(name, about.get("description", ""), _keys(about, described["$defs"]))


def _keys(about: Described, held: Described) -> str:
    """Make a table of keys: what may stand there, and what holds where nothing does."""
    rows = [("Key", "What may stand there", "Default", "What it is"), ("---",) * 4]
    for key, value in about["properties"].items():
        default = "required" if key in about.get("required", ()) else _value(value.get("default"))
        rows.append((f"`{key}`", _kind(value, held), default, value.get("description", "")))
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows)


def _cell(written: str) -> str:
    return " ".join(written.replace("|", r"\|").split())


def _kind(about: Described, held: Described) -> str:
    """Say in words what a schema lets stand."""
    if "$ref" in about:
        return _reference(about["$ref"].rpartition("/")[2], held)
    if "anyOf" in about or "oneOf" in about:
        kinds = (_kind(one, held) for one in about.get("anyOf") or about["oneOf"])
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != _NOTHING))
    if "enum" in about or "const" in about:
        return ", ".join(f"`{one}`" for one in about.get("enum") or [about["const"]])
    return _plain(about, held)


def _reference(name: str, held: Described) -> str:
    about = held[name]
    return f"[{name}](#{name.lower()})" if about.get("type") == "object" else _kind(about, held)


def _plain(about: Described, held: Described) -> str:
    match about.get("type"):
        case "array" if "prefixItems" in about:
            return f"[{', '.join(_kind(one, held) for one in about['prefixItems'])}]"
        case "array" if "discriminator" in about["items"]:
            return "list of properties"
        case "array":
            items = _kind(about["items"], held)
            return f"list of ({items})" if " or " in items else f"list of {items}"
        case "object":
            return f"mapping of names to {_values(about, held)}"
        case "string":
            return f"text such as `{about['examples'][0]}`" if "examples" in about else "text"
        case "number" | "integer" as kind:
            bounds = (f"{sign} {about[bound]:g}" for bound, sign in _BOUNDS.items() if bound in about)
            return ", ".join([("whole number" if kind == "integer" else kind), *bounds])
        case "boolean":
            return "`true`, `false`"
        case _:
            return _NOTHING


def _values(about: Described, held: Described) -> str:
    patterns = about.get("patternProperties", {})
    return _kind(next(iter(patterns.values())) if patterns else about["additionalProperties"], held)


def _value(default: object) -> str:
    if default in (None, "", {}, []):
        return ""
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    print(text(), end="")
