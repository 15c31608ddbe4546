"""A user that answers: another model that says what the user of a conversation says next."""

from pydantic import Field

from coherence import limits
from coherence.vocabulary.other_model import OtherModel


class User(OtherModel):
    """Another model that plays the user, and how it speaks.

    Its turns follow on what the bare model says: each persona in every regime then hears the same turns, and
    what differs between conversations is what the model did.
    """

    prompt: str = Field(min_length=1, description="Who the user is and what they want, in a sentence or two.")
    seed: int = Field(0, ge=0, le=limits.SEED, description="Another user of the same kind.")
    temperature: float = Field(0.7, ge=0.0, le=5.0, description="How freely it speaks; 0: greedily.")
    max_new_tokens: int = Field(
        40, ge=1, le=512, description="Tokens of its longest turn, which is one line."
    )
    hears: int = Field(
        3, ge=1, description="How many of the last exchanges it is told; all of a long conversation is dear."
    )
