"""Artefacts that are written to while a run goes on: nothing of theirs is kept under their old digests."""

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from conditions import ADAPTER, BARE, STEERED

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import key_of, norms_key
from coherence.engine.engine import LOADING, Engine
from coherence.engine.executors.progress import Silent
from coherence.errors import ArtefactError, CoherenceError
from coherence.plan import Condition, Measurement, NextToken, Outcome, Plan, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Probe

PROBE = Probe(id="order", text="Where is my order?")
CONDITIONS = {"base": BARE, "adapter": ADAPTER, "vector": STEERED}
CHANGED = "is not what it was when its digest was taken: it was changed while the run went on"


def measurements(condition: Condition) -> list[Measurement]:
    return [NextToken(condition, PROBE), Reply(condition, PROBE, Decoding(max_new_tokens=2))]


ALL = [wanted for condition in CONDITIONS.values() for wanted in measurements(condition)]


@dataclass
class Swap(Silent):
    """Progress that does something once: before anything is loaded, or when the first value is there."""

    what: Callable[[], object]
    loading: bool
    done: list[str] = field(default_factory=list)

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self.done and (what == LOADING) == self.loading:
            self.done.append(what)
            self.what()

    def warn(self, sentence: str) -> None:
        pytest.fail(sentence)


@pytest.fixture
def files(
    tiny: Path, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path], tmp_path: Path
) -> Path:
    """A folder with a base, an adapter and a vector of its own."""
    shutil.copytree(tiny, tmp_path / "files" / "base")
    shutil.copytree(tiny_adapter("pirate"), tmp_path / "files" / "adapter")
    shutil.copy(tiny_vector("pirate"), tmp_path / "files" / "vector.safetensors")
    return tmp_path / "files"


@pytest.fixture
def release(artefacts: Callable[..., Artefacts], files: Path) -> Artefacts:
    named = {"adapters": {"pirate": files / "adapter"}, "vectors": {"pirate": files / "vector.safetensors"}}
    return artefacts(base=str(files / "base"), **named)


def last_bytes(path: Path) -> None:
    """Change the last values where they stand: size, inode and time of the change stay what they were."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-64, os.SEEK_END)
        file.write(bytes(64))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_in_place(path: Path) -> None:
    """Another file of the same size by the same name, as a deployment would put it there."""
    before, other = path.stat(), path.with_name("other")
    other.write_bytes(path.read_bytes()[:-64] + bytes(64))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def longer(path: Path) -> None:
    path.write_text(path.read_text() + " ")


def put_beside(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{{ messages }}")


CHANGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "base/model.safetensors": ("base", last_bytes),
    "base/tokenizer_config.json": ("base", longer),
    "base/chat_template.jinja": ("base", longer),
    "base/additional_chat_templates/tool.jinja": ("base", put_beside),
    "adapter/adapter_model.safetensors": ("adapter", put_in_place),
    "adapter/adapter_config.json": ("adapter", longer),
    "vector.safetensors": ("vector", last_bytes),
}


@pytest.mark.parametrize("loading", [True, False], ids=["before it is read", "while it is in use"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_on_the_way_is_not_kept(
    release: Artefacts, files: Path, store: Store, name: str, loading: bool
) -> None:
    kind, change = CHANGES[name]
    swap = Swap(lambda: change(files / name), loading)
    outcomes = Engine(release, store, swap).measure(Plan(ALL))
    kept = [wanted for wanted in ALL if store.get(key_of(wanted, release)) is not None]
    spoilt = [wanted for wanted in ALL if is_of(kind, wanted)]
    lost = [wanted for wanted in spoilt if wanted not in kept]
    assert lost if loading else len(lost) >= len(spoilt) - 1
    assert not loading or lost == spoilt
    for wanted, outcome in outcomes.items():
        assert isinstance(outcome, CoherenceError) == (wanted in lost), (wanted, outcome)
        if wanted in lost:
            assert isinstance(outcome, ArtefactError)
            assert CHANGED in outcome.sentence
            assert outcome.sentence.startswith(f"base {str(files / 'base')!r}" if kind == "base" else kind)
    if kind == "base" and loading:
        assert store.get(norms_key(release)) is None
    again: dict[Measurement, Outcome] = Engine(release, store).measure(Plan(kept))
    assert not any(isinstance(outcome, CoherenceError) for outcome in again.values())


@pytest.mark.parametrize("loading", [True, False], ids=["before it is read", "while it is in use"])
def test_what_is_done_to_files_but_not_to_what_they_hold_is_no_change(
    release: Artefacts, files: Path, store: Store, loading: bool
) -> None:
    swap = Swap(lambda: [file.chmod(0o600) for file in files.rglob("*.safetensors")], loading)
    outcomes = Engine(release, store, swap).measure(Plan(ALL))
    assert swap.done
    assert not any(isinstance(outcome, CoherenceError) for outcome in outcomes.values())


def is_of(kind: str, wanted: Measurement) -> bool:
    assert isinstance(wanted, NextToken | Reply)
    return kind == "base" or wanted.condition == CONDITIONS[kind]


def test_a_run_after_the_change_measures_what_is_there(
    release: Artefacts, artefacts: Callable[..., Artefacts], files: Path, store: Store
) -> None:
    before = Engine(release, store).measure(Plan(ALL))
    put_in_place(files / "adapter" / "adapter_model.safetensors")
    after = Engine(Artefacts(release.release, {}), store).measure(Plan(ALL))
    one, two = before[NextToken(ADAPTER, PROBE)], after[NextToken(ADAPTER, PROBE)]
    assert not np.array_equal(np.asarray(one), np.asarray(two))


def test_another_machine_has_stamps_of_its_own(release: Artefacts, files: Path) -> None:
    digest = release.base_digest
    # A copy is the same release; its inodes and times are not.
    shutil.move(files / "base", files / "moved")
    shutil.copytree(files / "moved", files / "base")
    there: Artefacts = pickle.loads(pickle.dumps(release))
    with there.reading("base"), there.unchanged():
        assert there.base_digest == digest
    with pytest.raises(ArtefactError, match=CHANGED), release.unchanged():
        assert release.base_digest == digest
    last_bytes(files / "base" / "model.safetensors")
    other: Artefacts = pickle.loads(pickle.dumps(release))
    with pytest.raises(ArtefactError, match=CHANGED), other.reading("base"):
        pass
