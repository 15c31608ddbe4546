"""`coherence store`."""

import os
import pty
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from coherence.cli import main
from coherence.engine.artefacts.memo import Stamp, remember
from coherence.plan import Answer
from coherence.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of the user's cache, with three readings of 1 kB and a reply."""
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path))
    monkeypatch.delenv("COHERENCE_STORE_SIZE", raising=False)
    store = Store(tmp_path / "store")
    store.put({"kind": "Reply", "base": "b" * 64}, Answer("Yes.", (1,)))
    for probe in range(3):
        store.put({"kind": "Reading", "base": "a" * 64, "probe": probe}, np.zeros(200, np.float32))
    return store


def age(store: Store, hours: float) -> None:
    used = time.time() - hours * 3600
    for entry in store.entries():
        os.utime(entry.path, (used, used))


def test_store_ls_groups_by_kind_and_base(store, capsys):
    age(store, 24)
    size = sum(entry.size for entry in store.entries())
    assert main(["store", "ls"]) == 0
    head, _, reading, reply, total = capsys.readouterr().out.splitlines()
    assert head.split(" | ") != [head]
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(store.entries()[0].used))
    assert [part.strip() for part in reading.split("|")][:3] == ["Reading", "a" * 12, "3"]
    assert [part.strip() for part in reading.split("|")][4:] == [day, day]
    assert [part.strip() for part in reply.split("|")][:3] == ["Reply", "b" * 12, "1"]
    assert total == f"4 entries, {size / 1000:.1f}KB, in {store.root}"


def test_store_ls_shows_what_has_no_key(store, capsys):
    store.entries()[0].path.write_bytes(b"")
    assert main(["store", "ls", "--store", str(store.root)]) == 0
    assert "damaged" in capsys.readouterr().out


def test_store_ls_on_a_terminal_has_lines(store):
    leader, follower = pty.openpty()
    command = [Path(sys.executable).with_name("coherence"), "store", "ls"]
    environment = os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    subprocess.run(command, stdout=follower, env=environment, check=True)
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "\u2500" in shown
    assert "\x1b[" in shown


def test_store_verify_says_what_is_damaged_and_removes_only_when_told(store, capsys):
    assert main(["store", "verify"]) == 0
    assert capsys.readouterr().out == "0 of 4 entries are damaged\n"
    damaged = store.entries()[0].path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    for _ in range(2):
        assert main(["store", "verify"]) == 1
        line, total = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{damaged}: it is no whole safetensors file: ")
        assert total == "1 of 4 entries are damaged"
    assert main(["store", "verify", "--remove"]) == 1
    assert capsys.readouterr().out.endswith("1 of 4 entries are damaged and removed\n")
    assert main(["store", "verify"]) == 0
    assert capsys.readouterr().out == "0 of 3 entries are damaged\n"


def test_store_verify_reads_the_artefacts_whose_digests_are_remembered(store, tmp_path, capsys):
    paths = [tmp_path / name for name in ("good.safetensors", "rotten.safetensors", "written.safetensors")]
    for path in paths:
        path.write_bytes(b"weights")
        remember(path, Stamp.of(path.stat()), sha256(b"weights").hexdigest())
    _, rotten, written = paths
    remember(rotten, Stamp.of(rotten.stat()), "0" * 64)
    written.write_bytes(b"other weights")
    assert main(["store", "verify"]) == 0
    capsys.readouterr()
    for removes in ([], ["--remove"]):
        assert main(["store", "verify", "--artefacts", *removes]) == 1
        _, line, total = capsys.readouterr().out.splitlines()
        assert line.startswith(
            f"{rotten}: its digest is {sha256(b'weights').hexdigest()[:12]} and was 000000000000"
        )
        assert total == "1 of 3 digests are wrong" + " and forgotten" * bool(removes)
    assert main(["store", "verify", "--artefacts"]) == 0
    assert capsys.readouterr().out.endswith("0 of 2 digests are wrong\n")


def test_store_prune_says_what_it_freed(store, capsys, monkeypatch):
    size = sum(entry.size for entry in store.entries())
    assert main(["store", "prune"]) == 0
    assert capsys.readouterr().out == f"0 entries evicted, 0B freed; left: {size / 1000:.1f}KB\n"
    assert main(["store", "prune", "--limit", "0"]) == 0
    assert capsys.readouterr().out.endswith(f"left: {size / 1000:.1f}KB, used in the last hour\n")
    age(store, 2)
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "1B")
    assert main(["store", "prune", "--limit", "1MB"]) == 0
    assert capsys.readouterr().out.startswith("0 entries")
    assert main(["store", "prune"]) == 0
    assert capsys.readouterr().out == f"4 entries evicted, {size / 1000:.1f}KB freed; left: 0B\n"
    assert store.entries() == []


@pytest.mark.parametrize("action", ["ls", "verify", "prune"])
def test_a_folder_without_a_store_is_a_sentence(action, tmp_path, capsys):
    assert main(["store", action, "--store", str(tmp_path / "lost")]) == 4
    assert capsys.readouterr().err.startswith(f"coherence: there is no store in {tmp_path / 'lost'}; ")


def test_a_bad_limit_is_a_sentence(store, capsys, monkeypatch):
    with pytest.raises(SystemExit) as left:
        main(["store", "prune", "--limit", "2,5GB"])
    assert left.value.code == 4
    assert "argument --limit: found the size '2,5GB', expected one such as 2GB" in capsys.readouterr().err
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "lots")
    assert main(["store", "prune"]) == 4
    assert capsys.readouterr().err.startswith("coherence: COHERENCE_STORE_SIZE: found the size 'lots'")
