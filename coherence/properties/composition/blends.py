"""Ways of having two personas in the model at once: each by a regime, or both in an adapter."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, combinations, islice, product

from coherence.errors import SuiteError, UnknownNameError, did_you_mean
from coherence.plan import Condition, Scene
from coherence.properties.control import nothing, random_vectors, stand_ins
from coherence.properties.eligibility import Couple
from coherence.vocabulary import REGIMES, Extraction, Regime

CHIMERA, TWIN = "chimera", "twin"
REVERSED = "prompts-reversed"


@dataclass(frozen=True)
class Blend(ABC):
    """One way of having both personas, by its name in a suite."""

    slug: str
    scene: Scene
    of: Couple

    @property
    @abstractmethod
    def able(self) -> bool:
        """Whether all that it takes is there."""

    @property
    @abstractmethod
    def condition(self) -> Condition:
        """Both personas in the model; a SuiteError says which artefact is missing."""

    @property
    @abstractmethod
    def regimes(self) -> tuple[Regime, Regime]:
        """What puts the first and the second persona into the model when each is alone."""

    def alone(self) -> tuple[Condition, Condition]:
        """Put in the first persona alone, and the second; a SuiteError says which artefact is missing."""
        first, second = (self.scene.condition(*each) for each in zip(self.of, self.regimes, strict=True))
        return first, second

    def others(self) -> Iterator[tuple[str, list["Blend"]]]:
        """Yield the same with somebody else, or random vectors, in the place of the first persona."""
        return iter(())


@dataclass(frozen=True)
class Composed(Blend):
    """Each persona by a regime of its own; prompts are given in the order of `by`."""

    by: tuple[tuple[str, Regime], tuple[str, Regime]]

    @property
    def able(self) -> bool:
        """Whether both personas have what their regimes take."""
        return all(self.scene.supports(*each) for each in self.by)

    @property
    def condition(self) -> Condition:
        """Both personas in the model; a SuiteError says which artefact is missing."""
        one, other = (self.scene.condition(*each) for each in self.by)
        return replace(
            one,
            prompts=one.prompts + other.prompts,
            adapters=one.adapters + other.adapters,
            steers=one.steers + other.steers,
        )

    @property
    def regimes(self) -> tuple[Regime, Regime]:
        """The regimes by which this way has them."""
        by = dict(self.by)
        return by[self.of[0]], by[self.of[1]]

    def others(self) -> Iterator[tuple[str, list[Blend]]]:
        """Yield the same with somebody else, nothing, or random vectors, in the place of the first persona.

        It is measured for this alone, so one other persona has a turn.
        """
        first, regime = self.of[0], self.regimes[0]
        bystanders = (name for name in self.scene.personas if name not in self.of)
        scenes = chain(
            islice(stand_ins(self.scene, first, regime, bystanders), 1),
            nothing(self.scene, first, (regime,)),
            random_vectors(self.scene, first, (regime,)),
        )
        for name, several in scenes:
            yield name, [replace(self, scene=scene) for scene in several]


@dataclass(frozen=True)
class Trained(Blend):
    """An adapter trained on the mix."""

    adapter: str

    @property
    def able(self) -> bool:
        """Whether the release has the adapter."""
        return self.adapter in self.scene.release.adapters

    @property
    def condition(self) -> Condition:
        """The neutral prompt under the trained adapter at its full weight, and nothing else."""
        return replace(self.scene.bare, adapters=((self.adapter, 1.0),))

    @property
    def regimes(self) -> tuple[Regime, Regime]:
        """Adapters, as this is one; of a persona without an adapter, what it has."""
        first, second = map(self._regime, self.of)
        return first, second

    def _regime(self, name: str) -> Regime:
        regimes = (Regime.ADAPTER, Regime.PROMPT, Regime.STEERING)
        return next((one for one in regimes if self.scene.supports(name, one)), Regime.ADAPTER)


def blends(
    scene: Scene, of: Couple, trained: Mapping[str, str | None], extracted_on: Mapping[str, str]
) -> dict[str, Blend]:
    """Make all ways, by their slugs, whether their artefacts are there or not.

    `trained` are adapters by slug. A SuiteError when a vector of `extracted_on` is not what it should be.
    """
    first, second = of
    ways: list[Blend] = [
        Composed(f"{one}-{other}", scene, of, ((first, one), (second, other)))
        for one, other in product(REGIMES, repeat=2)
    ]
    ways.append(Composed(REVERSED, scene, of, ((second, Regime.PROMPT), (first, Regime.PROMPT))))
    ways += [_extracted(scene, of, name, vector) for name, vector in extracted_on.items()]
    ways += [Trained(slug, scene, of, adapter) for slug, adapter in trained.items() if adapter]
    return {way.slug: way for way in ways}


def _extracted(scene: Scene, of: Couple, persona: str, vector: str) -> Blend:
    if persona not in of:
        raise SuiteError(f"extracted_on is about {' and '.join(of)}{did_you_mean(persona, of)}")
    other = of[0] if persona == of[1] else of[1]
    _require_extracted(scene, persona, vector, scene.adapter_of(other))
    with_vector = scene.personas[persona].model_copy(update={"vector": vector})
    changed = replace(scene, personas={**scene.personas, persona: with_vector})
    by = {persona: Regime.STEERING, other: Regime.ADAPTER}
    slug = "extracted-adapter" if persona == of[0] else "adapter-extracted"
    return Composed(slug, changed, of, ((of[0], by[of[0]]), (of[1], by[of[1]])))


def _require_extracted(scene: Scene, persona: str, vector: str, adapter: str) -> None:
    vectors = scene.release.vectors
    if vector not in vectors:
        raise UnknownNameError(f"the release has no vector {vector!r}{did_you_mean(vector, vectors)}")
    extraction = vectors[vector].extract
    if extraction is None or (extraction.persona, extraction.under) != (persona, adapter):
        raise SuiteError(
            f"extracted_on: the vector {vector!r} is {_origin(extraction)}; "
            f"expected one extracted from {persona!r} under the adapter {adapter!r}"
        )


def _origin(extraction: Extraction | None) -> str:
    if extraction is None:
        return "a file"
    if extraction.persona is None:
        return f"extracted from {extraction.of}"
    under = f"the adapter {extraction.under!r}" if extraction.under else "no adapter"
    return f"extracted from {extraction.persona!r} under {under}"


def usual_pairs(slugs: Iterable[str]) -> list[tuple[str, str]]:
    """Pair each sum in one regime with the chimera, each way with its mirror, and both orders of a thing."""
    sums = [(f"{regime}-{regime}", CHIMERA) for regime in REGIMES]
    mirrors = [(f"{one}-{other}", f"{other}-{one}") for one, other in combinations(REGIMES, 2)]
    orders = [
        ("prompt-prompt", REVERSED),
        ("adapter-steering", "adapter-extracted"),
        ("steering-adapter", "extracted-adapter"),
    ]
    there = set(slugs)
    return [pair for pair in (*sums, *mirrors, *orders) if there.issuperset(pair)]
