from collections.abc import Callable
from pathlib import Path

import pytest

from coherence.engine.artefacts.resolve import adapter_folder, adapter_here, base_folder, base_here
from coherence.errors import ArtefactError


@pytest.mark.parametrize("find", [base_folder, adapter_folder])
def test_a_folder_is_itself(find: Callable[[str], Path], tmp_path: Path) -> None:
    assert find(str(tmp_path)) == tmp_path


def test_the_reference_model_has_a_name(reference: Path) -> None:
    assert base_folder("reference") == reference


@pytest.mark.parametrize("named", ["/nowhere", "./nowhere", "../a/b", "nowhere", "a/b/c"])
def test_what_cannot_be_a_hub_id_is_a_missing_folder(named: str) -> None:
    with pytest.raises(ArtefactError, match=rf"^there is no folder {named}$"):
        adapter_folder(named)


def test_a_hub_id_that_cannot_be_fetched() -> None:
    # The tests run offline.
    with pytest.raises(ArtefactError, match=r"^'nobody/nothing' is neither a folder here nor could it be"):
        base_folder("nobody/nothing")


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
