"""Checks of a release: whether base, adapters and vectors are found, can be read, and fit each other."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path

from coherence.doctor.adapter_remarks import AdapterFolder, Folder
from coherence.doctor.check import Check, tried
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.resolve import adapter_here, base_here
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.artefacts.vectors.gguf_file import hinted_family
from coherence.errors import CoherenceError, SuiteError, told
from coherence.suite import Overrides, Suite, load_suite
from coherence.vocabulary import Site


def release(path: Path) -> Iterator[Check]:
    """Look at a suite and its artefacts. No weights of the base are loaded, and nothing is downloaded."""
    try:
        suite = load_suite(path, Overrides())
    except SuiteError as problem:
        yield Check("fail", "suite", str(problem), f"see `coherence validate {path}`")
        return
    yield Check("ok", "suite", f"{path}, {len(suite.assertions)} assertions")
    yield from _Examination(suite).checks()


class _Examination:
    """A release, its base once it was found, and the lines that named its artefacts."""

    def __init__(self, suite: Suite) -> None:
        self.release = suite.scene.release
        self.artefacts = Artefacts.of(suite.scene, suite.places)

    def checks(self) -> Iterator[Check]:
        """Look at the base, and at the rest if there is a base to hold it against."""
        try:
            base = self._base()
        except CoherenceError as problem:
            yield Check("fail", "base", str(problem), "adapters and vectors are not looked at")
            return
        if base is None:
            found = f"{self.release.base} is not on this machine: adapters and vectors are not looked at"
            yield Check("warn", "base", found, "the first run downloads it")
            return
        size = f"{base.parameters / 1e6:.1f} million parameters, {base.blocks} blocks of width {base.width}"
        yield Check("ok", "base", f"{self.release.base}: {size}")
        yield tried("room", partial(self._room, base))
        folder = Folder(base.folder)
        for name in self.release.adapters:
            check = tried(f"adapter {name}", partial(self._adapter, base, name))
            yield check
            if check.state != "fail":
                yield from self._remarks(folder, name)
        for name in self.release.vectors:
            yield tried(f"vector {name}", partial(self._vector, base, name))

    def _base(self) -> Skeleton | None:
        with self.artefacts.blaming("base"):
            folder = base_here(self.release.base)
            return Skeleton(folder) if folder else None

    def _room(self, base: Skeleton) -> str:
        with self.artefacts.blaming("base"):
            return f"in {self.release.dtype} it fits on {base.room(self.release.dtype)}"

    def _adapter(self, base: Skeleton, name: str) -> str | Check:
        named = self.release.adapters[name]
        with self.artefacts.blaming("adapters", name):
            folder = adapter_here(named)
            if folder is None:
                return f"{named} is not on this machine; the first run downloads it"
            remark = base.carry(folder, name)
        if remark:
            return Check("warn", f"adapter {name}", f"{named} fits the base, but {remark}")
        return f"{named} fits the base"

    def _remarks(self, base: Folder, name: str) -> Iterator[Check]:
        """Yield what of an adapter that fits should be known before it is measured, or served."""
        folders = self._folders
        if name not in folders:
            return
        others = {other: one.scale for other, one in folders.items() if other != name and one.scale}
        try:
            yield from folders[name].remarks(self.release.base, base, others)
        except Exception as problem:
            yield Check("fail", f"adapter {name}", told(problem))

    @cached_property
    def _folders(self) -> dict[str, AdapterFolder]:
        """Folders of the adapters that are on this machine."""
        found = {}
        for name, named in self.release.adapters.items():
            with suppress(CoherenceError):
                if folder := adapter_here(named):
                    found[name] = AdapterFolder(folder, name)
        return found

    def _vector(self, base: Skeleton, name: str) -> str | Check:
        source = self.release.vectors[name]
        if source.extract is not None:
            return f"is extracted from the prompt of {source.extract.persona} at {source.extract.site}"
        with self.artefacts.blaming("vectors", name):
            vector = base.vector(source, name)
        unused = f"; {vector.remark}" if vector.remark else ""
        found = f"{source.path} fits the base, at {_listed(list(vector.directions))}{unused}"
        hinted = hinted_family(vector.metadata, base.family)
        if hinted is None:
            return found
        said = f"{found}, but says that it is for {hinted}, and the base is {base.family}"
        return Check("warn", f"vector {name}", said, "see that it was made on this base")


def _listed(sites: Sequence[Site]) -> str:
    first, *others = sites
    return f"{len(sites)} sites from {first} to {others[-1]}" if others else str(first)
