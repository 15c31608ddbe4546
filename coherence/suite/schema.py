"""The JSON schema of suite files, for editors.

An editor completes and checks a suite that starts with the line
`# yaml-language-server: $schema=<path or URL of schema.json>`. The committed file is what
`python -m coherence.suite.schema` prints.
"""

import json
from typing import Any

from coherence.suite.file import SuiteFile


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that the pydantic models describe."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SuiteFile.model_json_schema()}


def text() -> str:
    """Return the content of `schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
