"""How what is written into a results document is made: it does not change, and goes into JSON and back."""

from math import isnan, nan
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer


class Frozen(BaseModel):
    """Base of what a results document consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


# JSON cannot carry a lone surrogate, which a model's text may hold: it is written out as `\ud800`.
Text = Annotated[str, AfterValidator(lambda text: text.encode("utf-8", "backslashreplace").decode())]

# A statistic without a value is NaN in arithmetic and null in JSON, which has no NaN.
Statistic = Annotated[
    float,
    BeforeValidator(lambda value: nan if value is None else value),
    PlainSerializer(lambda value: None if isnan(value) else value, float | None, when_used="json"),
]
