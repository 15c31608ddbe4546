"""How far two ways of reading the same token may be apart: by the type of the weights, and by their kind.

In units of the largest value of a vector (residuals or logits). Ways of running a base are held against it
when it is loaded, and a law whose tolerance is less than that may fail for rounding alone.
"""

from coherence.engine.model.quantization import Quantization

OF_DTYPE = {"float32": 1e-4, "bfloat16": 3e-2, "float16": 1e-2}
# Of kernels that multiply by weights of a few bits, whose sums depend on how many tokens there are: 3e-3 was
# seen. Of those that round what a layer is given to 8 bits, where an error of rounding is a whole step: 8e-2.
OF_WEIGHTS, OF_INPUTS = 1e-2, 1e-1


def rounding(dtype: str, kind: Quantization | None) -> float:
    """Return the largest deviation that is rounding, with weights of a kind and all else in a dtype."""
    of_kind = 0.0 if kind is None else OF_INPUTS if kind.inputs else OF_WEIGHTS
    return max(OF_DTYPE[dtype], of_kind)


def remark(tolerance: float, dtype: str, kind: Quantization | None) -> str | None:
    """Say that a law's tolerance is less than rounding, None where it is not."""
    bound = rounding(dtype, kind)
    if tolerance >= bound:
        return None
    computed = (
        f"weights quantized by {kind.method} and all else in {dtype}" if kind else f"weights in {dtype}"
    )
    return (
        f"with {computed}, laws hold to {bound:g}: at a tolerance of {tolerance:g} one may fail for "
        "rounding alone"
    )
