"""What is likely wrong where a persona is served, by all that was measured."""

from coherence.properties.serving.likely_dose import likely
from coherence.properties.serving.served_comparison import DOSES
from coherence.properties.serving.served_sample import ServedSample
from coherence.vocabulary.evidence import number

_UNLIKE = 0.4  # of cosines and sizes: less is not the same effect, and more is one


def likely_cause(sample: ServedSample, min_dose: float, max_dose: float, min_cosine: float) -> str | None:
    """Name it in one sentence, by what is surest first; None where nothing is known to make it.

    `min_dose` and `max_dose` bound effect slopes that are right, `min_cosine` cosines of effects.
    """
    if sample.otherwise:
        return next(iter(sample.otherwise.values()))
    if sample.unexposed:
        return None
    slope, cosine = sample.effects.slope.value, sample.effects.cosine.value
    if sample.nearest and sample.nearest[1] > max(cosine, min_cosine):
        name, alike = sample.nearest
        return f"what is served is {name}: the cosine of both effects is {number(alike)}"
    if abs(cosine) < _UNLIKE < sample.size:
        return f"what is served does something else, {sample.size:.0%} as strongly"
    if sample.dose is None or min_dose <= slope <= max_dose:
        return None
    return likely(sample.dose, slope, DOSES[-1], sample.numbers)
