"""The artefacts of a release as the engine uses them: where they are, and what identifies them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from coherence.engine.artefacts.digests import file_digest, folder_digest
from coherence.engine.artefacts.resolve import adapter_folder, base_folder
from coherence.errors import CoherenceError, Place
from coherence.plan import Condition, Extract
from coherence.vocabulary import Release


class Artefacts:
    """A release, the vectors that it makes itself, and the lines that named each artefact.

    `places` keys are such as `release.base` or `release.adapters.pirate`; an error carries the place.
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
        with self.blaming("base"):
            return base_folder(self.release.base)

    def adapter(self, name: str) -> Path:
        """Return the folder of an adapter."""
        with self.blaming("adapters", name):
            return adapter_folder(self.release.adapters[name])

    @cached_property
    def base_digest(self) -> str:
        """Digest of the base model's folder: weights, config, tokenizer and chat template."""
        with self.blaming("base"):
            return folder_digest(self.base)

    @cached_property
    def model_type(self) -> str | None:
        """What the base's config.json says that it is; None when it says nothing that can be read."""
        try:
            config = json.loads((self.base / "config.json").read_text())
        except (OSError, ValueError):
            return None
        return str(config.get("model_type")) if isinstance(config, dict) else None

    def adapter_digest(self, name: str) -> str:
        """Digest an adapter's folder, once."""
        return self._once("adapters", name, lambda: folder_digest(self.adapter(name)))

    def vector_digest(self, name: str) -> str:
        """Digest a vector file; of a vector that the suite makes, what it is made of."""
        return self._once("vectors", name, lambda: self._vector_digest(name))

    def _vector_digest(self, name: str) -> str:
        source = self.release.vectors[name]
        if source.path is None:
            return self._extract_digest(self.extracts[name])
        return f"{file_digest(Path(source.path))} {source.site} {source.layers}"

    def _extract_digest(self, extract: Extract) -> str:
        carried = [self.adapter_digest(adapter) for adapter, _ in extract.positive.adapters]
        return sha256("".join([repr(extract), *carried]).encode()).hexdigest()

    def _once(self, kind: str, name: str, digest: Callable[[], str]) -> str:
        if (kind, name) not in self._digests:
            with self.blaming(kind, name):
                self._digests[kind, name] = digest()
        return self._digests[kind, name]

    @contextmanager
    def blaming(self, kind: str, name: str = "") -> Iterator[None]:
        """Say problems of the artefact, by its name, and with the line that named it."""
        try:
            yield
        except CoherenceError as problem:
            what = f"{kind.removesuffix('s')} {name!r}" if name else f"base {self.release.base!r}"
            said = problem.sentence if what in problem.sentence else f"{what}: {problem.sentence}"
            place = self._places.get(".".join(part for part in ("release", kind, name) if part))
            raise type(problem)(said, problem.place or place) from problem

    def named_in(self, condition: Condition) -> dict[str, str]:
        """Map the artefacts of a condition to what the release calls them and the start of their digests."""
        adapters = {
            f"adapter {name}": f"{self.release.adapters[name]} {self.adapter_digest(name)[:12]}"
            for name, _ in condition.adapters
        }
        vectors = {
            f"vector {name}": f"{self.release.vectors[name].path or 'extracted'} "
            f"{self.vector_digest(name)[:12]}"
            for steer in condition.steers
            for name in (steer.among or (steer.vector,))
        }
        return adapters | vectors
