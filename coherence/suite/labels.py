"""Labelled replies of an assertion as a suite writes them: in place, or in a JSONL file with one a line."""

from coherence.suite.document import Document
from coherence.suite.probes import read_lines
from coherence.suite.quota import Quota

_SUCH_AS = '{"persona": "pirate", "question": "...", "reply": "...", "met": true}'


def expand_labels(document: Document, quota: Quota) -> None:
    """Put the lines of JSONL files in the place of their paths, each with its own file and line.

    A SuiteError says what is wrong with one.
    """
    assertions = document.data.get("assertions")
    for index, assertion in enumerate(assertions if isinstance(assertions, list) else ()):
        name = assertion.get("labels") if isinstance(assertion, dict) else None
        if isinstance(name, str):
            key = ("assertions", index, "labels")
            lines = read_lines(name, document, document.place(key), quota, _SUCH_AS)
            assertion["labels"] = [value for value, _ in lines]
            document.places.update({(*key, row): place for row, (_, place) in enumerate(lines)})
