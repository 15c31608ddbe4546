"""Properties as a program states them: objects, or the keys that a suite would write."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coherence.errors import Place
from coherence.properties import Property
from coherence.suite.document import Document
from coherence.suite.file import suite_file
from coherence.suite.problem import refuse
from coherence.suite.sentence import problems_of


def properties_of(stated: Sequence[Property | Mapping[str, Any]], place: Place) -> list[Property]:
    """Read keys as a suite's assertions are read; a SuiteError names the place and what was meant."""
    written = [dict(one) for one in stated if not isinstance(one, Property)]
    document = Document(Path(place.file), {"coherence": 1, "assertions": written}, {(): place})
    try:
        read = iter(suite_file().model_validate(document.data).assertions)
    except ValidationError as error:
        refuse(problems_of(error, document))
        raise
    return [one if isinstance(one, Property) else next(read) for one in stated]
