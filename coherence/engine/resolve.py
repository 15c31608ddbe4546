"""From what a release names (hub id, local folder, `reference`) to a folder on this machine."""

from pathlib import Path

from coherence.engine.reference import reference_model
from coherence.errors import ArtefactError
from coherence.vocabulary.release import REFERENCE

_BASE_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_ADAPTER_FILES = ["adapter_config.json", "adapter_model.*"]


def base_folder(named: str) -> Path:
    """Folder of a base model; fetches the reference model or a hub model when it is not here yet."""
    return reference_model() if named == REFERENCE else _folder(named, _BASE_FILES)


def adapter_folder(named: str) -> Path:
    """Folder of an adapter."""
    return _folder(named, _ADAPTER_FILES)


def _folder(named: str, files: list[str]) -> Path:
    local = Path(named)
    if local.is_dir():
        return local
    if local.is_absolute() or named.startswith(".") or named.count("/") != 1:
        raise ArtefactError(f"there is no folder {named}")
    # Imported here because a run whose measurements are all in the store needs no hub.
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(named, allow_patterns=files))
    except Exception as problem:  # the hub client raises its HTTP library's errors as well as its own
        reason = str(problem).splitlines()[0]
        raise ArtefactError(
            f"{named!r} is neither a folder here nor could it be fetched as a hub id: {reason}"
        ) from problem
