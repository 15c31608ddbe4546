"""What a file or an artefact folder holds, as a sha256 that is computed once per version of the file."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from coherence.engine.artefacts.memo import Stamp, all_remembered, remember, remembered
from coherence.engine.model.folder import MERGES, VOCABULARIES, is_gguf, weight_files
from coherence.errors import ArtefactError

# What changes the behaviour of a model or an adapter; a model card does not.
_PATTERNS = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.py", *VOCABULARIES, *MERGES)

# Where transformers looks for templates beside the first one.
_TEMPLATES = "additional_chat_templates"

# Two writes within the resolution of the coarsest clocks (FAT: 2 s) leave the same time stamp.
_SETTLED_NS = 2_000_000_000


def file_digest(path: Path) -> str:
    """Return the sha256 of a file in hex; remembered until the file changes. Unreadable: ArtefactError."""
    started = time.time_ns()
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise ArtefactError(f"{path} is not a file; expected one")
        stamp = Stamp.of(before)
        known = remembered(path, stamp)
        if known is not None:
            return known
        digest = _taken(path)
        after = path.stat()
    except OSError as problem:
        raise ArtefactError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    settled = started - max(before.st_mtime_ns, before.st_ctime_ns) > _SETTLED_NS
    if settled and Stamp.of(after) == stamp:
        remember(path, stamp, digest)
    return digest


def misremembered() -> Iterator[tuple[Path, str]]:
    """Yield files that look as they did when their digest was remembered, and hold something else; say so.

    All that look so are read. What was written since, or is gone, has its digest taken anew when it is used.
    """
    for known in all_remembered():
        try:
            if str(Stamp.of(known.path.stat())) != known.stamp:
                continue
            digest = _taken(known.path)
        except FileNotFoundError:
            continue
        except OSError as problem:
            yield known.path, f"it cannot be read: {problem.strerror or problem}"
            continue
        if digest != known.digest:
            yield (
                known.path,
                f"its digest is {digest[:12]} and was {known.digest[:12]}, although its size, times and "
                "inode are what they were",
            )


def read_digest(path: Path) -> str:
    """Return the sha256 of what a file holds now, whatever is remembered of it. Unreadable: ArtefactError."""
    try:
        if not path.is_file():
            raise ArtefactError(f"{path} is not a file; expected one")
        return _taken(path)
    except OSError as problem:
        raise ArtefactError(f"{path} cannot be read: {problem.strerror or problem}") from problem


def folder_digest(path: Path) -> str:
    """Return one sha256 over names and contents of the files that make a model or an adapter.

    Weights, configurations, tokenizer and templates count, at the top of the folder, and chat templates where
    transformers looks for more of them; README and logs do not. A folder without any of them: ArtefactError.
    """
    return digest_of(path, folder_files(path))


def model_files(path: Path) -> dict[str, str]:
    """Return the `folder_files` of a model whose weights are certain, as `weight_files` says."""
    weight_files(path)
    return folder_files(path)


def folder_files(path: Path, digest: Callable[[Path], str] = file_digest) -> dict[str, str]:
    """Map the files that a folder's digest is of, by their paths in it, to the sha256 of each.

    Of a GGUF file it is the file alone: what lies beside it is not read.
    """
    root = path.parent if is_gguf(path) else path
    return {file.relative_to(root).as_posix(): digest(file) for file in counted_files(path)}


def digest_of(path: Path, files: Mapping[str, str]) -> str:
    """Return the digest of a folder, or of a GGUF file, that has these files."""
    if is_gguf(path):
        return files[path.name]
    lines = "".join(f"{name}\0{digest}\n" for name, digest in files.items())
    return hashlib.sha256(os.fsencode(lines)).hexdigest()


def stamps(files: Iterable[Path]) -> dict[Path, Stamp]:
    """Return what is another value when files are written again, or are others; none is read.

    Unreadable: ArtefactError.
    """
    try:
        return {file: Stamp.of(file.stat()) for file in files}
    except OSError as problem:
        what = problem.filename
        raise ArtefactError(f"{what} cannot be read: {problem.strerror or problem}") from problem


def written_since(before: Mapping[Path, Stamp], now: Mapping[Path, Stamp]) -> bool:
    """Whether files were written, or others put in their place, between two looks at them.

    A file whose change time alone moved on, as by `chmod` or a new link to it, may also hold something else
    under its old times: its digest tells.
    """
    return {file: stamp._replace(changed=0) for file, stamp in before.items()} != {
        file: stamp._replace(changed=0) for file, stamp in now.items()
    }


def counted_files(path: Path) -> list[Path]:
    """List the files of a folder that its digest is of; a GGUF file is its own.

    An ArtefactError where there is none, or where one is a pipe or a device, which would be read forever.
    """
    if is_gguf(path):
        return [path]
    if not path.is_dir():
        raise ArtefactError(f"{path} is not a folder; expected one with the files of a model or an adapter")
    files = [file for folder in (path, path / _TEMPLATES) for file in _files(folder)]
    if not files:
        raise ArtefactError(f"{path} holds no model and no adapter; expected .safetensors and .json files")
    return sorted(files)


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if any(fnmatchcase(entry.name, pattern) for pattern in _PATTERNS):
                    path = folder / entry.name
                    if entry.is_file():
                        yield path
                    elif path.exists() and not entry.is_dir():
                        raise ArtefactError(f"{path} is not a file; expected one")


def _taken(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
