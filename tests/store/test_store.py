import json
import os
import platform
import resource
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
from safetensors.numpy import save

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import key_of
from coherence.engine.engine import Engine
from coherence.errors import StoreError
from coherence.files import replace_file
from coherence.plan import Answer, Condition, LawOutcome, NextToken, Plan, Seen
from coherence.store import Pruned, Store
from coherence.vocabulary import Probe, Release

KEY = {"measure": "reading", "probe": "Where is my order?", "sites": [1, 2]}
REPLY = Answer("It is on its way.", (7, 0, 3))
HOUR = 3600

keys = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()))
arrays = hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
answers = st.builds(
    Answer, st.text(st.characters(exclude_categories=())), st.lists(st.integers(0)).map(tuple)
)
seen = st.builds(
    Seen,
    example=st.dictionaries(st.text(), st.integers() | st.text()),
    deviation=st.floats(allow_nan=False),
)
laws = st.builds(LawOutcome, largest=seen, examples=st.integers(0), counterexample=st.none() | seen)


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


@given(key=keys, value=answers | arrays | laws)
def test_what_was_put_is_got(kept: Store, key: dict, value: object) -> None:
    kept.put(key, value)
    assert same(kept.get(key), value)


@given(key=keys, other=keys)
def test_keys_are_one_only_when_they_are_equal(kept: Store, key: dict, other: dict) -> None:
    kept.put(key, REPLY)
    kept.put(other, Answer("other", ()))
    assert (kept.get(dict(reversed(key.items()))) == REPLY) == (not same_json(key, other))


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


@pytest.mark.parametrize(
    "value",
    [REPLY, np.ones((4, 5), np.float32), LawOutcome(Seen({"dose": 1}, 0.5), 3, Seen({"dose": 0}, 0.2))],
)
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
    store.put(KEY, Answer("another release's reply", ()))
    wrong = entry(store)
    store.put({"measure": "other"}, REPLY)
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


def test_a_file_that_may_not_grow_is_a_sentence_and_leaves_no_part(store: Store) -> None:
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
        store.put(KEY, REPLY)
    with (
        pytest.raises(StoreError, match=r"file cannot be locked.*--coherence-store"),
        store.lock("measure", print),
    ):
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
        store.put(KEY, REPLY)


HOLDER = """
import sys, time
from pathlib import Path
from coherence.store import Store
with Store(Path(sys.argv[1])).lock("measure", print):
    print("held", flush=True)
    time.sleep(0.5)
    Path(sys.argv[1], "done").touch()
"""


def test_a_lock_waits_for_the_other_process(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert not (store.root / "done").exists()
        with store.lock("another", print):
            assert not (store.root / "done").exists()
        with store.lock("measure", print):
            assert (store.root / "done").exists()


def test_who_waits_is_told_for_whom(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coherence.store.watched_lock.PATIENCE_S", 0.05)
    monkeypatch.setattr("coherence.store.watched_lock.AGAIN_S", 0.1)
    said: list[str] = []
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(store.root)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with store.lock("measure", said.append):
            pass
    assert len(said) >= 2
    assert said[0] == (
        f"waiting for process {holder.pid} on {platform.node()}, which has been measure into this store for "
        "less than a minute"
    )
    with store.lock("measure", pytest.fail):
        pass


def test_a_lock_is_released_after_an_error(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), store.lock("measure", print):
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


def test_the_store_knows_no_torch() -> None:
    imported = "import sys, coherence.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", imported], check=False).returncode == 0


# Corrupted entries.


@pytest.mark.parametrize(
    ("old", "new"), [(b'"F32"', b'"I32"'), (b'"shape":[4,5]', b'"shape":[5,4]')], ids=["type", "shape"]
)
def test_a_header_that_gives_the_bytes_another_meaning_is_not_believed(
    store: Store, old: bytes, new: bytes
) -> None:
    store.put(KEY, np.ones((4, 5), np.float32))
    path = entry(store)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    assert store.get(KEY) is None
    assert list(store.damaged()) == [(path, "its header does not fit its checksum")]


FOREIGN = [
    save({"value": np.ones(3, np.float32)}),
    save({"value": np.ones(3, np.float16)}, {"key": "{}", "kind": "array", "said": "[3]"}),
    save({}, {"key": "{}", "kind": "array", "said": "[3]"}),
    b'\x4e\0\0\0\0\0\0\0{"__metadata__":{"key":"{}","kind":"array"},"value":{"dtype":"BF16","shape":[0],'
    b'"data_offsets":[0,0]}}',
    b"not a tensor file",
    b"",
]


@pytest.mark.parametrize("content", FOREIGN, ids=["bare", "half", "no tensor", "bfloat", "text", "empty"])
def test_a_foreign_file_counts_as_absent_and_is_replaced(store: Store, content: bytes) -> None:
    store.put(KEY, REPLY)
    path = entry(store)
    path.write_bytes(content)
    assert store.get(KEY) is None
    assert [damaged for damaged, _ in store.damaged()] == [path]
    store.put(KEY, REPLY)
    assert store.get(KEY) == REPLY
    assert list(store.damaged()) == []


def test_every_kind_of_damage_has_a_reason(store: Store) -> None:
    for probe in range(5):
        store.put({"probe": probe}, np.full(100, probe, np.float32))
    whole, cut, flipped, foreign, moved = (store.root / "v1" / name for name in names(store))
    cut.write_bytes(cut.read_bytes()[:-1])
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"x")
    foreign.write_bytes(save({"weight": np.ones(3, np.float32)}))
    wrong = moved.with_name("moved.safetensors")
    moved.rename(wrong)
    reasons = dict(store.damaged())
    assert whole not in reasons
    assert reasons.keys() == {cut, flipped, foreign, wrong}
    assert reasons[cut].startswith("it is no whole safetensors file: ")
    assert reasons[flipped] == "its checksum does not hold"
    assert reasons[foreign] == "it was not written by a store: it has no key"
    assert reasons[wrong] == "its name is not the sha256 of its key"
    store.remove(reasons)
    assert list(store.damaged()) == []
    assert len(store.entries()) == 1


def names(store: Store) -> list[Path]:
    return sorted(path.relative_to(store.root / "v1") for path in store.root.rglob("*.safetensors"))


# Use, and what is evicted.


def aged(path: Path, hours: float) -> float:
    """Let a file be last used that long ago."""
    used = time.time() - hours * HOUR
    os.utime(path, (used, used))
    return path.stat().st_mtime


def path_of(store: Store, key: dict) -> Path:
    """The entry of a key that the store has not yet."""
    before = files(store.root)
    store.put(key, np.zeros(250, np.float32))
    (path,) = set(files(store.root)) - set(before)
    return path


def test_a_hit_marks_an_entry_used_at_most_once_an_hour(store: Store) -> None:
    path = path_of(store, KEY)
    half = aged(path, 0.5)
    store.get(KEY)
    assert path.stat().st_mtime == half
    aged(path, 2)
    store.get(KEY)
    assert abs(path.stat().st_mtime - time.time()) < 60


def test_a_damaged_entry_is_not_marked_used(store: Store) -> None:
    path = path_of(store, KEY)
    path.write_bytes(path.read_bytes()[:-1])
    old = aged(path, 2)
    assert store.get(KEY) is None
    assert path.stat().st_mtime == old


def test_prune_evicts_the_least_recently_used_down_to_the_limit(store: Store) -> None:
    paths = [path_of(store, {"probe": probe}) for probe in range(6)]
    size = paths[0].stat().st_size
    for hours, path in zip((3, 9, 5, 7, 0.5, 4), paths, strict=True):
        aged(path, hours)
    store.get({"probe": 1})  # the oldest is used again
    assert Store(store.root).prune(4 * size) == Pruned(2, 2 * size, 4 * size)
    assert [path.exists() for path in paths] == [True, True, False, False, True, True]
    assert Store(store.root).prune(4 * size).entries == 0
    assert Store(store.root).prune(0) == Pruned(2, 2 * size, 2 * size)
    assert [store.get({"probe": probe}) is None for probe in range(6)] == [
        True,
        False,
        True,
        True,
        False,
        True,
    ]


def test_prune_spares_what_a_long_run_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = path_of(store, KEY)
    aged(path, 0.9)
    run = Store(store.root)
    assert run.get(KEY) is not None
    later = time.time() + 5 * HOUR
    monkeypatch.setattr(time, "time", lambda: later)
    assert run.prune(0).entries == 0
    assert Store(store.root).prune(0).entries == 1


def test_prune_sweeps_up_after_killed_writers(store: Store) -> None:
    path = path_of(store, KEY)
    dead, alive = (path.with_name(f".{path.name}.{name}.partial") for name in ("dead", "alive"))
    for partial in (dead, alive):
        partial.write_bytes(b"half")
    aged(dead, 2)
    assert store.prune(10**9) == Pruned(0, 4, path.stat().st_size)
    assert alive.exists()
    assert not dead.exists()


def test_what_is_measured_inside_bounds_is_pruned_after(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = path_of(store, KEY)
    aged(old, 2)
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "1KB")
    with store.bounded():
        store.put({"probe": 1}, REPLY)
        assert old.exists()
    assert not old.exists()
    assert store.get({"probe": 1}) == REPLY
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "much")
    with pytest.raises(StoreError, match="COHERENCE_STORE_SIZE: found the size 'much'"), store.bounded():
        pytest.fail("a limit that cannot be read must be found before hours of measuring")


def test_a_folder_without_a_store_is_a_sentence(tmp_path: Path) -> None:
    for ask in (Store.entries, lambda store: store.prune(0), lambda store: list(store.damaged())):
        with pytest.raises(StoreError, match=f"there is no store in {tmp_path}; expected a folder"):
            ask(Store(tmp_path))


# A newer layout.


def test_a_newer_layout_is_refused_and_left_alone(store: Store) -> None:
    store.put(KEY, REPLY)
    (store.root / "v2").mkdir()
    before = files(store.root)
    for ask in (
        lambda store: store.get(KEY),
        lambda store: store.put(KEY, REPLY),
        lambda store: store.lock("measuring", print).__enter__(),
        lambda store: store.prune(0),
        Store.entries,
    ):
        with pytest.raises(StoreError, match=r"written by a newer version: found layout v2, expected v1"):
            ask(Store(store.root))
    assert files(store.root) == before


def test_other_folders_beside_the_layout_are_no_layout(store: Store) -> None:
    for name in ("v0", "vectors", "v2.old", "2"):
        (store.root / name).mkdir(parents=True)
    store.put(KEY, REPLY)
    assert store.get(KEY) == REPLY


# Disks.


def test_a_full_disk_is_a_sentence_and_leaves_no_part(disk: Path) -> None:
    store = Store(disk / "store")
    store.put(KEY, REPLY)
    before = files(disk)
    with pytest.raises(StoreError, match=r"cannot be written: No space left on device; .* or make room"):
        store.put({"probe": 1}, np.ones(10**6, np.float32))
    assert files(disk) == before
    assert store.get(KEY) == REPLY
    store.put({"probe": 1}, np.ones(10, np.float32))
    assert list(store.damaged()) == []


def test_a_read_only_disk_is_read_and_says_why_it_is_not_written(disk: Path) -> None:
    store = Store(disk / "store")
    store.put(KEY, REPLY)
    old = aged(entry(store), 5)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert store.get(KEY) == REPLY
    assert list(store.damaged()) == []
    assert entry(store).stat().st_mtime == old
    for done, ask in {
        "written": lambda: store.put({"probe": 1}, REPLY),
        "locked": lambda: store.lock("measuring", print).__enter__(),
        "pruned": lambda: store.prune(0),
    }.items():
        with pytest.raises(StoreError, match=rf"cannot be {done}: Read-only file system; give another"):
            ask()


def test_a_warm_run_works_on_a_read_only_disk(
    disk: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    store, artefacts = Store(disk / "store"), Artefacts(Release(base=str(tiny)), {})
    plan = Plan(NextToken(Condition("Be brief."), Probe(id=str(n), text="Why?")) for n in range(3))
    for number, measurement in enumerate(plan):
        store.put(key_of(measurement, artefacts), np.full(4, number, np.float32))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    outcomes = Engine(artefacts, Store(disk / "store")).measure(plan)
    assert len(outcomes) == len(plan)
    assert all(isinstance(value, np.ndarray) for value in outcomes.values())
