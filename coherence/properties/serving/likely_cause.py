"""What is likely wrong where a persona is served, by all that was measured."""

from itertools import islice
from typing import NamedTuple

from coherence.properties.serving.at_doses import DOSES
from coherence.properties.serving.likely_dose import as_where_far_too_large, likely
from coherence.properties.serving.served_sample import ServedSample
from coherence.vocabulary.evidence import number

UNEXPLAINED = 0.05
"""Share of an effect's length that a dose between two that were measured may leave."""
_UNLIKE = 0.4  # of cosines and sizes: less is not the same effect, and more is one


_FAR = 2.0  # times the size of the effect here


class Bounds(NamedTuple):
    """What is right: effect slopes, scales, cosines of effects, and the bare model's distance in nats."""

    min_dose: float
    max_dose: float
    min_scale: float
    max_scale: float
    min_cosine: float
    max_noise: float
    max_elsewhere: float


def likely_cause(sample: ServedSample, bounds: Bounds) -> str | None:
    """Name that of prompts, and then that of weights, in a sentence; None where nothing is known to make it.

    Likelihoods are asked for by token ids, so that neither is what makes the other.
    """
    causes = [*islice(sample.otherwise.values(), 1)]
    if not sample.unexposed and (cause := _of_weights(sample, bounds)):
        causes.append(cause)
    return "; and ".join(causes) or None


def _of_weights(sample: ServedSample, bounds: Bounds) -> str | None:
    distance = sample.noise.value
    if distance > bounds.max_noise:
        return f"the base is another than here by {number(distance)} nats a token, as where it is quantized"
    if not sample.comparison.regime.layers:
        return None
    return _of_another_effect(sample, bounds) or _of_dose(sample, bounds)


def _of_another_effect(sample: ServedSample, bounds: Bounds) -> str | None:
    cosine = sample.effects.cosine.value
    least = max(cosine, bounds.min_cosine)
    if sample.nearest_elsewhere and sample.elsewhere.value > bounds.max_elsewhere:
        where, alike = sample.nearest_elsewhere
        # Another persona's vector is like its own at no block.
        if alike > least:
            return f"the vector acts {where}: the cosine of both effects is {number(alike)}"
    if sample.nearest and sample.nearest[1] > least:
        name, alike = sample.nearest
        return f"what is served is {name}: the cosine of both effects is {number(alike)}"
    if abs(cosine) < _UNLIKE < sample.size:
        else_ = f"what is served does something else, {sample.size:.0%} as strongly"
        # Far beyond its scale an adapter does something else, too.
        return else_ + (as_where_far_too_large(DOSES[-1], sample.numbers) if sample.size > _FAR else "")
    return None


def _of_dose(sample: ServedSample, bounds: Bounds) -> str | None:
    if sample.curve is None:
        return None
    dose, slope = sample.curve.dose.value, sample.effects.slope.value
    if bounds.min_dose <= slope <= bounds.max_dose and bounds.min_scale <= dose <= bounds.max_scale:
        return None
    is_vector = bool(sample.comparison.elsewhere)
    if sample.unlike_any_dose > UNEXPLAINED and 0 < dose < DOSES[-1]:
        left_out = "" if is_vector else ", as where some of its modules are left out"
        return (
            f"it acts as about {dose:.2g} times its scale would, but for {sample.unlike_any_dose:.0%} of its "
            f"effect{left_out}"
        )
    kind = "a vector" if is_vector else "an adapter"
    return likely(dose, slope, DOSES[-1], sample.numbers, kind)


def own_settings(sample: ServedSample) -> str:
    """Name what changes the likeliest replies of a server: that it draws them, or a setting of its own."""
    again = len(sample.comparison.told_again)
    if sample.drawn:
        return (
            f"the server draws its replies at temperature 0, too: {sample.drawn} of {again} are others when "
            "they are asked for again"
        )
    return (
        "the server has settings of its own, such as a repetition penalty, that change "
        f"{int(sample.changed.sum())} of {len(sample.changed)} of its likeliest replies"
    )
