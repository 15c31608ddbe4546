"""A second store that is only read."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from coherence.errors import StoreError
from coherence.plan import Answer
from coherence.store import Lender, Store
from coherence.store.store_layout import LAYOUT

KEY = {"kind": "Reading", "probe": "Where is my order?"}
REPLY = Answer("It is on its way.", (7, 0, 3))
VALUE = np.arange(6, dtype=np.float32)


@pytest.fixture
def theirs(tmp_path: Path) -> Store:
    store = Store(tmp_path / "theirs")
    store.put(KEY, VALUE)
    return store


def state(root: Path) -> dict[Path, tuple[bytes, int]]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_what_the_own_store_lacks_is_taken_kept_and_never_written_back(theirs: Store, tmp_path: Path) -> None:
    before = state(theirs.root)
    own = Store(tmp_path / "own", Lender(theirs.root))
    assert np.array_equal(own.get(KEY), VALUE)
    assert own.borrowed == 1
    own.put({"kind": "Reply"}, REPLY)
    assert own.get({"kind": "absent"}) is None
    own.prune(0)
    assert state(theirs.root) == before
    assert np.array_equal(Store(tmp_path / "own").get(KEY), VALUE)


def test_the_own_value_comes_first(theirs: Store, tmp_path: Path) -> None:
    own = Store(tmp_path / "own", Lender(theirs.root))
    own.put(KEY, REPLY)
    assert own.get(KEY) == REPLY
    assert own.borrowed == 0


def test_a_damaged_own_entry_is_mended_from_the_other(theirs: Store, tmp_path: Path) -> None:
    own = Store(tmp_path / "own", Lender(theirs.root))
    own.get(KEY)
    (entry,) = own.entries()
    entry.path.write_bytes(b"x")
    assert np.array_equal(own.get(KEY), VALUE)
    assert list(own.damaged()) == []


def test_a_damaged_entry_there_is_remarked_on_once_and_counts_as_absent(
    theirs: Store, tmp_path: Path
) -> None:
    (entry,) = theirs.entries()
    whole = bytearray(entry.path.read_bytes())
    whole[-1] ^= 1
    entry.path.write_bytes(whole)
    own = Store(tmp_path / "own", Lender(theirs.root))
    assert own.get(KEY) is None
    assert not own.root.exists()
    assert own.remarks() == [
        f"not taken from the store {theirs.root}: {entry.path.name}: its checksum does not hold; "
        "measured anew"
    ]
    assert own.get(KEY) is None
    assert own.remarks() == []


def test_an_entry_in_the_place_of_another_is_not_taken(theirs: Store, tmp_path: Path) -> None:
    theirs.put({"kind": "Reply"}, REPLY)
    mine, other = sorted(theirs.entries(), key=lambda entry: entry.size, reverse=True)
    other.path.write_bytes(mine.path.read_bytes())
    own = Store(tmp_path / "own", Lender(theirs.root))
    found = own.get(KEY), own.get({"kind": "Reply"})
    assert sum(value is None for value in found) == 1
    assert "its name is not the sha256 of its key" in own.remarks()[0]


def test_an_own_store_that_cannot_be_written_serves_what_is_lent(theirs: Store, disk: Path) -> None:
    (disk / "own" / LAYOUT).mkdir(parents=True)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    own = Store(disk / "own", Lender(theirs.root))
    assert np.array_equal(own.get(KEY), VALUE)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, r"cannot be read as a store: No such file or directory"),
        (Path.touch, r"cannot be read as a store: Not a directory"),
        (Path.mkdir, r"there is no store in .*; expected a folder that a run measured into, with v1 in it"),
        (
            lambda path: (path / "v2").mkdir(parents=True),
            r"newer version: found layout v2, expected v1; .*--coherence-store-from PATH",
        ),
    ],
)
def test_a_path_that_is_no_store_is_a_sentence(tmp_path: Path, make, expected: str) -> None:
    make(tmp_path / "other")
    with pytest.raises(StoreError, match=expected):
        Lender(tmp_path / "other")
