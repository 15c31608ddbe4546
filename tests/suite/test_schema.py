import json
import subprocess
import sys
from pathlib import Path

import coherence.suite
from coherence.properties.installed import BUILT_IN
from coherence.suite.schema import schema, text

COMMITTED = Path(coherence.suite.__file__).with_name("schema.json")


def test_the_committed_schema_is_current():
    assert COMMITTED.read_text(encoding="utf-8") == text()


def test_the_module_prints_it():
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "coherence.suite.schema"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == text()


def test_it_is_plain_json():
    assert json.loads(text()) == schema()


def test_unknown_keys_are_marked_in_every_mapping_of_fixed_keys():
    mappings = [schema(), *schema()["$defs"].values()]
    assert all(
        mapping["additionalProperties"] is False for mapping in mappings if mapping["type"] == "object"
    )


def test_names_are_constrained_as_the_loader_does():
    for mapping in (schema()["properties"]["personas"], *_artefacts().values()):
        assert list(mapping["patternProperties"]) == ["^[A-Za-z0-9_-]+$"]
        assert mapping["additionalProperties"] is False


def _artefacts():
    properties = schema()["$defs"]["Release"]["properties"]
    return {name: properties[name] for name in ("adapters", "vectors")}


def test_defaults_are_spelled_as_an_author_would():
    assert schema()["properties"]["regimes"]["default"] == ["prompt", "adapter", "steering"]


def test_an_editor_sees_shorthands_and_names_of_properties():
    described = schema()
    assert described["required"] == ["coherence"]
    assert described["properties"]["coherence"]["const"] == 1
    assert {"type": "string"} in described["properties"]["probes"]["anyOf"]
    tags = described["properties"]["assertions"]["items"]["discriminator"]["mapping"]
    assert set(tags) == {kind.word() for kind in BUILT_IN}
    assert all(entry.get("description") for entry in described["properties"].values())
