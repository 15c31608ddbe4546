"""Releases that one loaded model measures: those that differ by adapters and vectors alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.plan import Scene
from coherence.suite import Suite

_Named = TypeVar("_Named")


def united(suites: Iterable[Suite]) -> list[list[Suite]]:
    """Put suites together that one loaded model serves: of one base, with no name that means two things."""
    groups: list[list[Suite]] = []
    for suite in suites:
        fitting = (group for group in groups if all(_go_together(one.scene, suite.scene) for one in group))
        group = next(fitting, None)
        if group is None:
            groups.append([suite])
        else:
            group.append(suite)
    return groups


def artefacts_of(suites: Sequence[Suite]) -> Artefacts:
    """Return the artefacts of all releases of suites that go together."""
    scenes, base = [suite.scene for suite in suites], suites[0].scene
    adapters = _all(scene.release.adapters for scene in scenes)
    vectors = _all(scene.release.vectors for scene in scenes)
    release = base.release.model_copy(update={"adapters": adapters, "vectors": vectors})
    places = _all(suite.places for suite in reversed(suites))  # the first that names one is blamed for it
    return Artefacts(release, _all(scene.extracts for scene in scenes), places, base.templating)


def _go_together(one: Scene, other: Scene) -> bool:
    return _base(one) == _base(other) and all(
        ours[name] == theirs[name]
        for ours, theirs in zip(_names(one), _names(other), strict=True)
        for name in ours.keys() & theirs.keys()
    )


def _base(scene: Scene) -> tuple[Any, ...]:
    """Return what of a release belongs to the loaded model."""
    bare = scene.release.model_copy(update={"adapters": {}, "vectors": {}, "training": {}})
    return bare, scene.templating


def _names(scene: Scene) -> tuple[Mapping[str, Any], ...]:
    return scene.release.adapters, scene.release.vectors, scene.extracts


def _all(several: Iterable[Mapping[str, _Named]]) -> dict[str, _Named]:
    return {name: one for each in several for name, one in each.items()}
