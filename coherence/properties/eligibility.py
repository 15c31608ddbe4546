"""Who is judged and between which regimes, when the suite's author leaves it open."""

from collections.abc import Callable, Collection, Sequence
from itertools import combinations, product
from typing import Annotated

from pydantic import AfterValidator, Field

from coherence.errors import SuiteError, UnknownNameError, did_you_mean
from coherence.plan import Scene
from coherence.vocabulary import Marker, Operation, Regime, VectorSource

LEAST_CLUSTERS = 4
LEAST_BYSTANDERS = 2  # what is taken out of either side as generic comes from other control personas
Pair = tuple[Regime, Regime]


def _two_regimes(pair: Pair) -> Pair:
    if pair[0] == pair[1]:
        raise ValueError(f"{pair[0]} is compared with itself; expected two different regimes")
    if Regime.BARE in pair:
        raise ValueError(
            "the bare model has no persona to compare; expected prompt, adapter, steering or a stack"
        )
    return pair


Between = Annotated[
    Annotated[Pair, AfterValidator(_two_regimes)] | None,
    Field(description="The two regimes that are compared; default: every pair of the suite's regimes."),
]


def with_persona(regimes: tuple[Regime, ...] | None) -> tuple[Regime, ...] | None:
    """Refuse the bare model among regimes, with a ValueError."""
    if Regime.BARE in (regimes or ()):
        raise ValueError(
            "the bare model has no persona to keep; expected prompt, adapter, steering or a stack"
        )
    return regimes


def beyond_the_prompt(regimes: tuple[Regime, ...] | None) -> tuple[Regime, ...] | None:
    """Refuse the prompt, and the bare model, among regimes that are held against it, with a ValueError."""
    if Regime.PROMPT in (regimes or ()):
        raise ValueError("prompt is what regimes are held against; expected adapter, steering or a stack")
    return with_persona(regimes)


def _two_personas(couple: tuple[str, str]) -> tuple[str, str]:
    if couple[0] == couple[1]:
        raise ValueError(f"{couple[0]!r} is paired with itself; expected two different personas")
    return couple


Couple = Annotated[tuple[str, str], AfterValidator(_two_personas)]


def pairs(between: Pair | None, scene: Scene) -> list[Pair]:
    """Return the pair that was asked for, or all pairs of the suite's regimes."""
    chosen = [between] if between else list(combinations(scene.regimes, 2))
    if not chosen:
        named = ", ".join(map(str, scene.regimes)) or "none"
        raise SuiteError(f"two regimes are needed for a comparison; the suite's regimes: {named}")
    return chosen


def slug(pair: Pair) -> str:
    """Name a pair in an assertion's id, such as `prompt-adapter`."""
    return f"{pair[0]}-{pair[1]}"


def cast(named: tuple[str, ...] | None, scene: Scene, able: Callable[[str], bool]) -> list[str]:
    """Choose the personas that were named, whether able or not, or else all that are able."""
    for persona in named or ():
        if persona not in scene.personas:
            raise UnknownNameError(f"no persona is named {persona!r}{did_you_mean(persona, scene.personas)}")
    return [persona for persona in scene.personas if able(persona)] if named is None else list(named)


def supporting(regimes: Collection[Regime], scene: Scene) -> list[str]:
    """Find all personas that each of the regimes can put into the model."""
    return list(scene.supporting(regimes))


def apart_from(persona: str, by_kin: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Leave out the unit that a persona is of."""
    return tuple(tuple(unit) for unit in by_kin if persona not in unit)


def bystanders(
    named: tuple[str, ...] | None, scene: Scene, of: Couple, regimes: Collection[Regime], purpose: str
) -> tuple[str, ...]:
    """Choose control personas beside a couple, and no kin of it.

    A SuiteError says so when there are not two for all the regimes.
    """
    able, related = supporting(regimes, scene), {*of}.union(*map(scene.kin_of, of))
    controls = tuple(name for name in cast(named, scene, able.__contains__) if name not in related)
    for name, used in product(controls, regimes):
        scene.condition(name, used)  # complains of an artefact that is missing
    if len(controls) < LEAST_BYSTANDERS:
        *before, last = map(str, regimes)
        every = f"{', '.join(before)} and {last}" if before else last
        raise SuiteError(
            f"{purpose} needs at least two control personas that {every} can put into the model; "
            f"found {', '.join(controls) or 'none'}"
        )
    return controls


def marked(scene: Scene, of: Couple, purpose: str) -> tuple[Marker, ...]:
    """Join the markers of a couple, and what neither ever says; a SuiteError names who has no markers."""
    one, other = (scene.personas[name].markers for name in of)
    for name, markers in zip(of, (one, other), strict=True):
        if all(marker.absent for marker in markers):
            raise SuiteError(f"{purpose} compares markers, and persona {name!r} has none")
    joined = dict.fromkeys((*one, *other))
    return tuple(marker for marker in joined if not marker.absent or (marker in one and marker in other))


def require_adapter(scene: Scene, adapter: str) -> None:
    """Refuse an adapter that the release does not have."""
    if adapter not in scene.release.adapters:
        raise UnknownNameError(
            f"no adapter of the release is named {adapter!r}{did_you_mean(adapter, scene.release.adapters)}"
        )


def require_vector(scene: Scene, key: str, vector: str, operation: Operation) -> VectorSource:
    """Return a vector of the release that a key names, which must do what the key asks of it."""
    vectors = scene.release.vectors
    if vector not in vectors:
        raise UnknownNameError(f"the release has no vector {vector!r}{did_you_mean(vector, vectors)}")
    source = vectors[vector]
    if source.operation is not operation:
        raise SuiteError(
            f"{key}: the vector {vector!r} has `operation: {source.operation}`; expected `{operation}`"
        )
    return source


def require_probes(scene: Scene, least: int, purpose: str) -> None:
    """Refuse a suite with too few probes, or templates of probes, to decide anything."""
    if len(scene.probes) < least:
        raise SuiteError(f"{purpose} needs at least {least} probes; the suite has {len(scene.probes)}")
    if len(scene.templates) < LEAST_CLUSTERS:
        raise SuiteError(
            f"{purpose} needs probes of at least {LEAST_CLUSTERS} templates, as those of one are resampled "
            f"together; the suite's {len(scene.probes)} probes are of {', '.join(sorted(scene.templates))}"
        )
