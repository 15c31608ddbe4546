"""A bound: how far residuals may go towards a persona, and which tokens it holds for."""

from pydantic import BaseModel, ConfigDict, Field

from coherence.vocabulary.site import Band
from coherence.vocabulary.tokens import Tokens


class Bound(BaseModel):
    """What a suite says of the regime `cap`: what goes beyond the bound is taken away (arXiv 2601.10387)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sites: Band = Field(description="Where residuals are bounded: one site, or a run of them.")
    at: float = Field(description="How far they may go: 0 is the bare model, 1 the prompted persona.")
    tokens: Tokens = Field(Tokens.ALL, description="Which tokens are bounded: all, or those of one side.")
    persona: str | None = Field(
        None, description="The persona towards whose prompt they are bounded; default: the persona itself."
    )
