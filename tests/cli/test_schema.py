"""`coherence schema`."""

import json

from coherence.cli import main
from coherence.suite.schema import schema


def test_schema_is_that_of_suites(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
