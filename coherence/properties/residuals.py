"""Residuals at one site."""

from collections.abc import Iterable

import numpy as np

from coherence.plan import Reading, Record
from coherence.properties.reading import Residuals, within_reach
from coherence.vocabulary import Site


def at_site(record: Record, readings: Iterable[Reading], site: Site) -> Residuals:
    """Residuals of readings, [readings, width]; a MeasurementError when the model has no such block."""
    stacks = map(record.residuals, readings)
    return np.stack([by_depth[within_reach(site, len(by_depth)).depth] for by_depth in stacks])
