"""What each cluster of probes adds to an estimate: enough to pair it with the same estimate of a release."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

Rounded = Annotated[float, AfterValidator(lambda value: float(f"{value:.3g}"))]


class Influence(BaseModel):
    """Influences of an estimate, scaled so that the sum of their squares is its variance."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    clusters: dict[str, Rounded]
    """By the name of the cluster, in the statistic's units."""
    added: Rounded = 0.0
    """Of the probes that stand for what a small sample has not shown, as one: they pair with nothing."""
    freedom: float
    """Degrees of freedom of that variance."""
