"""A persona's vector at any dose, and what is asked for under it."""

from dataclasses import dataclass, replace

from coherence.plan import Condition, Likelihood, Reply, Scene, Steer
from coherence.vocabulary import Regime


@dataclass(frozen=True)
class Scaled:
    """The vector as it is, or orthonormalised with those of all personas."""

    scene: Scene
    persona: str
    orthonormal: bool

    @property
    def working(self) -> float:
        """The dose that the persona is steered with otherwise."""
        return self.scene.dose_of(self.persona)

    def at(self, dose: float) -> Condition:
        """Put a dose into the model; under none it is bare."""
        if not dose:
            return self.scene.bare
        whole = self.scene.condition(self.persona, Regime.STEERING)
        return replace(whole, steers=tuple(self._dosed(steer, dose) for steer in whole.steers))

    @property
    def prompted(self) -> Condition:
        """The persona's prompt alone, of which the subtracted vector is to take something away."""
        return self.scene.condition(self.persona, Regime.PROMPT)

    @property
    def subtracted(self) -> Condition:
        """The persona's prompt, with its vector taken away."""
        return replace(self.prompted, steers=self.at(-self.working).steers)

    def replies(self, condition: Condition) -> list[Reply]:
        """Ask for a reply to every probe, under one condition."""
        return [Reply(condition, probe, self.scene.decoding) for probe in self.scene.probes]

    def likelihoods(self, dose: float) -> list[Likelihood]:
        """Let the bare model read the replies under a dose: one per probe."""
        return [Likelihood(self.scene.bare, reply.probe, reply) for reply in self.replies(self.at(dose))]

    def _dosed(self, steer: Steer, dose: float) -> Steer:
        apart = self.orthonormal and steer.drawn is None  # a random vector is not one of those
        return replace(steer, dose=dose, among=vectors(self.scene) if apart else ())


def vectors(scene: Scene) -> tuple[str, ...]:
    """Vectors of all personas, each once."""
    able = (name for name in scene.personas if scene.supports(name, Regime.STEERING))
    return tuple(dict.fromkeys(scene.vector_of(name) for name in able))
