import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import StoreError
from coherence.store.size import parse_size, readable, store_limit


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("1.5GiB", 3 * 2**29),
        (".5KB", 500),
        ("2000", 2000),
        ("0", 0),
        (" 3MB ", 3 * 10**6),
    ],
)
def test_sizes_as_people_write_them(written: str, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    "written", ["", "GB", "-1GB", "2,5GB", "2GB!", "1.2.3GB", "2XB", "1e3", "nan", "lots"]
)
def test_what_is_no_size_is_a_sentence(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"found the size '.*', expected one such as 2GB"):
        parse_size(written)
    monkeypatch.setenv("COHERENCE_STORE_SIZE", written or " ")
    with pytest.raises(StoreError, match=r"^COHERENCE_STORE_SIZE: found the size"):
        store_limit()


def test_the_limit_is_ten_gigabytes_or_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COHERENCE_STORE_SIZE", raising=False)
    assert store_limit() == 10 * 10**9
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "")
    assert store_limit() == 10 * 10**9
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "2GB")
    assert store_limit() == 2 * 10**9


@given(size=st.integers(0, 10**18))
def test_what_is_shown_can_be_written(size: int) -> None:
    assert parse_size(readable(size)) == pytest.approx(size, rel=0.051)
