"""An artefact that was judged, with a digest of every file of it: what a deployment is held against."""

from pydantic import Field

from coherence.vocabulary.frozen import Frozen, Text


class ArtefactFiles(Frozen):
    """A base, adapter or vector as a run found it."""

    name: str = Field(description="`base`, or kind and name, such as `adapter pirate`.")
    named: str = Field(description="What the release calls it, with the commit of a hub's.")
    digest: str = Field(
        description="Of all its files together, or of what an extracted vector is made of; of a vector's "
        "file with what it is read by and how it is deployed."
    )
    files: dict[Text, str] = Field(
        default_factory=dict,
        description="Paths in its folder to the sha256 of what each file held, in hex: weights, "
        "configurations, tokenizer and templates. An extracted vector has none.",
    )

    @property
    def said(self) -> str:
        """What it is called, and the start of its digest: so assertions name it."""
        return f"{self.named} {self.digest[:12]}"
