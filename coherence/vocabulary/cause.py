"""Why an assertion is likely red, where that can be told."""

from pydantic import Field

from coherence.vocabulary.frozen import Frozen, Text


class Cause(Frozen):
    """An artefact that does not go with its release, of which a claim is likely red."""

    artefact: Text = Field(description="Which it is, such as `adapter pirate`.")
    sentence: Text = Field(description="What is wrong with it, in plain words.")
    remedy: Text = Field(description="What to do about it.")
    follows: bool = Field(
        False,
        description="Whether it is not of the persona that is judged: the claim is red because it was held "
        "against that artefact.",
    )

    def __str__(self) -> str:
        return f"it follows from this: {self.sentence}" if self.follows else self.sentence
