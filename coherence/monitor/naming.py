"""Naming: whose a conversation is, by what its line says."""

from collections.abc import Mapping
from dataclasses import dataclass

from coherence.errors import SuiteError, UnknownNameError, did_you_mean
from coherence.plan import Scene


@dataclass(frozen=True)
class Naming:
    """Personas by the names of the releases that spoke for them; a persona goes by its own name as well."""

    personas: tuple[str, ...]
    releases: Mapping[str, str]

    @classmethod
    def of(cls, scene: Scene, told: Mapping[str, str]) -> "Naming":
        """Take what is told, then the names that the suite's server has for adapters.

        An UnknownNameError says which persona the suite has not.
        """
        personas = tuple(scene.personas)
        for release, persona in told.items():
            if persona not in scene.personas:
                raise UnknownNameError(
                    f"--release {release}={persona}: no persona is named {persona!r}"
                    f"{did_you_mean(persona, personas)}"
                )
        served = scene.release.served.names if scene.release.served else {}
        by_adapter = {scene.adapter_of(persona): persona for persona in personas}
        listed = {name: by_adapter[adapter] for adapter, name in served.items() if adapter in by_adapter}
        return cls(personas, {**listed, **told})

    def persona(self, named: str | None, release: str) -> str:
        """Find whose it is; an UnknownNameError says which name is nobody's."""
        if named is not None:
            if named not in self.personas:
                raise UnknownNameError(f"no persona is named {named!r}{did_you_mean(named, self.personas)}")
            return named
        if found := self.releases.get(release, release if release in self.personas else None):
            return found
        known = {*self.personas, *self.releases}
        raise UnknownNameError(
            f"the release {release!r} speaks for no persona that is known{did_you_mean(release, known)}; "
            f"expected `persona` in the line, or --release {release}=PERSONA"
        )

    def required(self, scene: Scene, persona: str) -> None:
        """Refuse a persona without a prompt: nothing else says where it is at home."""
        if scene.personas[persona].prompt is None:
            raise SuiteError(
                f"persona {persona!r} has no prompt, and where it is at home is learnt from prompted replies"
            )
