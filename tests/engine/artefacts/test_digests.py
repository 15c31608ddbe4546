import ast
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import transformers

from coherence.engine.artefacts import digests
from coherence.engine.artefacts.digests import (
    counted_files,
    digest_of,
    file_digest,
    folder_digest,
    misremembered,
    model_files,
    read_digest,
    stamps,
    written_since,
)
from coherence.engine.artefacts.memo import Stamp, remember
from coherence.errors import ArtefactError
from coherence.store import cache_root


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written just now count as settled: nobody waits two seconds."""
    monkeypatch.setattr(digests, "_SETTLED_NS", -1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def memos() -> list[Path]:
    return list((cache_root() / "digests").glob("*"))


def test_a_digest_is_the_sha256(file: Path) -> None:
    assert file_digest(file) == sha256(b"weights")


@pytest.mark.usefixtures("settled")
def test_a_digest_is_remembered(file: Path) -> None:
    digest = file_digest(file)
    (memo,) = memos()
    memo.write_text(memo.read_text().replace(digest, "0" * 64))
    assert file_digest(file) == "0" * 64


@pytest.mark.usefixtures("settled")
def test_what_is_remembered_can_be_passed_over(file: Path, tmp_path: Path) -> None:
    file_digest(file)
    (memo,) = memos()
    memo.write_text(memo.read_text().replace(sha256(b"weights"), "0" * 64))
    assert read_digest(file) == sha256(b"weights")
    for lost in (tmp_path, tmp_path / "lost"):
        with pytest.raises(ArtefactError, match=f"^{lost} is not a file; expected one$"):
            read_digest(lost)


def test_a_file_written_just_now_is_not_remembered(file: Path) -> None:
    file_digest(file)
    assert memos() == []


@pytest.mark.usefixtures("settled")
def test_same_size_and_same_time_do_not_hide_another_release(file: Path, tmp_path: Path) -> None:
    file_digest(file)
    before = file.stat()
    (tmp_path / "unpacked").write_bytes(b"WEIGHTS")
    os.utime(tmp_path / "unpacked", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "unpacked").replace(file)
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file_digest(file) == sha256(b"WEIGHTS")


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"{}", b"1:2:3:4 " + b"0" * 64])
def test_a_damaged_memo_is_computed_anew(file: Path, damage: bytes) -> None:
    digest = file_digest(file)
    (memo,) = memos()
    good = memo.read_bytes()
    memo.write_bytes(damage)
    assert file_digest(file) == digest
    assert memo.read_bytes() == good


@pytest.mark.usefixtures("settled")
def test_what_holds_something_else_and_looks_the_same_is_named(file: Path, tmp_path: Path) -> None:
    for name in ("gone", "written"):
        (tmp_path / name).write_text("before")
        file_digest(tmp_path / name)
    (tmp_path / "gone").unlink()
    (tmp_path / "written").write_text("after it")
    digest = file_digest(file)
    assert list(misremembered()) == []
    remember(file, Stamp.of(file.stat()), "0" * 64)
    ((path, sentence),) = misremembered()
    assert path == file
    assert sentence.startswith(f"its digest is {digest[:12]} and was 000000000000, although its size, times")


@pytest.mark.usefixtures("settled")
def test_a_cache_that_cannot_be_written_costs_only_time(file: Path, cache: Path) -> None:
    cache.write_text("a file, not a folder")
    assert file_digest(file) == sha256(b"weights")


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"nowhere cannot be read: No such file"):
        file_digest(tmp_path / "nowhere")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "adapter"
    path.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json", "chat_template.jinja", "merges.txt"):
        (path / name).write_text(name)
    return path


@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "adapter_config.json", "chat_template.jinja", "merges.txt"]
)
def test_what_matters_changes_the_folder_digest(folder: Path, name: str) -> None:
    before = folder_digest(folder)
    (folder / name).write_text("changed")
    changed = folder_digest(folder)
    (folder / name).unlink()
    assert len({before, changed, folder_digest(folder)}) == 3


def words_of_transformers() -> set[str]:
    """Names of the files that any of its tokenizers reads words from.

    Read off the sources: some of the modules import libraries that need not be here.
    """
    root = Path(transformers.__file__).parent
    return {
        name for path in root.rglob("tokenization_*.py") for name in named_in(ast.parse(path.read_text()))
    }


def named_in(module: ast.Module) -> Iterator[str]:
    """What a module's VOCAB_FILES_NAMES names, as texts or constants of the module."""
    assigned = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names = assigned.get("VOCAB_FILES_NAMES")
    for value in names.values if isinstance(names, ast.Dict) else ():
        yield ast.literal_eval(assigned[value.id] if isinstance(value, ast.Name) else value)


# Of tokenizers that a model brings along, and of mistral-common.
OTHER_WORDS = {"qwen.tiktoken", "tekken.json", "tokenizer.model.v3", "instruct_tokenizer.model.v2"}


def test_all_that_tokenizers_read_words_from_is_counted(tmp_path: Path) -> None:
    named = words_of_transformers() | OTHER_WORDS
    assert {"tokenizer.json", "spiece.model", "source.spm", "bpe.codes", "dict.txt"} < named
    for name in named:
        (tmp_path / name).touch()
    assert {path.name for path in counted_files(tmp_path)} == named


def test_a_renamed_file_changes_the_folder_digest(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / "adapter_config.json").rename(folder / "config.json")
    assert folder_digest(folder) != before


def test_a_model_card_does_not(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / "README.md").write_text("a card")
    (folder / "runs").mkdir()
    (folder / "runs" / "log.json").write_text("{}")
    assert folder_digest(folder) == before


def test_the_place_of_a_folder_does_not_count(folder: Path, tmp_path: Path) -> None:
    before = folder_digest(folder)
    assert folder_digest(folder.rename(tmp_path / "moved")) == before


def test_a_folder_without_a_model_is_a_sentence(tmp_path: Path, file: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtefactError, match=r"empty holds no model and no adapter; expected"):
        folder_digest(tmp_path / "empty")
    with pytest.raises(ArtefactError, match=r"model.safetensors is not a folder; expected"):
        folder_digest(file)


def test_chat_templates_of_other_names_count(folder: Path) -> None:
    before = folder_digest(folder)
    (folder / "additional_chat_templates").mkdir()
    assert folder_digest(folder) == before
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("{{ messages }}")
    assert folder_digest(folder) != before


def test_a_model_whose_weights_are_not_certain_has_no_digest(tiny: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(tiny, tmp_path / "base"))
    assert digest_of(base, model_files(base)) == folder_digest(tiny)
    (base / "adapter_config.json").write_text("{}")
    with pytest.raises(ArtefactError, match=r"^holds adapter_config.json beside a model"):
        model_files(base)


@pytest.mark.parametrize("name", ["model.safetensors", "more.json"])
def test_a_pipe_is_not_read(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    for read in (folder_digest, counted_files):
        with pytest.raises(ArtefactError, match=rf"{name} is not a file; expected one$"):
            read(folder)
    with pytest.raises(ArtefactError, match=rf"{name} is not a file; expected one$"):
        file_digest(folder / name)


def test_a_stamp_is_another_one_when_a_file_is_written_again(folder: Path) -> None:
    before = stamps(counted_files(folder))
    (folder / "README.md").write_text("a card")
    assert stamps(counted_files(folder)) == before
    (folder / "more.json").write_text("{}")
    between = stamps(counted_files(folder))
    (folder / "more.json").write_text("[]")
    os.utime(folder / "more.json", ns=(0, 0))
    after = stamps(counted_files(folder))
    assert before != between != after
    assert written_since(before, between)
    assert written_since(between, after)
    with pytest.raises(ArtefactError, match="lost cannot be read: No such file"):
        stamps([folder / "lost"])


def test_what_is_done_to_a_file_but_not_to_what_it_holds_is_no_writing(folder: Path) -> None:
    (file,) = folder.glob("*.safetensors")
    before = stamps([file])
    file.chmod(0o600)
    os.link(file, folder / "another-name")
    after = stamps([file])
    assert before != after
    assert not written_since(before, after)
