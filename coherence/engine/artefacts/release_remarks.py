"""What the artefacts of a release say of each other, and a baseline of them, before anything is measured."""

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from coherence.engine.artefacts.adapter_remarks import AdapterFolder, of_extremes
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.digests import file_digest
from coherence.engine.artefacts.keys import extremes_key
from coherence.engine.artefacts.model_folder import ModelFolder
from coherence.engine.artefacts.remark import Remark
from coherence.engine.artefacts.resolve import adapter_here, base_here
from coherence.engine.artefacts.vectors.gguf_file import hinted_family, read_gguf
from coherence.engine.model.folder import adapter_files
from coherence.errors import CoherenceError, StoreError, listed
from coherence.plan import Answer
from coherence.store import Store
from coherence.vocabulary import VectorSource

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Blessed:
    """What a baseline says of artefacts: the starts of their digests, as `adapter pirate`, and scales."""

    digests: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)


_NOTHING = Blessed()
_EACH_ITS_OWN = "see that each name has the one that is meant for it"


class ReleaseRemarks:
    """Remarks on adapters and vectors of a release that are on this machine; nothing is fetched.

    With a store, what is known of an adapter's weights is taken from there, and kept there.
    """

    def __init__(self, artefacts: Artefacts, store: Store | None = None, blessed: Blessed = _NOTHING) -> None:
        self._artefacts = artefacts
        self._release = artefacts.release
        self._store = store
        self._blessed = blessed

    def of(self, kind: str, name: str) -> list[Remark]:
        """Return what is to be said of an artefact. What cannot be read is said where it is loaded."""
        try:
            return list(self._of_adapter(name) if kind == "adapters" else self._of_vector(name))
        except Exception as problem:  # files that nobody checked yet may make a reader raise anything
            _log.debug("nothing is said of %s: %s", name, problem, exc_info=problem)
            return []

    @property
    def scales(self) -> dict[str, float]:
        """What the products of adapters are multiplied by, where that can be told."""
        return {name: folder.scale for name, folder in self._folders.items() if folder.scale}

    def _of_adapter(self, name: str) -> Iterator[Remark]:
        folder, base = self._folders.get(name), self._base
        if folder is None or base is None:
            return
        others = {other: scale for other, scale in self.scales.items() if other != name}
        yield from folder.remarks(self._release.base, base, others, self._blessed.scales.get(name))
        yield from self._same_bytes("adapter", name, self._weight_digests)
        yield from of_extremes(self._extremes(name, folder))

    def _of_vector(self, name: str) -> Iterator[Remark]:
        yield from self._made_for(self._release.vectors[name])
        yield from self._same_bytes("vector", name, self._vector_digests)

    def _made_for(self, source: VectorSource) -> Iterator[Remark]:
        family = self._base and self._base.family
        if not family or source.path is None or Path(source.path).suffix != ".gguf":
            return
        if hinted := hinted_family(read_gguf(Path(source.path)).metadata, family):
            yield Remark(
                f"says that it is for {hinted}, and the base is {family}",
                "see that it was made on this base",
                explains=True,
            )

    def _same_bytes(self, kind: str, name: str, digests: Mapping[str, str]) -> Iterator[Remark]:
        """Yield that it is another one under a name of its own, in this release or since the baseline."""
        same = [other for other, digest in digests.items() if digest == digests.get(name) and other != name]
        if same:
            yield self._twins(kind, name, same)
        elif was := self._called_before(f"{kind} {name}"):
            yield Remark(
                f"is, byte by byte, what the baseline has as the {' and the '.join(was)}",
                _EACH_ITS_OWN,
                explains=True,
                plainly=self._moved(kind, name, [other.removeprefix(f"{kind} ") for other in was]),
            )

    def _twins(self, kind: str, name: str, same: Sequence[str]) -> Remark:
        """Say of an artefact that others hold its weights; which explains a claim unless it is in place."""
        others = listed([repr(other) for other in same], shown=3)
        misplaced = self._misplaced(kind, {name, *same})
        owners = [other for other in same if other not in misplaced]
        return Remark(
            f"holds the same weights as the {kind} {others}, byte by byte",
            _EACH_ITS_OWN,
            explains=not misplaced or name in misplaced,
            plainly=f"{name}'s {kind} is {_owned(owners)}, byte by byte" if name in misplaced else None,
            same_as=() if misplaced else tuple(same),
        )

    def _misplaced(self, kind: str, names: Set[str]) -> Set[str]:
        """Find those of the same weights that do not belong where they are; none where it cannot be told.

        One that the baseline has under its name belongs there, and one that a folder is named for.
        """
        kept = {name for name in names if self._is_kept(kind, name)}
        borrowed = {name for name in names if self._named_for(kind, name) in names - {name}}
        for wrong in (names - kept if kept else set(), borrowed):
            if wrong and wrong != names:
                return wrong
        return set()

    def _named_for(self, kind: str, name: str) -> str | None:
        """Return what its file or folder is called."""
        if kind == "adapter":
            return Path(self._release.adapters[name].partition("@")[0]).name
        path = self._release.vectors[name].path
        return None if path is None else Path(path).stem

    def _moved(self, kind: str, name: str, was: Sequence[str]) -> str:
        """Say plainly under whose name it was, and that two are exchanged where they are."""
        for other in was:
            if other in self._names(kind) and f"{kind} {name}" in self._called_before(f"{kind} {other}"):
                first, second = sorted((name, other))
                return f"the {kind}s of {first} and {second} are exchanged since the baseline"
        return f"{name}'s {kind} is what the baseline has as {_owned(was)}, byte by byte"

    def _names(self, kind: str) -> Collection[str]:
        return self._release.adapters if kind == "adapter" else self._release.vectors

    def _is_kept(self, kind: str, name: str) -> bool:
        before = self._blessed.digests.get(f"{kind} {name}")
        return before is not None and bool(self._digest_of(kind, name).startswith(before))

    def _called_before(self, named: str) -> list[str]:
        """Return what the baseline calls the artefact, if it is not the same."""
        kind, _, name = named.partition(" ")
        if not self._blessed.digests or (kind == "vector" and self._release.vectors[name].key is not None):
            return []  # of the vectors that lie in one file, a baseline has the digest of the file
        digest = self._digest_of(kind, name)
        was = [other for other, before in self._blessed.digests.items() if before == digest[: len(before)]]
        return [] if named in was else was

    def _digest_of(self, kind: str, name: str) -> str:
        """Return the digest that a baseline would have of an adapter, or of a vector from a file."""
        if kind == "adapter":
            return self._artefacts.adapter_digest(name)
        return self._vector_digests.get(name, "")

    def _extremes(self, name: str, folder: AdapterFolder) -> dict[str, float]:
        if self._store is None:
            return folder.extremes()
        key = extremes_key(name, self._artefacts)
        stored = self._store.get(key)
        if isinstance(stored, Answer):
            return dict(json.loads(stored.text))
        extremes = folder.extremes()
        with suppress(StoreError):  # a store that cannot be written costs time
            self._store.put(key, Answer(json.dumps(extremes), ()))
        return extremes

    @cached_property
    def _base(self) -> ModelFolder | None:
        folder = base_here(self._release.base)
        return ModelFolder(folder) if folder else None

    @cached_property
    def _folders(self) -> dict[str, AdapterFolder]:
        """Folders of the adapters that are on this machine."""
        folders = {}
        for name, named in self._release.adapters.items():
            with suppress(CoherenceError):
                if folder := adapter_here(named):
                    folders[name] = AdapterFolder(folder)
        return folders

    @cached_property
    def _weight_digests(self) -> dict[str, str]:
        digests = {}
        for name, folder in self._folders.items():
            with suppress(CoherenceError):
                digests[name] = " ".join(map(file_digest, adapter_files(folder.path)))
        return digests

    @cached_property
    def _vector_digests(self) -> dict[str, str]:
        """Digests of vectors from files, each with what the release says of its place in the file."""
        digests = {}
        for name, source in self._release.vectors.items():
            if source.path is not None:
                with suppress(CoherenceError):
                    digests[name] = self._artefacts.vector_digest(name)
        return digests


def _owned(names: Sequence[str]) -> str:
    return " and ".join(f"{name}'s" for name in names)
