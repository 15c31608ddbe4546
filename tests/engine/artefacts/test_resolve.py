from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from coherence.engine.artefacts.resolve import (
    adapter_folder,
    adapter_here,
    base_folder,
    base_here,
    pinned,
    portable,
)
from coherence.errors import ArtefactError


@pytest.mark.parametrize("find", [base_folder, adapter_folder])
def test_a_folder_is_itself(find: Callable[[str], Path], tmp_path: Path) -> None:
    assert find(str(tmp_path)) == tmp_path


def test_the_reference_model_has_a_name(reference: Path) -> None:
    assert base_folder("reference") == reference


@pytest.mark.parametrize("named", ["/nowhere", "./nowhere", "../a/b", "nowhere", "a/b/c", "a/..", "a b/c"])
def test_what_cannot_be_a_hub_id_is_a_missing_folder(named: str) -> None:
    with pytest.raises(ArtefactError, match=rf"^there is no folder {named}$"):
        adapter_folder(named)


def test_a_hub_id_that_cannot_be_fetched() -> None:
    # The tests run offline.
    with pytest.raises(ArtefactError, match=r"^'nobody/nothing' is neither a folder here nor could it be"):
        base_folder("nobody/nothing")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Two commits of a repository as the hub client caches it, by their names; `main` is the second."""
    commits = {"a" * 40: "v1", "b" * 40: "main"}
    cached = tmp_path / "models--org--persona"
    for commit, branch in commits.items():
        (cached / "snapshots" / commit).mkdir(parents=True)
        (cached / "refs").mkdir(exist_ok=True)
        (cached / "refs" / branch).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return {branch: cached / "snapshots" / commit for commit, branch in commits.items()}


@pytest.mark.parametrize("find", [base_here, adapter_here, base_folder, adapter_folder])
def test_a_revision_is_that_of_a_branch_tag_or_commit(find, hub: dict[str, Path]) -> None:
    assert find("org/persona") == hub["main"]
    assert find("org/persona@main") == hub["main"]
    assert find("org/persona@v1") == hub["v1"]
    assert find(f"org/persona@{'a' * 40}") == hub["v1"]


@pytest.mark.parametrize("find", [base_here, adapter_here, base_folder, adapter_folder])
def test_a_folder_where_the_run_was_started_is_not_what_a_hub_id_means(
    find, hub: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "org" / "persona").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find("org/persona") == hub["main"]
    assert pinned("org/persona", hub["main"]) == f"org/persona@{hub['main'].name}"


def test_what_is_of_a_hub_is_spelled_with_its_commit(hub: dict[str, Path], tmp_path: Path) -> None:
    for named, branch in {"org/persona": "main", "org/persona@v1": "v1"}.items():
        assert pinned(named, base_folder(named)) == f"org/persona@{hub[branch].name}"
        assert base_folder(pinned(named, base_folder(named))) == hub[branch]
    assert pinned(str(hub["v1"]), base_folder(str(hub["v1"]))) == str(hub["v1"])
    assert pinned("reference", tmp_path) == "reference"


def test_an_adapters_config_has_the_commit_beside_the_name(hub: dict[str, Path], tmp_path: Path) -> None:
    for named, branch in (("org/persona", "main"), ("org/persona@v1", "v1")):
        assert portable(named, hub[branch]) == ("org/persona", hub[branch].name)
    assert portable(str(tmp_path), tmp_path) == (tmp_path.name, None)
    assert portable("reference", tmp_path) == ("reference", None)


def test_a_revision_that_is_not_here_is_named(hub: dict[str, Path]) -> None:
    assert base_here("org/persona@v9") is None
    with pytest.raises(ArtefactError, match=r"^'org/persona@v9' is neither a folder here nor"):
        base_folder("org/persona@v9")
    with pytest.raises(ArtefactError, match=r"'org/persona@' names no revision; expected a branch, tag"):
        base_folder("org/persona@")


def test_a_folder_may_have_an_at_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "model@home").mkdir()
    assert base_folder(str(tmp_path / "model@home")) == tmp_path / "model@home"


def test_what_is_here_is_found_and_nothing_is_fetched(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert base_here("reference") == reference
    assert adapter_here(str(tmp_path)) == tmp_path
    assert base_here("nobody/nothing") is None
    with pytest.raises(ArtefactError, match="there is no folder"):
        base_here("./nowhere")
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path))
    assert base_here("reference") is None
    assert list(tmp_path.iterdir()) == []


ADAPTER = ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"]
MODEL = [
    "config.json",
    "tokenizer.json",
    "chat_template.jinja",
    "source.spm",
    "tokenizer.model.v3",
    "bpe.codes",
]
WEIGHTS = ["model.safetensors"]
OLD_WEIGHTS = ["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"]


@pytest.mark.parametrize(
    ("find", "needed", "left"),
    [
        (adapter_folder, ADAPTER, ["README.md", "optimizer.pt"]),
        (adapter_folder, [*MODEL, *WEIGHTS], ["README.md", OLD_WEIGHTS[0]]),
        (base_folder, [*MODEL, *WEIGHTS], ["README.md", OLD_WEIGHTS[0]]),
        (base_folder, [*MODEL, *OLD_WEIGHTS], ["README.md", "training_args.bin"]),
    ],
    ids=["adapter", "checkpoint", "base", "old base"],
)
def test_of_a_hub_all_files_that_count_are_fetched(
    find: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    needed: list[str],
    left: list[str],
) -> None:
    # The tests run offline: what a hub would send, by the names that are asked for.
    def send(repository: str, allow_patterns: list[str], **how: object) -> str:
        for name in (*needed, *left):
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                (tmp_path / name).touch()
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", send)
    assert {path.name for path in find("org/persona").iterdir()} == {*needed}
