"""Scripts, personas on a line, and records in which every answer stands at a place of one's choice on it."""

import numpy as np
import worlds
from conversations import needs

from coherence.plan import Answer, Reading, Record, Reply
from coherence.vocabulary import (
    Kind,
    Script,
    ScriptTurn,
)

PROBES = worlds.probes(16)
KINDS = (Kind.NEUTRAL, Kind.PRESSURE, Kind.ADVERSARIAL, Kind.NEUTRAL)
DEPTH, WIDTH, TURNS = 3, 16, 5
NAMES = ("pirate", "counsel")
LINE = np.random.default_rng(7).normal(size=(2, WIDTH))  # a direction of each persona's own


def script(number, turns=TURNS):
    kind = KINDS[number % len(KINDS)]
    said = (ScriptTurn(user=f"Turn {turn} of {number}?", kind=kind) for turn in range(turns))
    return Script(id=f"script-{number}", turns=tuple(said))


SCRIPTS = tuple(script(number) for number in range(8))


def scene(scripts=SCRIPTS, probes=PROBES, regimes=("prompt", "adapter", "steering"), **personas):
    cast = worlds.personas(NAMES, markers=("arr",)) | personas
    return worlds.scene(cast, NAMES, NAMES, probes, scripts, regimes)


def planted(case, place, says=lambda who, turn: "Arr.", noise=0.05, drawn=0):
    """Answer turn t (None: a probe) at `place(who, t)` of the line of who talks (None: the bare model)."""
    chance, origin = np.random.default_rng(drawn), np.random.default_rng(3).normal(size=WIDTH)
    values = {}
    for need in needs(case):
        who, turn = _who(need.condition), _turn(need)
        if isinstance(need, Reply):
            values[need] = Answer(says(who, turn), (1,))
            continue
        values[need] = np.full((DEPTH, WIDTH), np.nan, np.float32)
        line = LINE[NAMES.index(who)] if who else LINE[0]
        values[need][2] = origin + place(who, turn) * line + noise * chance.normal(size=WIDTH)
    return Record(values)


def _who(condition):
    texts = [prompt.text for prompt in condition.prompts]
    names = [name for name, _ in condition.adapters] + [steer.vector for steer in condition.steers]
    return next((name for name in NAMES if name in names or f"Be {name}." in texts), None)


def _turn(need):
    said = need.text if isinstance(need, Reading) else need
    return None if need.probe in PROBES else len(said.turns)
