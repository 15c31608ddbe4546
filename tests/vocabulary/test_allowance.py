import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import CoherenceError
from coherence.vocabulary.allowance import UNLIMITED, Allowance


@pytest.mark.parametrize(
    ("written", "seconds", "calls"),
    [
        ("90s", 90, None),
        ("2m", 120, None),
        ("1.5 h", 5400, None),
        ("5000 calls", None, 5000),
        ("1 call", None, 1),
        ("2m, 5000 calls", 120, 5000),
        ("5000 calls,2m", 120, 5000),
    ],
)
def test_it_is_read_as_people_write_it(written: str, seconds: float | None, calls: int | None) -> None:
    found = Allowance.parse(written)
    assert (found.seconds, found.calls) == (seconds, calls)
    assert found.limited
    assert not UNLIMITED.limited


@given(amount=st.integers(1, 10**6), unit=st.sampled_from(["s", "m", "h", " calls"]))
def test_it_is_said_as_it_was_written(amount: int, unit: str) -> None:
    assert str(Allowance.parse(f" {amount}{unit} ")) == f"{amount}{unit}"


@pytest.mark.parametrize(
    "written", ["", "2", "2 minutes", "-1s", "0s", "0 calls", "1.5 calls", "2m, 3m", "2m,", f"{'9' * 400}h"]
)
def test_anything_else_is_refused_with_examples(written: str) -> None:
    with pytest.raises(CoherenceError, match=r"is no budget; expected .*, such as 90s, 2m, 5000 calls"):
        Allowance.parse(written)
