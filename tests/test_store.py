import json
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open

from coherence.errors import StoreError
from coherence.files import replace_file
from coherence.plan import LawOutcome
from coherence.store import Store, cache_root, store_root

KEY = {"measure": "reading", "probe": "Where is my order?", "sites": [1, 2]}

keys = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()))
arrays = hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
laws = st.builds(
    LawOutcome,
    deviation=st.floats(allow_nan=False),
    examples=st.integers(0),
    counterexample=st.none() | st.dictionaries(st.text(), st.integers() | st.text()),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("kept"))


def entry(store: Store) -> Path:
    (path,) = store.root.rglob("*.safetensors")
    return path


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def same(found: object, put: object) -> bool:
    if isinstance(put, np.ndarray):
        return isinstance(found, np.ndarray) and found.shape == put.shape and found.tobytes() == put.tobytes()
    return type(found) is type(put) and found == put


@given(key=keys, value=st.text(st.characters(exclude_categories=())) | arrays | laws)
def test_what_was_put_is_got(kept: Store, key: dict, value: object) -> None:
    kept.put(key, value)
    assert same(kept.get(key), value)


@given(key=keys, other=keys)
def test_keys_are_one_only_when_they_are_equal(kept: Store, key: dict, other: dict) -> None:
    kept.put(key, "one")
    kept.put(other, "other")
    assert kept.get(dict(reversed(key.items()))) == ("other" if same_json(key, other) else "one")


def same_json(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_an_array_of_any_layout_keeps_its_values(store: Store) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    for view in (values.T, values[::2], np.asfortranarray(values)):
        store.put(KEY, view)
        assert np.array_equal(store.get(KEY), view)


def test_an_absent_value_is_none(store: Store) -> None:
    assert store.get(KEY) is None


def test_an_entry_can_be_read_by_itself(store: Store) -> None:
    store.put(KEY, np.ones((2, 3), np.float32))
    with safe_open(entry(store), framework="np") as file:
        assert json.loads(file.metadata()["key"]) == KEY
        assert file.get_tensor("value").shape == (2, 3)


@pytest.mark.parametrize("value", ["a reply", np.ones((4, 5), np.float32), LawOutcome(0.5, 3, {"dose": 1})])
def test_no_damaged_entry_is_believed(store: Store, value: object) -> None:
    store.put(KEY, value)
    path = entry(store)
    whole = path.read_bytes()
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            found = store.get(KEY)
            # A flipped bit in the padding changes nothing; everything else must be noticed.
            assert found is None or same(found, value), at
    path.write_bytes(b"")
    assert store.get(KEY) is None
    store.put(KEY, value)
    assert same(store.get(KEY), value)


def test_an_entry_under_a_wrong_name_counts_as_absent(store: Store) -> None:
    store.put(KEY, "another release's reply")
    wrong = entry(store)
    store.put({"measure": "other"}, "reply")
    (right,) = set(store.root.rglob("*.safetensors")) - {wrong}
    wrong.replace(right)
    assert store.get({"measure": "other"}) is None


def test_readers_see_whole_values_under_parallel_writers(store: Store) -> None:
    def write(constant: int) -> None:
        for _ in range(20):
            store.put(KEY, np.full(50_000, constant, np.float32))
            found = store.get(KEY)
            assert isinstance(found, np.ndarray)
            assert found.min() == found.max()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert files(store.root) == [entry(store)]


WRITER = """
import sys, numpy as np
from pathlib import Path
from coherence.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for round in range(10**6):
    store.put({"probe": round % 7}, np.full(200_000, round, np.float32))
"""


def test_a_killed_writer_leaves_whole_values(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(store.root)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.2)
        writer.send_signal(signal.SIGKILL)
    found = [store.get({"probe": probe}) for probe in range(7)]
    whole = [value for value in found if isinstance(value, np.ndarray)]
    assert whole
    assert all(value.shape == (200_000,) and value.min() == value.max() for value in whole)
    assert all(value is not None for value in found) == (len(list(store.root.rglob("*.safetensors"))) == 7)


def test_a_full_disk_is_a_sentence_and_leaves_no_part(store: Store) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot be written: .*--coherence-store PATH") as caught:
            store.put(KEY, np.ones(100_000, np.float32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(store.root) in str(caught.value)
    assert files(store.root) == []


def test_a_file_in_place_of_the_store_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file")
    with pytest.raises(StoreError, match=r"file cannot be read: Not a directory.*--coherence-store"):
        store.get(KEY)
    with pytest.raises(StoreError, match=r"file cannot be written.*--coherence-store"):
        store.put(KEY, "reply")
    with pytest.raises(StoreError, match=r"file cannot be locked.*--coherence-store"), store.lock("measure"):
        pass


@pytest.fixture
def unprivileged():
    """Root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.usefixtures("unprivileged")
def test_a_folder_that_may_not_be_written_is_a_sentence() -> None:
    store = Store(Path("/coherence-store-nobody-may-make"))
    with pytest.raises(StoreError, match=r"nobody-may-make cannot be written: (Permission denied|Read-only)"):
        store.put(KEY, "reply")


HOLDER = """
import sys, time
from pathlib import Path
from coherence.store import Store
with Store(Path(sys.argv[1])).lock("measure"):
    print("held", flush=True)
    time.sleep(0.5)
    Path(sys.argv[1], "done").touch()
"""


def test_a_lock_waits_for_the_other_process(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert not (store.root / "done").exists()
        with store.lock("another"):
            assert not (store.root / "done").exists()
        with store.lock("measure"):
            assert (store.root / "done").exists()


def test_a_lock_is_released_after_an_error(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), store.lock("measure"):
            raise ZeroDivisionError


def test_a_warm_run_reads_quickly(store: Store) -> None:
    for probe in range(200):
        store.put({"probe": probe}, np.full((31, 576), probe, np.float32))
    started = time.perf_counter()
    assert all(store.get({"probe": probe}) is not None for probe in range(200))
    assert time.perf_counter() - started < 1


def test_an_interrupted_replacement_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    with pytest.raises(TypeError):
        replace_file(path, "text")
    assert files(tmp_path) == [path]
    assert path.read_bytes() == b"old"


def test_the_cache_moves_with_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path))
    assert store_root() == tmp_path / "store"
    monkeypatch.setenv("COHERENCE_CACHE", "")
    assert cache_root().name == "coherence"
    assert cache_root() != tmp_path


def test_the_store_knows_no_torch() -> None:
    imported = "import sys, coherence.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", imported], check=False).returncode == 0
