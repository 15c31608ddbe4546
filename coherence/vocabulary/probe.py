"""A probe: one user question, put to the model under every regime. The unit of inference."""

import re
import unicodedata
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from coherence import limits

_LONGEST_ID = 48


class Probe(BaseModel):
    """One question. Probes that share a `template` are resampled together (clustered intervals)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^[A-Za-z0-9_.-]+$",
        max_length=limits.NAME,
        description="Short ASCII name, unique within the suite.",
    )
    text: str = Field(min_length=1, description="What the user says.")
    template: str | None = Field(None, description="Name of the template it was filled from, if any.")

    @property
    def cluster(self) -> str:
        """The group that is resampled as one: the template, or the probe itself."""
        return self.template or self.id


def spelled_out(written: object) -> object:
    """Give a bare question an id made of its words."""
    return {"id": slug(written), "text": written} if isinstance(written, str) else written


def slug(text: str) -> str:
    """Make a short ASCII name of the words of a text."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text)[:_LONGEST_ID].strip("-")
    return words or f"probe-{sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}"


def wording(text: str) -> str:
    """Leave out what makes no other question: case, spaces, and the punctuation of sentences."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join(re.sub(r"""[.,;:!?'"()\[\]\u00bf\u00a1\u2018-\u201f\u00ab\u00bb]""", " ", plain).split())
    return words or text


WrittenProbe = Annotated[Probe, BeforeValidator(spelled_out, json_schema_input_type=Probe | str)]
"""A probe as a suite writes it: a mapping, or its text alone."""
