"""How replies are drawn from the model."""

from hashlib import sha256
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from coherence import limits

# What leaves out tokens before one is drawn, and so does nothing where none is.
FILTERS = ("top_k", "top_p", "min_p")
# What a base may ship beside them, in the words of a generation_config.json.
SHIPPED = ("repetition_penalty", "temperature", *FILTERS)
# What decoding had not when the first replies were stored.
_LATER = ("repetition_penalty", *FILTERS, "as_", "samples")


class Decoding(BaseModel):
    """Greedy unless a temperature is given; a sampled reply depends on the seed and its own row alone.

    What is done to logits is what `generate` of transformers does, in its order: the repetition penalty, the
    temperature, then `top_k`, `top_p` and `min_p`, each of what the one before has left. With `as: shipped`
    all five are those of the base's generation_config.json.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(48, ge=1, le=32768)
    temperature: float = Field(0.0, ge=0.0, le=5.0)
    seed: int = Field(0, ge=0, le=limits.SEED, description="Used when the temperature is above 0.")
    top_k: int = Field(
        0, ge=0, description="How many of the likeliest tokens one is drawn from; 0: from all of them."
    )
    top_p: float = Field(
        1.0, gt=0.0, le=1.0, description="Only the likeliest tokens that have this probability together."
    )
    min_p: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Only tokens that have this share of the likeliest one's probability.",
    )
    repetition_penalty: float = Field(
        1.0,
        gt=0.0,
        le=10.0,
        description="What logits of tokens that prompt or reply have already are divided by, or multiplied "
        "where they are below 0.",
    )
    as_: Literal["shipped"] | None = Field(
        None, alias="as", description="Decode as the base's generation_config.json says."
    )
    samples: int = Field(
        1,
        ge=1,
        le=limits.SAMPLES,
        description="How many replies are drawn to each probe; rates are means over them.",
    )

    @model_validator(mode="after")
    def _acts(self) -> Self:
        stated = [name for name in SHIPPED if name in self.model_fields_set]
        if self.as_ and stated:
            raise ValueError(
                f"`as: shipped` takes {stated[0]} from the base's generation_config.json; leave it out"
            )
        idle = [name for name in FILTERS if getattr(self, name) != type(self).model_fields[name].default]
        if idle and not self.temperature:
            raise ValueError(f"{idle[0]} does nothing to greedy replies; expected a temperature above 0")
        if self.samples > 1 and not self.temperature and not self.as_:
            raise ValueError(
                f"{self.samples} greedy replies to a probe are one and the same; expected a temperature "
                "above 0, or samples: 1"
            )
        return self

    @property
    def draws(self) -> tuple["Decoding", ...]:
        """How each of the samples is decoded, by itself: the first as if it were the only one.

        The seeds of the others are made of this one's, so that no other small seed draws the same again.
        """
        seeds = [self.seed, *(_seed_of(self.seed, sample) for sample in range(1, self.samples))]
        return tuple(self.model_copy(update={"samples": 1, "seed": seed}) for seed in seeds)

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and does nothing: keys of stored replies are without it."""
        written: dict[str, Any] = write(self)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in written.items()
            if name not in _LATER or value != fields[name].default
        }


def _seed_of(seed: int, sample: int) -> int:
    return int.from_bytes(sha256(f"{seed}, sample {sample}".encode()).digest()[:8]) & limits.SEED
