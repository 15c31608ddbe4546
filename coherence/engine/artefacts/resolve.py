"""From what a release names (hub id with a revision or none, local path, `reference`) to what is here."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from coherence.engine.artefacts.reference_model import fetched, reference_model
from coherence.engine.model.folder import ADAPTER_CONFIG, MERGES, VOCABULARIES, is_gguf, model_at
from coherence.errors import ArtefactError
from coherence.vocabulary.release import REFERENCE, is_hub_id

_BASE_FILES = ["*.json", "*.safetensors", "*.jinja", *VOCABULARIES, *MERGES]
# Older models have no other weights; of those that have, they would be fetched in vain.
_OLD_WEIGHTS = ["pytorch_model*.bin"]
# With what tells that it was trained with another template or tokenizer than the base's.
_ADAPTER_FILES = ["adapter_config.json", "adapter_model*", "chat_template.jinja", "tokenizer*.json"]


def base_folder(named: str) -> Path:
    """Folder or GGUF file of a base; fetches the reference model or a hub model when it is not here yet."""
    return reference_model() if named == REFERENCE else _model(named)


def adapter_folder(named: str) -> Path:
    """Folder of an adapter or checkpoint, fetched if it is not here, or its GGUF file.

    An ArtefactError says why not.
    """
    return _adapter(named)


def base_here(named: str) -> Path | None:
    """Folder or GGUF file of a base if it is on this machine; nothing is fetched."""
    return fetched() if named == REFERENCE else _here(partial(_model, named))


def adapter_here(named: str) -> Path | None:
    """Folder of an adapter or checkpoint if it is on this machine; nothing is fetched."""
    return _here(partial(_adapter, named))


def pinned(named: str, folder: Path) -> str:
    """Spell what a release names with the commit of its folder, where that lies in the cache of a hub."""
    is_commit = folder.parent.name == "snapshots" and not Path(named).is_absolute()
    return f"{named.partition('@')[0]}@{folder.name}" if is_commit else named


def portable(named: str, folder: Path) -> tuple[str, str | None]:
    """Name a base as an adapter's config does: a hub id and its commit, of a path its last part and none."""
    if Path(named).is_absolute():
        return Path(named).name, None
    repository, _, revision = pinned(named, folder).partition("@")
    return repository, revision or None


def _here(find: Callable[..., Path]) -> Path | None:
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return find(local_files_only=True)
    except ArtefactError as problem:
        if isinstance(problem.__cause__, LocalEntryNotFoundError | HfHubHTTPError):
            return None
        raise


def _model(named: str, local_files_only: bool = False) -> Path:
    if is_gguf(Path(named)):
        return _file(named)
    return model_at(_whole(named, local_files_only))


def _file(named: str) -> Path:
    file = Path(named)
    if not file.is_file():
        raise ArtefactError(f"there is no file {named}")
    return file


def _adapter(named: str, local_files_only: bool = False) -> Path:
    if is_gguf(Path(named)):
        return _file(named)
    folder = _folder(named, _ADAPTER_FILES, local_files_only)
    # Of a hub's model an adapter's files are none.
    is_whole = Path(named).is_absolute() or (folder / ADAPTER_CONFIG).exists()
    return folder if is_whole else _whole(named, local_files_only)


def _whole(named: str, local_files_only: bool) -> Path:
    """Return the folder with all files of a model."""
    folder = _folder(named, _BASE_FILES, local_files_only)
    if any(folder.glob("*.safetensors")):
        return folder
    return _folder(named, [*_BASE_FILES, *_OLD_WEIGHTS], local_files_only)


def _folder(named: str, files: list[str], local_files_only: bool = False) -> Path:
    local = Path(named)
    if local.is_absolute() and local.is_dir():
        return local
    repository, at, revision = named.partition("@")
    if at and not revision:
        raise ArtefactError(f"{named!r} names no revision; expected a branch, tag or commit after the @")
    if not is_hub_id(named):
        raise ArtefactError(f"there is no folder {named}")
    # Imported here because a run whose measurements are all in the store needs no hub.
    from huggingface_hub import snapshot_download

    try:
        snapshot = snapshot_download(
            repository, revision=revision or None, allow_patterns=files, local_files_only=local_files_only
        )
    except Exception as problem:  # the hub client raises its HTTP library's errors as well as its own
        reason = str(problem).splitlines()[0]
        raise ArtefactError(
            f"{named!r} is neither a folder here nor could it be fetched as a hub id: {reason}"
        ) from problem
    return Path(snapshot)
