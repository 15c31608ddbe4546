"""The artefacts of a release as the engine uses them: where they are, and what identifies them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

from coherence.engine.artefacts.digests import (
    counted_files,
    digest_of,
    file_digest,
    folder_files,
    model_files,
    stamps,
    written_since,
)
from coherence.engine.artefacts.generation_settings import GenerationSettings
from coherence.engine.artefacts.memo import Stamp, forget
from coherence.engine.artefacts.resolve import adapter_folder, base_folder, pinned
from coherence.engine.artefacts.template import Template
from coherence.engine.model.folder import CONFIG, json_told
from coherence.engine.model.quantization import Quantization
from coherence.engine.model.rounding import remark
from coherence.errors import (
    ArtefactError,
    CoherenceError,
    MeasurementError,
    Place,
    ServerError,
    in_a_sentence,
)
from coherence.plan import Condition, Extract, Scene, Steer
from coherence.served.address import Address
from coherence.served.client import Client
from coherence.served.server import Server
from coherence.vocabulary import ArtefactFiles, Decoding, OtherModel, Release, Templating
from coherence.vocabulary.release import NO_SERVER, ServedAt
from coherence.vocabulary.templating import AS_IT_IS

Named = tuple[str, str]
"""What kind of artefact, as a release has them, and its name there; the base has none."""

_CHANGED = (
    "is not what it was when its digest was taken: it was changed while the run went on, and what was "
    "measured of it is not kept; run again"
)


_NOWHERE = (
    "a server has the base, one whole adapter at a time, and a vector that `steered` names, at its persona's "
    "dose"
)


class _Taken(NamedTuple):
    """The digest of an artefact, and of each of its files by its name."""

    digest: str
    files: dict[str, str]


class Artefacts:
    """A release, the vectors that it makes itself, and the lines that named each artefact.

    `places` keys are such as `release.base` or `release.adapters.pirate`; an error carries the place.
    `templating` is what the chat template is told.
    """

    def __init__(
        self,
        release: Release,
        extracts: Mapping[str, Extract],
        places: Mapping[str, Place] | None = None,
        templating: Templating = AS_IT_IS,
    ) -> None:
        self.release = release
        self.extracts = extracts
        self.templating = templating
        self._places = places or {}
        self._digests: dict[Named, _Taken] = {}
        # When the files that digests are of had been written.
        self._stamps: dict[Named, dict[Path, Stamp]] = {}
        self._artefact_files: dict[Named, ArtefactFiles] = {}
        self._others: dict[OtherModel, Artefacts] = {}
        # Servers of vectors, by their URLs.
        self._steered: dict[str, Server] = {}
        # Those whose digests were asked for inside `unchanged`.
        self._asked: set[Named] = set()

    @classmethod
    def of(cls, scene: Scene, places: Mapping[str, Place] | None = None) -> Self:
        """Take those of a scene."""
        return cls(scene.release, scene.extracts, places, scene.templating)

    @cached_property
    def template(self) -> Template:
        """What the files of the base say of its chat template."""
        return Template.of(self.base)

    @cached_property
    def day(self) -> str | None:
        """The day that the chat template is told, ISO 8601; None where it asks for none."""
        dated = self.template.writes_date(self.templating)
        return self.templating.day.isoformat() if dated else None

    @cached_property
    def generation(self) -> GenerationSettings:
        """What the base ships for decoding."""
        with self.blaming("base"):
            return GenerationSettings.of(self.base)

    def decoding(self, written: Decoding) -> Decoding:
        """Return decoding with the base's own settings in it, where a suite leaves it to those."""
        if not written.as_:
            return written
        with self.blaming("base"):
            return self.generation.applied(written)

    @cached_property
    def base(self) -> Path:
        """Folder of the base model, or its GGUF file."""
        with self.blaming("base"):
            return base_folder(self.release.base)

    def adapter(self, name: str) -> Path:
        """Return the folder of an adapter."""
        with self.blaming("adapters", name):
            return adapter_folder(self.release.adapters[name])

    @property
    def base_digest(self) -> str:
        """Digest of the base model's files: weights, config, tokenizer and chat template."""
        return self._digest("base")

    @cached_property
    def model_type(self) -> str | None:
        """What the base's config.json says that it is; None when it says nothing that can be read."""
        kind = json_told(self.base / CONFIG).get("model_type")
        return None if kind is None else str(kind)

    @cached_property
    def quantization(self) -> Quantization | None:
        """How the base's weights are quantized, by its config.json; a GGUF file is dequantized."""
        return Quantization.of(json_told(self.base / CONFIG))

    @cached_property
    def server(self) -> Server:
        """Where the release is served; a ServerError where it says nothing of that, or nothing sensible."""
        if self.release.served is None:
            raise ServerError(NO_SERVER)
        return self._server_at(self.release.served, self.release.served.url)

    def at_server(self, condition: Condition) -> tuple[Server, str]:
        """Where what a condition puts into the model beside its prompt is served, and under which name.

        A MeasurementError where it is nowhere: a server has the base, and a whole adapter or vector.
        """
        served, server, model = self.release.served, self.server, None
        if condition.steers and served:
            place = served.steered.get(_whole_vector(condition) or "")
            if place is None:
                raise MeasurementError(_NOWHERE)
            if "://" in place:
                server = self._steered_server(served, place)
            else:
                model = place
        match condition.adapters:
            case () if not (condition.patch or condition.cap):
                own = served.base if served and server is self.server else None
                return server, model or own or server.base
            case ((name, 1.0),) if not (condition.patch or condition.cap or model):
                return server, served.names.get(name, name) if served else name
        raise MeasurementError(_NOWHERE)

    def _steered_server(self, served: ServedAt, url: str) -> Server:
        if url not in self._steered:
            self._steered[url] = self._server_at(served, url)
        return self._steered[url]

    def _server_at(self, served: ServedAt, url: str) -> Server:
        try:
            return Server(Client(Address.parse(url, served.key_env)), served.kind)
        except ServerError as problem:
            raise ServerError(problem.sentence, self._places.get("release.served")) from None

    def of_model(self, other: OtherModel) -> "Artefacts":
        """Take another model for a release of its own: a base that is run here, or what a server has."""
        if other not in self._others:
            at = ServedAt(url=other.url, base=other.model, key_env=other.key_env) if other.url else None
            model = {} if other.url else {"base": other.model}
            self._others[other] = Artefacts(Release(**model, served=at), {})
        return self._others[other]

    @contextmanager
    def blaming_model(self, other: OtherModel) -> Iterator["Artefacts"]:
        """Take another model as `of_model` does; say problems of it by its name, whatever raised them."""
        try:
            yield self.of_model(other)
        except Exception as error:
            problem = in_a_sentence(error)
            sentence = f"the {type(other).__name__.lower()} {other} cannot be asked: {problem.sentence}"
            raise type(problem)(sentence, problem.place) from error

    def rounding(self, tolerance: float) -> str | None:
        """Say that a law's tolerance is less than what this base rounds; None where it is not."""
        return remark(tolerance, self.release.dtype, self.quantization)

    def adapter_digest(self, name: str) -> str:
        """Digest an adapter's folder, once."""
        return self._digest("adapters", name)

    def vector_digest(self, name: str) -> str:
        """Digest a vector file and what is done with it, once; of one that the suite makes, its making."""
        return self._digest("vectors", name)

    def forget(self) -> None:
        """Have all digests taken anew, of files too that look as they did when theirs was remembered."""
        named = [("base", ""), *(("adapters", name) for name in self.release.adapters)]
        for kind, name in (*named, *(("vectors", name) for name in self.release.vectors)):
            with suppress(CoherenceError):  # who measures says why there are no such files
                for file in self._files(kind, name):
                    forget(file)

    @contextmanager
    def reading(self, kind: str, name: str = "") -> Iterator[None]:
        """Read an artefact inside, blamed for what goes wrong; it must be what its digest is of."""
        with self.blaming(kind, name):
            before = self._digest(kind, name)
            self._stamps.setdefault((kind, name), self._stamp(kind, name))
            yield
            if self._taken(kind, name).digest != before:
                raise ArtefactError(_CHANGED)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Make the key of a value that is to be kept inside.

        An ArtefactError when an artefact that it names was written to since its digest was taken: what was
        measured may be of another one, as weights are read from the disk while they are used.
        """
        self._asked.clear()
        yield
        for kind, name in sorted(self._asked & self._stamps.keys()):
            with self.blaming(kind, name):
                self._require_unwritten(kind, name)

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind the stamps, which on another machine are others for the same files, and servers."""
        here: dict[str, Any] = {"_stamps": {}, "_steered": {}}
        return {name: value for name, value in vars(self).items() if name != "server"} | here

    def _digest(self, kind: str, name: str = "") -> str:
        self._asked.add((kind, name))
        if (kind, name) not in self._digests:
            with self.blaming(kind, name):
                # Before it is read: what is written meanwhile is then seen later.
                self._stamps[kind, name] = self._stamp(kind, name)
                self._digests[kind, name] = self._taken(kind, name)
        return self._digests[kind, name].digest

    def _require_unwritten(self, kind: str, name: str) -> None:
        now, before = self._stamp(kind, name), self._stamps[kind, name]
        if now == before:
            return
        if written_since(before, now) or self._taken(kind, name) != self._digests[kind, name]:
            raise ArtefactError(_CHANGED)
        self._stamps[kind, name] = now

    def _stamp(self, kind: str, name: str) -> dict[Path, Stamp]:
        return stamps(self._files(kind, name))

    def _files(self, kind: str, name: str) -> list[Path]:
        if kind == "base":
            return counted_files(self.base)
        if kind == "adapters":
            return counted_files(self.adapter(name))
        source = self.release.vectors[name]
        if source.path is not None:
            return [Path(source.path)]
        carried = self.extracts[name].positive.adapters
        return [file for adapter, _ in carried for file in self._files("adapters", adapter)]

    def _taken(self, kind: str, name: str) -> _Taken:
        if kind != "vectors":
            path = self.base if kind == "base" else self.adapter(name)
            files = model_files(path) if kind == "base" else folder_files(path)
            return _Taken(digest_of(path, files), files)
        deployed = self.release.vectors[name].deployed
        own = self._vector_taken(name)
        return (
            own._replace(digest=sha256(f"{own.digest} {deployed}".encode()).hexdigest()) if deployed else own
        )

    def _vector_taken(self, name: str) -> _Taken:
        source = self.release.vectors[name]
        if source.path is None:
            return _Taken(self._extract_digest(self.extracts[name]), {})
        path = Path(source.path)
        file = file_digest(path)
        where = f"{file} {source.site} {source.layers}"
        return _Taken(where if source.key is None else f"{where} {source.key}", {path.name: file})

    def _extract_digest(self, extract: Extract) -> str:
        carried = [self.adapter_digest(adapter) for adapter, _ in extract.positive.adapters]
        return sha256("".join([repr(extract), *carried]).encode()).hexdigest()

    @contextmanager
    def blaming(self, kind: str, name: str = "") -> Iterator[None]:
        """Say problems of the artefact, whatever raised them, by its name and with the line that named it."""
        try:
            yield
        except Exception as error:
            raise self.blamed(in_a_sentence(error), kind, name) from error

    def blamed(self, problem: CoherenceError, kind: str, name: str = "") -> CoherenceError:
        """Return a problem of the artefact with its name, and with the line that named it."""
        what = f"{kind.removesuffix('s')} {name!r}" if name else f"base {self.release.base!r}"
        sentence = problem.sentence if what in problem.sentence else f"{what}: {problem.sentence}"
        place = self._places.get(".".join(part for part in ("release", kind, name) if part))
        return type(problem)(sentence, problem.place or place)

    def files_in(self, conditions: Iterable[Condition]) -> list[ArtefactFiles]:
        """Return what takes part in conditions, each once, with its files: the base first.

        That is also the adapter that a vector is extracted under: whoever serves the vector rests on it.
        """
        named: dict[Named, None] = {("base", ""): None}
        for condition in conditions:
            named |= dict.fromkeys(self.carried_by(condition))
        return [self._described(*one) for one in named]

    def carried_by(self, condition: Condition) -> Iterator[Named]:
        """Yield the artefacts of a condition, and those that its vectors are extracted under."""
        for kind, name in self._own(condition):
            yield kind, name
            if kind == "vectors" and name in self.extracts:
                yield from self.carried_by(self.extracts[name].positive)

    def _own(self, condition: Condition) -> Iterator[Named]:
        for name, _ in condition.adapters:
            yield "adapters", name
        for steer in condition.steers:
            for name in steer.among or (steer.vector,):
                yield "vectors", name

    def _described(self, kind: str, name: str) -> ArtefactFiles:
        if (kind, name) not in self._artefact_files:
            digest = self._digest(kind, name)
            self._artefact_files[kind, name] = ArtefactFiles(
                name=f"{kind.removesuffix('s')} {name}".strip(),
                named=self._named(kind, name),
                digest=digest,
                files=self._digests[kind, name].files,
            )
        return self._artefact_files[kind, name]

    def _named(self, kind: str, name: str) -> str:
        if kind == "base":
            return pinned(self.release.base, self.base)
        if kind == "adapters":
            return pinned(self.release.adapters[name], self.adapter(name))
        return self.release.vectors[name].path or "extracted"


def _whole_vector(condition: Condition) -> str | None:
    """Name the vector that is all that steers, as the release has it."""
    match condition.steers:
        case (steer,) if steer == Steer(steer.vector, steer.dose):
            return steer.vector
    return None
