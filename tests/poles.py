"""Two poles and what is asked of them, on made-up residuals."""

from coherence.plan import Reading, Scene
from coherence.properties.mixtures.attractor import Attractor
from coherence.vocabulary import Decoding, Persona, Probe, Release, VectorSource

PROBES = tuple(Probe(id=f"q{i}", text=f"Question {i}?") for i in range(24))
DEPTH, WIDTH = 3, 16


def scene(probes=PROBES, personas=None):
    names = ("upbeat", "gloomy")
    return Scene(
        release=Release(
            adapters={name: f"adapters/{name}" for name in (*names, "mixed")},
            vectors={name: VectorSource(path=f"vectors/{name}.safetensors") for name in names},
        ),
        personas=personas or {name: Persona(prompt=f"Be {name}.") for name in names},
        probes=probes,
        regimes=(),
        neutral="Be helpful.",
        decoding=Decoding(),
        seed=0,
    )


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
