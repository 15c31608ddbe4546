"""Controls: scenes in which something else takes the persona's place, so that a claim must not pass."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress, cycle, islice

from coherence.plan import Condition, Recast, Scene, stream
from coherence.vocabulary import Prompt, Regime
from coherence.vocabulary.persona import Example

DRAWN = 5  # one random vector may lie near a persona's by chance; most of so many do not
NOTHING = "nothing in its place"
STEP = 16  # words; prompts of about the same form share their texts, which are then measured once

_SENTENCES = """\
This is a note that comes with the question. The note has no bearing on it. Notes of this kind come in several
lengths, and this is one of them. A note has words, and words make up lines. Some lines are short. Other lines
are longer than the ones that were before them. The lines of the note follow one another from top to bottom.
There is a first line and there is a last line, and the others are in between. Nothing in the note is about
anyone. It was put down at some point, and it has been kept since then. It can be read once, or it can be left
out. The next part of the note is the same as the part above.
"""

ARTEFACTS = Regime.parse("adapter+steering").layers


def stand_ins(
    scene: Scene, persona: str, regime: Regime, others: Iterable[str]
) -> Iterator[tuple[str, list[Scene]]]:
    """Yield a scene for each of the others: it and the persona have changed places in the regime.

    As places change, what is measured is what is measured for them anyway. Kin of the persona, and who cannot
    be put into the model by the regime or has the same artefact, are left out.
    """
    own, kin = scene.condition(persona, regime), scene.kin_of(persona)
    for other in others:
        if other not in kin and scene.supports(other, regime) and scene.condition(other, regime) != own:
            yield f"{other} by {regime}", [_swapped(scene, persona, regime, other)]


def in_its_place(
    scene: Scene, persona: str, regimes: Sequence[Regime], others: Iterable[str]
) -> Iterator[tuple[str, list[Scene]]]:
    """Yield scenes with nothing, each of the others, and random vectors in the persona's place.

    What is put there acts in the last of the regimes.
    """
    yield from nothing(scene, persona, regimes)
    yield from stand_ins(scene, persona, regimes[-1], others)
    yield from random_vectors(scene, persona, regimes)


def random_vectors(
    scene: Scene, persona: str, regimes: Iterable[Regime]
) -> Iterator[tuple[str, list[Scene]]]:
    """Yield scenes in which the persona's vector is a random one of the same norm.

    It is in the last regime that steers, alone or in a stack, if one does.
    """
    for regime in [regime for regime in regimes if Regime.STEERING.layers <= regime.layers][-1:]:
        yield "random vectors", [_at_random(scene, persona, regime, turn) for turn in range(DRAWN)]


def neutral_prompt(
    scene: Scene, persona: str, regimes: Iterable[Regime]
) -> Iterator[tuple[str, list[Scene]]]:
    """Yield a scene in which the persona's prompt is as long and of the same form, and says nothing."""
    prompt = scene.personas[persona].prompt
    if Regime.PROMPT not in regimes or prompt is None:
        return
    without = scene.personas[persona].model_copy(update={"prompt": _as_long_as(prompt)})
    other = replace(scene, personas={**scene.personas, persona: without})
    yield "a neutral prompt", [Recast.of(scene, Regime.PROMPT, other.mixture)]


def nothing(scene: Scene, persona: str, regimes: Iterable[Regime]) -> Iterator[tuple[str, list[Scene]]]:
    """Yield a scene in which the persona's artefacts are not there in the last regime that has some.

    What is left is the rest of a stack, and otherwise the bare model: what an adapter of scale 0, a vector of
    dose 0 or the neutral prompt do. Both are mostly measured already.
    """
    yield NOTHING, [_emptied(scene, persona, artefact_regime(regimes))]


def artefact_regime(regimes: Iterable[Regime]) -> Regime:
    """Find the last regime that is more than a prompt, or the last where all are prompts."""
    *_, last = sorted(
        regimes, key=lambda regime: regime != Regime.PROMPT
    )  # stable: the others keep their order
    return last


def _swapped(scene: Scene, persona: str, regime: Regime, other: str) -> Scene:
    places = {persona: other, other: persona}

    def instead(weights: Mapping[str, float], regime: Regime) -> Condition:
        return scene.mixture({places.get(name, name): weight for name, weight in weights.items()}, regime)

    return Recast.of(scene, regime, instead)


def _emptied(scene: Scene, persona: str, regime: Regime) -> Scene:
    artless = regime.layers.isdisjoint(ARTEFACTS)

    def instead(weights: Mapping[str, float], regime: Regime) -> Condition:
        was, others = scene.mixture(weights, regime), [name != persona for name in weights]
        return replace(
            was,
            prompts=tuple(compress(was.prompts, others)) if artless else was.prompts,
            adapters=tuple(compress(was.adapters, others)),
            steers=tuple(compress(was.steers, others)),
        )

    return Recast.of(scene, regime, instead)


def _at_random(scene: Scene, persona: str, regime: Regime, turn: int) -> Scene:
    vector = scene.vector_of(persona)
    drawn = stream(scene.seed, f"random vector {turn} like {vector}")

    def instead(weights: Mapping[str, float], regime: Regime) -> Condition:
        was = scene.mixture(weights, regime)
        steers = (replace(steer, drawn=drawn) if steer.vector == vector else steer for steer in was.steers)
        return replace(was, steers=tuple(steers))

    return Recast.of(scene, regime, instead)


def _as_long_as(prompt: Prompt) -> Prompt:
    """Say nothing in the place of everything that is said, turn by turn."""
    shown = (
        Example(user=_instead_of(one.user, STEP // 2), reply=_instead_of(one.reply))
        for one in prompt.examples
    )
    return Prompt(text=_instead_of(prompt.text), role=prompt.role, examples=tuple(shown))


def _instead_of(text: str, step: int = STEP) -> str:
    return filler(len(text.split()), step)


def filler(words: int, step: int = STEP) -> str:
    """Write a text that says nothing: about so many words, at least one step of them, and a full stop."""
    rounded = step * max(1, round(words / step))
    return " ".join(islice(cycle(_SENTENCES.split()), rounded)).rstrip(".,") + "."
