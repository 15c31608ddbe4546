"""What a chat template is told beside the conversation, and what becomes of a system turn."""

import datetime
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator

System = Literal["auto", "fold", "none"]


def _day(written: object) -> object:
    # pydantic would take numbers for seconds since 1970.
    with suppress(ValueError):
        day = datetime.date.fromisoformat(written) if isinstance(written, str) else written
        if type(day) is datetime.date:
            return day
    raise ValueError(f"expected a date such as 2026-01-31, found {str(written)[:60]!r}")


Day = Annotated[datetime.date, BeforeValidator(_day)]

# The date that templates of Llama have where they know no other.
DATE = datetime.date(2024, 7, 26)


@dataclass(frozen=True)
class Templating:
    """With `fold`, a system turn stands in the first turn of the user whatever the template does with one.

    `date` is the day that a template is told, if a suite states one.
    """

    fold: bool = False
    date: datetime.date | None = None

    @property
    def day(self) -> datetime.date:
        """The day that a clock in the template shows: it is always the same, or measurements would age."""
        return self.date or DATE


AS_IT_IS = Templating()
