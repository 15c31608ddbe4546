"""Artefacts that take the place of a suite's own: the suite stays, releases change."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from coherence.errors import Place, SuiteError, did_you_mean
from coherence.suite.paths import named_here
from coherence.vocabulary import Release
from coherence.vocabulary.release import Dtype, ServedAt

COMMAND_LINE = Place("the command line")


@dataclass(frozen=True)
class Overrides:
    """What the command line, or a file of its options, says of the release.

    Paths are relative to the current directory. `stated` has the places of what stands elsewhere: of `base`,
    of all `adapters`, or of all `vectors`.
    """

    base: str | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    vectors: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    dtype: Dtype | None = None
    served: str | None = None
    place: Place = COMMAND_LINE
    stated: Mapping[str, Place] = field(default_factory=dict)

    def apply(self, release: Release) -> Release:
        """Replace the release's artefacts by name; of a vector all else stays, such as its key and site.

        A name that this release does not have may be that of another suite's: see `require_use`.
        """
        adapters = {
            name: self._here(path, "adapters")
            for name, path in self.adapters.items()
            if name in release.adapters
        }
        vectors = {
            name: release.vectors[name].model_copy(
                update={"path": self._here(path, "vectors"), "extract": None}
            )
            for name, path in self.vectors.items()
            if name in release.vectors
        }
        return release.model_copy(
            update={
                "base": self._here(self.base, "base") if self.base else release.base,
                "dtype": self.dtype or release.dtype,
                "served": self._served(release.served),
                "adapters": release.adapters | adapters,
                "vectors": release.vectors | vectors,
            }
        )

    def require_use(self, releases: Sequence[Release]) -> None:
        """Refuse a name that none of a run's releases has: a SuiteError says which names there are."""
        self._refuse_strangers(
            "adapter", self.adapters, [name for release in releases for name in release.adapters]
        )
        self._refuse_strangers(
            "vector", self.vectors, [name for release in releases for name in release.vectors]
        )

    @property
    def options(self) -> list[str]:
        """What is overridden, as options of `coherence replay`."""
        named = (("adapter", self.adapters), ("vector", self.vectors))
        base = [f"--base={self.base}"] if self.base else []
        base += [f"--dtype={self.dtype}"] if self.dtype else []
        return base + [f"--{kind}={name}={path}" for kind, paths in named for name, path in paths.items()]

    @property
    def places(self) -> dict[str, Place]:
        """The keys of what is overridden, as in `Suite.places`."""
        names = [f"adapters.{name}" for name in self.adapters] + [f"vectors.{name}" for name in self.vectors]
        keys = [*(["base"] if self.base else []), *(["served"] if self.served else []), *names]
        return {f"release.{key}": self._place(key.partition(".")[0]) for key in keys}

    def _served(self, written: ServedAt | None) -> ServedAt | None:
        """Put another URL in the place of the suite's; names and kind stay."""
        if self.served is None:
            return written
        return written.model_copy(update={"url": self.served}) if written else ServedAt(url=self.served)

    def _place(self, key: str) -> Place:
        return self.stated.get(key, self.place)

    def _here(self, text: str, key: str) -> str:
        return named_here(text, self._place(key))

    def _refuse_strangers(self, kind: str, names: Iterable[str], known: Collection[str]) -> None:
        for name in names:
            if name not in known:
                hint = did_you_mean(name, set(known)) or "; there is none at all"
                raise SuiteError(f"no release has the {kind} {name!r}{hint}", self._place(f"{kind}s"))
