import pytest
import torch
from torch import Tensor

from coherence.engine.model.means import finite, mean_of
from coherence.errors import MeasurementError


def sums(*depths: list[float]) -> Tensor:
    """Sums and counts, a depth each."""
    return torch.tensor(depths)


def test_a_mean_is_the_sum_over_the_count() -> None:
    mean = mean_of(sums([2, 4, 2], [3, 9, 3]), "probe")
    assert isinstance(mean, Tensor)
    assert mean.tolist() == [[1, 2], [1, 3]]


def test_a_depth_with_sinks_alone_is_an_error_that_names_the_site() -> None:
    problem = mean_of(sums([2, 4, 2], [0, 0, 0], [0, 0, 0]), "probe 'one'")
    assert isinstance(problem, MeasurementError)
    assert str(problem) == (
        "only attention sinks to read at resid_post.0 for probe 'one'; "
        "expected a position with other tokens, such as response_mean"
    )


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize(("depth", "site"), [(0, "resid_pre.0"), (2, "resid_post.1")])
def test_what_is_not_finite_names_the_first_site(odd: float, depth: int, site: str) -> None:
    values = torch.ones(4, 3)
    values[depth:, 1] = odd
    for found in (finite(values, "probe 'one'"), mean_of(values, "probe 'one'")):
        assert str(found) == f"NaN or infinite activation at {site} for probe 'one'"


def test_what_is_finite_is_returned_as_it_is() -> None:
    values = torch.ones(4, 3)
    assert finite(values, "probe") is values
