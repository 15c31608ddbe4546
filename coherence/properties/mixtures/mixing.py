"""Ways of mixing two poles: conditions by the weight of the positive one, whose residuals are averaged."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field

from coherence.plan import Condition, Scene
from coherence.properties.eligibility import Couple, require_adapter
from coherence.vocabulary import Prompt, Regime
from coherence.vocabulary.persona import PLACE, Example

PROMPT_WEIGHTS = (0.0, 0.5, 1.0)  # two instructions are either both there or one of them

Mixtures = dict[float, tuple[Condition, ...]]
"""By rising weight; several conditions are averaged."""


class Shown(BaseModel):
    """A question that a prompt shows with the reply of one pole or of the other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field(min_length=1, description="What the user says.")
    replies: tuple[str, str] = Field(description="The reply of each pole, that of the positive one first.")


def by_regime(scene: Scene, poles: Couple, regime: Regime, weights: Iterable[float]) -> Mixtures:
    """Multiply doses and adapter scales by the weights; give two instructions in both orders."""
    prompted = Regime.PROMPT.layers <= regime.layers
    orders = (poles, poles[::-1]) if prompted else (poles,)
    return {
        weight: tuple(dict.fromkeys(scene.mixture(_shares(poles, order, weight), regime) for order in orders))
        for weight in (PROMPT_WEIGHTS if prompted else weights)
    }


def by_training(scene: Scene, poles: Couple, trained: Mapping[float, str]) -> Mixtures:
    """Put adapters trained on mixed data between those of the poles."""
    for adapter in trained.values():
        require_adapter(scene, adapter)
    positive, negative = ((scene.condition(pole, Regime.ADAPTER),) for pole in poles)
    between = {
        weight: (replace(scene.bare, adapters=((trained[weight], 1.0),)),) for weight in sorted(trained)
    }
    return {0.0: negative, **between, 1.0: positive}


def by_examples(scene: Scene, examples: tuple[Shown, ...], weights: Iterable[float]) -> Mixtures:
    """Show all the examples, a share of them with the positive pole's reply, and no instruction.

    Every example has that reply in its turn, so that in the mean none of them and no place in the prompt
    belongs to a pole.
    """
    return {
        weight: tuple(
            replace(scene.bare, prompts=(Prompt(text=PLACE, role="user", examples=shown),))
            for shown in dict.fromkeys(_turned(examples, round(weight * len(examples))))
        )
        for weight in weights
    }


def require_whole(examples: tuple[Shown, ...], weights: Iterable[float]) -> None:
    """Refuse weights that are no share of so many examples."""
    for weight in weights:
        if abs(weight * len(examples) - round(weight * len(examples))) > 1e-9:
            raise ValueError(
                f"the weight {weight:g} of {len(examples)} examples is {weight * len(examples):g} of them; "
                "expected a whole number at every weight"
            )


def _turned(examples: tuple[Shown, ...], positive: int) -> Iterable[tuple[Example, ...]]:
    """Spread the positive replies evenly, and begin at each of the examples in turn."""
    count = len(examples)
    marks = [after > before for before, after in pairwise(n * positive // count for n in range(count + 1))]
    for first in range(count):
        turned = marks[first:] + marks[:first]
        yield tuple(
            Example(user=shown.user, reply=shown.replies[0 if mark else 1])
            for shown, mark in zip(examples, turned, strict=True)
        )


def _shares(poles: Couple, order: tuple[str, ...], weight: float) -> dict[str, float]:
    share = dict(zip(poles, (weight, 1 - weight), strict=True))
    return {pole: share[pole] for pole in order if share[pole] > 0}
