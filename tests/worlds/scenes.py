"""Scenes as suites make them, of personas that go by their names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coherence.plan import Scene
from coherence.vocabulary import (
    Decoding,
    Persona,
    Probe,
    Regime,
    Release,
    Script,
    ScriptTurn,
    VectorSource,
)


def probes(count: int = 24) -> tuple[Probe, ...]:
    """Questions, each of a cluster of its own."""
    return tuple(Probe(id=f"q{number}", text=f"Question {number}?") for number in range(count))


def scripts(count: int = 8, turns: int = 5, **fields: Any) -> tuple[Script, ...]:
    """Conversations of so many turns; `fields` of a turn are functions of script and turn."""
    return tuple(
        Script(
            id=f"s{number}",
            turns=tuple(
                ScriptTurn(
                    user=f"Say {number}-{turn}.",
                    **{name: value(number, turn) for name, value in fields.items()},
                )
                for turn in range(turns)
            ),
        )
        for number in range(count)
    )


def persona(name: str, **fields: Any) -> Persona:
    """A persona with a prompt, whose marker is its name."""
    return Persona(**{"prompt": f"Be {name}.", "markers": [name], **fields})


def personas(names: Iterable[str], **fields: Any) -> dict[str, Persona]:
    """Several of them."""
    return {name: persona(name, **fields) for name in names}


def release(adapters: Iterable[str] = (), vectors: Iterable[str] = ()) -> Release:
    """Artefacts at paths that go by their names."""
    return Release(
        adapters={name: f"adapters/{name}" for name in adapters},
        vectors={name: VectorSource(path=f"vectors/{name}.safetensors") for name in vectors},
    )


def scene(
    cast: Iterable[str] | Mapping[str, Persona],
    adapters: Iterable[str] | None = None,
    vectors: Iterable[str] | None = None,
    asked: Sequence[Probe] | None = None,
    talks: Sequence[Script] = (),
    regimes: Iterable[str] = (),
) -> Scene:
    """A scene of personas, or of names; without a list of artefacts everyone has one of each."""
    known = dict(cast) if isinstance(cast, Mapping) else personas(cast)
    return Scene(
        release=release(*(known if names is None else names for names in (adapters, vectors))),
        personas=known,
        probes=probes() if asked is None else tuple(asked),
        regimes=tuple(map(Regime.parse, regimes)),
        neutral="Be helpful.",
        decoding=Decoding(),
        seed=0,
        scripts=tuple(talks),
    )
