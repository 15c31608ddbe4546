"""How long arithmetic takes on this machine."""

import time

import torch

from coherence.engine.model.loading import placement

_SIDE = 1024
_REPEATS = 5

# What a run reaches of the speed of matrix products: see benchmarks/README.md, roofline.
_SHARE = 0.4


def seconds_for(flops: float) -> float:
    """Estimate how long a run takes that needs so many floating-point operations, loading aside."""
    return flops / (_SHARE * _peak())


def _peak() -> float:
    """Multiply square fp32 matrices; the best of a few, in operations per second."""
    left, right = torch.randn(2, _SIDE, _SIDE, device=placement(0))
    return max(_rate(left, right) for _ in range(_REPEATS))


def _rate(left: torch.Tensor, right: torch.Tensor) -> float:
    started = time.perf_counter()
    (left @ right).sum().item()  # waits for an accelerator
    return 2 * _SIDE**3 / (time.perf_counter() - started)
