"""From sums of residuals over tokens to their means, or a sentence on why there is none."""

from torch import Tensor

from coherence.errors import MeasurementError
from coherence.vocabulary import Site


def mean_of(sums: Tensor, label: str) -> Tensor | MeasurementError:
    """Turn sums and, in the last column, counts [depths, width + 1] into the mean [depths, width].

    A MeasurementError when it is not finite, or when all tokens of a depth were attention sinks.
    """
    counts = sums[:, -1:]
    emptied = (counts[:, 0] == 0).nonzero()
    if len(emptied):
        return MeasurementError(
            f"only attention sinks to read at {Site.at_depth(int(emptied[0]))} for {label}; "
            "expected a position with other tokens, such as response_mean"
        )
    mean = sums[:, :-1] / counts
    return finite(mean, label)


def finite(values: Tensor, label: str) -> Tensor | MeasurementError:
    """Return values [depths, any], or the first site where they are not finite."""
    wrong = (~values.isfinite()).any(dim=1).nonzero()
    if len(wrong):
        return MeasurementError(f"NaN or infinite activation at {Site.at_depth(int(wrong[0]))} for {label}")
    return values
