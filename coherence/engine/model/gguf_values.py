"""Values of a tensor of a GGUF file, whatever type they are stored in."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coherence.engine.model.gguf_header import GgufTensor


def dequantized(path: Path, tensor: GgufTensor) -> NDArray[np.float32]:
    """Read a tensor in its shape as float32; a ValueError or NotImplementedError says why that cannot be."""
    from gguf import GGMLQuantizationType, dequantize

    stored = np.memmap(path, np.uint8, "r", tensor.start, tensor.in_bytes)
    # What is not finite is refused where values are checked.
    with np.errstate(all="ignore"):
        values: NDArray[np.float32] = dequantize(np.array(stored), GGMLQuantizationType(tensor.kind))
    return values
