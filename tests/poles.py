"""Two poles and what is asked of them, on made-up residuals."""

import worlds

from coherence.plan import Reading
from coherence.properties.mixtures.attractor import Attractor

PROBES = worlds.probes(24)
DEPTH, WIDTH = 3, 16


def scene(probes=PROBES, personas=None):
    poles = ("upbeat", "gloomy")
    return worlds.scene(personas or poles, (*poles, "mixed"), poles, probes)


def attractor(**fields):
    defaults = {
        "poles": ("upbeat", "gloomy"),
        "regimes": ("adapter",),
        "site": "resid_post.1",
        "max_area": 0.1,
    }
    return Attractor(property="attractor", **defaults | fields)


def readings_of(case):
    return [need for need in case.measurements() if isinstance(need, Reading)]
