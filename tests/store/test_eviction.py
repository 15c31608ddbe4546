from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from coherence.store.eviction import StoredFile, evicted

files = st.lists(st.builds(StoredFile, st.just(Path("entry")), st.integers(0, 100), st.floats(0, 100)))


@given(files, st.integers(0, 1000), st.floats(0, 100))
def test_the_least_recently_used_go_and_no_more_than_needed(
    entries: list[StoredFile], limit: int, since: float
) -> None:
    gone = evicted(entries, limit, since)
    rest = list(entries)
    for entry in gone:
        rest.remove(entry)
    left = sum(entry.size for entry in rest)
    assert all(entry.used < since for entry in gone)
    assert all(one.used <= other.used for one in gone for other in rest)
    assert left <= limit or all(entry.used >= since for entry in rest)
    assert not gone or left + gone[-1].size > limit
