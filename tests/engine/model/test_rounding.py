import pytest

from coherence.engine.model.quantization import Quantization
from coherence.engine.model.rounding import remark

EIGHT = Quantization("bitsandbytes", inputs=True)


@pytest.mark.parametrize(
    ("tolerance", "dtype", "kind", "said"),
    [
        (1e-4, "float32", None, None),
        (
            1e-5,
            "float32",
            None,
            "with weights in float32, laws hold to 0.0001: at a tolerance of 1e-05 one may fail for "
            "rounding alone",
        ),
        (1e-4, "bfloat16", None, "with weights in bfloat16, laws hold to 0.03: at a tolerance of 0.0001"),
        (3e-2, "bfloat16", None, None),
        (
            3e-2,
            "bfloat16",
            EIGHT,
            "with weights quantized by bitsandbytes and all else in bfloat16, laws hold to",
        ),
        (1e-1, "float16", EIGHT, None),
    ],
)
def test_a_tolerance_that_is_less_than_rounding_is_named(
    tolerance: float, dtype: str, kind: Quantization | None, said: str | None
) -> None:
    found = remark(tolerance, dtype, kind)
    assert found is None if said is None else found and found.startswith(said)
