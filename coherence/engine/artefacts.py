"""The artefacts of a release as the engine uses them: where they are, and what identifies them."""

from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from coherence.engine.digests import file_digest, folder_digest
from coherence.engine.resolve import adapter_folder, base_folder
from coherence.errors import ArtefactError, CoherenceError, Place
from coherence.plan import Condition, Extract
from coherence.vocabulary import Release


class Artefacts:
    """A release, the vectors that it makes itself, and the lines that named each artefact.

    `places` keys are such as `release.base` or `release.adapters.pirate`; an ArtefactError carries the place.
    """

    def __init__(
        self, release: Release, extracts: Mapping[str, Extract], places: Mapping[str, Place] | None = None
    ) -> None:
        self.release = release
        self.extracts = extracts
        self._places = places or {}
        self._digests: dict[tuple[str, str], str] = {}

    @cached_property
    def base(self) -> Path:
        """Folder of the base model."""
        try:
            return base_folder(self.release.base)
        except CoherenceError as problem:
            raise self.blamed(problem, "base") from problem

    def adapter(self, name: str) -> Path:
        """Folder of an adapter."""
        try:
            return adapter_folder(self.release.adapters[name])
        except CoherenceError as problem:
            raise self.blamed(problem, "adapters", name) from problem

    @cached_property
    def base_digest(self) -> str:
        """Digest of the base model's folder: weights, config, tokenizer and chat template."""
        return folder_digest(self.base)

    def adapter_digest(self, name: str) -> str:
        """Digest of an adapter's folder."""
        return self._once(("adapter", name), lambda: folder_digest(self.adapter(name)))

    def vector_digest(self, name: str) -> str:
        """Digest of a vector file; of a vector that the suite makes, what it is made of."""
        return self._once(("vector", name), lambda: self._vector_digest(name))

    def _vector_digest(self, name: str) -> str:
        source = self.release.vectors[name]
        if source.path is None:
            return sha256(repr(self.extracts[name]).encode()).hexdigest()
        try:
            return f"{file_digest(Path(source.path))} {source.site} {source.layers}"
        except OSError as problem:
            error = ArtefactError(f"the file {source.path} cannot be read: {problem.strerror}")
            raise self.blamed(error, "vectors", name) from problem

    def _once(self, what: tuple[str, str], digest: Callable[[], str]) -> str:
        if what not in self._digests:
            self._digests[what] = digest()
        return self._digests[what]

    def blamed(self, problem: CoherenceError, kind: str, name: str = "") -> ArtefactError:
        """The same problem, said of the artefact and with the line that named it."""
        what = f"{kind.removesuffix('s')} {name!r}" if name else f"base {self.release.base!r}"
        place = self._places.get(".".join(part for part in ("release", kind, name) if part))
        return ArtefactError(f"{what}: {problem.sentence}", place)

    def placed(self, problem: CoherenceError, kind: str, name: str) -> CoherenceError:
        """The same problem with the line that named the artefact; its sentence names the artefact already."""
        return type(problem)(problem.sentence, problem.place or self._places.get(f"release.{kind}.{name}"))

    def named_in(self, condition: Condition) -> dict[str, str]:
        """The artefacts that a condition uses: what the release calls them, and the start of their digests."""
        adapters = {
            f"adapter {name}": f"{self.release.adapters[name]} {self.adapter_digest(name)[:12]}"
            for name, _ in condition.adapters
        }
        vectors = {
            f"vector {steer.vector}": f"{self.release.vectors[steer.vector].path or 'extracted'} "
            f"{self.vector_digest(steer.vector)[:12]}"
            for steer in condition.steers
        }
        return adapters | vectors
