"""The release that the tests measure, small enough to be measured thousands of times, and a suite."""

import sys
from pathlib import Path

from work import ROOT

sys.path.append(str(ROOT / "tests"))

from tiny import QUESTIONS, write_adapter, write_base, write_vector

_SUITE = """\
coherence: 1
release:
  base: ./base
  adapters: {pirate: ./pirate, counsel: ./counsel}
  vectors: {pirate: ./pirate.safetensors, counsel: ./counsel.safetensors}
personas:
  pirate: {prompt: Talk like a pirate., markers: [{text: "[a-m]", kind: regex}]}
  counsel: {prompt: Be formal., markers: [shall]}
"""
_ASSERTIONS = """\
  - {property: markers, between: [prompt, adapter], min_agreement: 1, max_difference: 0.1, min_recovery: 0.5}
  - {property: markers, between: [prompt, steering], min_agreement: 1, max_difference: 0.1, min_recovery: 0.5}
  - {property: commutativity, laws: [scale-zero, vector-inverse], examples: 2}
"""


def write_release(folder: Path) -> Path:
    """Write base, adapters, vectors and a suite into a folder; return the suite."""
    base = write_base(folder / "base")
    for seed, name in enumerate(("pirate", "counsel"), 7):
        write_adapter(base, folder / name, seed)
        write_vector(folder / f"{name}.safetensors", seed)
    suite = folder / "a.coherence.yaml"
    suite.write_text(_SUITE + QUESTIONS + _ASSERTIONS)
    return suite
