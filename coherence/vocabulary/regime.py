"""A regime: a way to put the persona into the model, or a stack of such ways."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

from coherence.errors import did_you_mean
from coherence.vocabulary.spelled import Spelled

Layer = Literal["prompt", "adapter", "steering", "cap", "thinking"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
_LAYER = "|".join(LAYERS)


@dataclass(frozen=True)
class Regime(Spelled):
    """`prompt`, `adapter`, `steering`, a stack such as `prompt+adapter`, or `bare` (no persona at all).

    `cap` puts no persona into the model: it bounds how far another layer may do so. Nor does `thinking`:
    under it the model reasons before it answers.
    """

    layers: frozenset[Layer]

    BARE: ClassVar["Regime"]
    PROMPT: ClassVar["Regime"]
    ADAPTER: ClassVar["Regime"]
    STEERING: ClassVar["Regime"]

    pattern: ClassVar[str] = rf"bare|({_LAYER})(\+({_LAYER}))*"
    example: ClassVar[str] = "prompt+adapter"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read `adapter` or `adapter+steering`; the order within a stack does not matter."""
        if isinstance(text, cls):
            return text
        if text == "bare":
            return cls(frozenset())
        words = str(text).split("+")
        for word in words:
            if word not in LAYERS:
                raise ValueError(f"{word!r} is not a regime{did_you_mean(word, [*LAYERS, 'bare'])}")
        if words == ["thinking"]:
            raise ValueError(
                "thinking puts no persona into the model; expected a stack, such as prompt+thinking"
            )
        return cls(frozenset(layer for layer in LAYERS if layer in words))

    def __str__(self) -> str:
        return "+".join(layer for layer in LAYERS if layer in self.layers) or "bare"


Regime.BARE, Regime.PROMPT = Regime.parse("bare"), Regime.parse("prompt")
Regime.ADAPTER, Regime.STEERING = Regime.parse("adapter"), Regime.parse("steering")

REGIMES = (Regime.PROMPT, Regime.ADAPTER, Regime.STEERING)
"""Those that are no stacks."""
