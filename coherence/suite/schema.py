"""The JSON schema of suite files, for editors.

An editor completes and checks a suite that starts with the line
`# yaml-language-server: $schema=<path or URL of schema.json>`. The committed file is what
`python -m coherence.suite.schema` prints.
"""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from coherence.suite.file import SuiteFile
from coherence.vocabulary.spelled import Spelled


class _Generator(GenerateJsonSchema):
    """Writes defaults as an author spells them, and refuses names that the loader refuses."""

    def encode_default(self, dft: object) -> object:
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        return str(dft) if isinstance(dft, Spelled) else super().encode_default(dft)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        described = super().dict_schema(schema)
        return described | {"additionalProperties": False} if "patternProperties" in described else described


def schema(file: type[SuiteFile] = SuiteFile) -> dict[str, Any]:
    """Return the schema (draft 2020-12) that the pydantic models describe."""
    described = file.model_json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **described}


def text() -> str:
    """Return the content of `schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
