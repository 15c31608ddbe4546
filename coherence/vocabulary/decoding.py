"""How replies are drawn from the model."""

from pydantic import BaseModel, ConfigDict, Field

from coherence import limits


class Decoding(BaseModel):
    """Greedy unless a temperature is given; a sampled reply depends on the seed and its own row alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(48, ge=1, le=32768)
    temperature: float = Field(0.0, ge=0.0, le=5.0)
    seed: int = Field(0, ge=0, le=limits.SEED, description="Used when the temperature is above 0.")
