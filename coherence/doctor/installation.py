"""Checks of the installation: packages, devices, room, cache and store."""

import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryFile

from packaging.requirements import Requirement

from coherence.doctor.check import Check, tried
from coherence.errors import StoreError
from coherence.store import Store, cache_root, store_root
from coherence.store.contents import contents
from coherence.store.size import readable

_DISTRIBUTION = "pytest-coherence"
# These decide what is measured: each has a line of its own.
_NAMED = ("torch", "transformers", "peft")
_ROOM = 1_000_000_000  # what the reference model needs, on the disk and in memory
_DRIVER = Path("/proc/driver/nvidia")


def installation() -> Iterator[Check]:
    """Look at everything but a release; what is found first may be why the rest fails."""
    yield from _packages()
    device = tried("device", _device, "see COHERENCE_DEVICE, or reinstall torch for this machine")
    yield device
    if device.state == "ok":  # torch can be imported
        yield from _driver()
        yield _memory()
    yield tried("cache", _cache, "set COHERENCE_CACHE to a folder that can be written")
    yield _disk()
    yield _reference()
    yield _store()


def _packages() -> Iterator[Check]:
    requirements = [Requirement(line) for line in requires(_DISTRIBUTION) or ()]
    needed = [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    checked = [_package(one) for one in needed]
    others = [check for check in checked if check.what not in _NAMED and check.state == "ok"]
    yield from (check for check in checked if check not in others)
    yield Check("ok", "other packages", f"{len(others)} are there in the versions that are needed")


def _package(requirement: Requirement) -> Check:
    do = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return Check("fail", requirement.name, "is not installed", do)
    if not requirement.specifier.contains(installed, prereleases=True):
        return Check("fail", requirement.name, f"found {installed}, expected {requirement.specifier}", do)
    return Check("ok", requirement.name, installed)


def _device() -> str:
    import torch

    from coherence.engine.model.loading import placement

    chosen = placement(0)
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"{chosen} ({', '.join(names) or 'no GPU is seen'})"


def _driver() -> Iterator[Check]:
    import torch

    if _DRIVER.exists() and not torch.cuda.is_available():
        sentence = f"this machine has a driver for NVIDIA GPUs, but torch {torch.__version__} sees none"
        yield Check("warn", "GPU", sentence, "install a build of torch for its CUDA version")


def _cache() -> str:
    cache_root().mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=cache_root()):
        return f"{cache_root()} can be written"


def _memory() -> Check:
    from coherence.engine.model.loading import available_memory

    return _room("memory", available_memory(), "end other programs, or take a machine with more")


def _disk() -> Check:
    folder = next(path for path in (cache_root(), *cache_root().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    return _room("disk", free, "make room, or set COHERENCE_CACHE to a folder on another disk")


def _room(what: str, free: int, do: str) -> Check:
    if free >= _ROOM:
        return Check("ok", what, f"{readable(free)} are free")
    return Check(
        "warn", what, f"{readable(free)} are free, and the reference model takes {readable(_ROOM)}", do
    )


def _reference() -> Check:
    from coherence.engine.artefacts.reference_model import fetched

    folder = fetched()
    if folder is None:
        return Check("warn", "reference model", "is not here yet", "`coherence fetch` downloads its 93 MB")
    return Check("ok", "reference model", f"is in {folder}")


def _store() -> Check:
    """Look at the head of every entry; `coherence store verify` reads the whole."""
    root = store_root()
    if not root.exists():
        return Check("ok", "store", f"nothing was measured yet; it will be in {root}")
    try:
        groups = contents(Store(root).entries())
    except StoreError as problem:
        return Check("fail", "store", problem.sentence)
    entries, size = sum(group.entries for group in groups), sum(group.size for group in groups)
    content = f"{entries} entries, {readable(size)}, in {root}"
    if damaged := sum(group.entries for group in groups if group.kind == "damaged"):
        sentence = f"{damaged} of {content} are damaged"
        return Check(
            "warn", "store", sentence, "`coherence store verify --remove` lets them be measured again"
        )
    return Check("ok", "store", content)
