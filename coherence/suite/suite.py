"""A suite that has been read: its scene, and one assertion per case of its properties."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from coherence.errors import Place
from coherence.plan import Measurement, Scene
from coherence.properties import Case, Property
from coherence.suite.overrides import Overrides
from coherence.vocabulary import Expectation
from coherence.vocabulary.tier import Tier


@dataclass(frozen=True)
class Assertion:
    """One case, with the identity that it has in every report: `<persona>.<property or id>.<slug>`."""

    id: str
    family: str
    property: Property
    case: Case
    expect: Expectation
    tier: Tier
    place: Place

    def begun_control_needs(self) -> Iterator[Measurement]:
        """Yield what its controls want measured whatever is found, where the claim passes."""
        if self.expect == "pass":
            yield from self.case.begun_controls()

    def control_needs(self) -> Iterator[Measurement]:
        """Yield all that its controls may want measured; a claim that is expected to fail has none."""
        if self.expect == "pass":
            for cases in self.case.controls().values():
                for case in cases:
                    yield from case.needs()


@dataclass(frozen=True, eq=False)
class Suite:
    """A scene and its assertions; `places` has the lines of `release.base`, `release.adapters.NAME`, ..."""

    path: Path
    overrides: Overrides
    scene: Scene
    places: Mapping[str, Place]
    assertions: tuple[Assertion, ...]

    @property
    def release_key(self) -> str:
        """The same for suites whose measurements come from one loaded model."""
        scene = self.scene
        return f"{scene.release.model_dump_json()} {scene.extracts!r} {scene.templating!r}"
