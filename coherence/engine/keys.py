"""The identity of a measurement: everything that its value depends on, and nothing else."""

from functools import cache
from importlib.metadata import version
from typing import Any

from coherence.engine.artefacts import Artefacts
from coherence.engine.chat import messages
from coherence.plan import (
    Condition,
    Divergence,
    Extract,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    Patch,
    Reading,
    Reply,
    Steer,
    Way,
    WeightError,
)
from coherence.store import Key
from coherence.vocabulary import Probe

# Raise it when the engine starts to give other numbers for the same measurement.
ENGINE_VERSION = 3


def key_of(measurement: Measurement, artefacts: Artefacts) -> Key:
    """JSON object that identifies a measurement; an artefact that cannot be read is an ArtefactError."""
    return {**_of_base(type(measurement).__name__, artefacts), **_own(measurement, artefacts)}


def norms_key(artefacts: Artefacts) -> Key:
    """Key of the base model's median token norms."""
    return _of_base("TokenNorms", artefacts)


def extract_key(extract: Extract, artefacts: Artefacts) -> Key:
    """Key of a vector that the suite makes itself."""
    return {
        **_of_base("Extract", artefacts),
        "positive": _said(extract.positive, artefacts),
        "negative": _said(extract.negative, artefacts),
        "site": str(extract.site),
        "position": str(extract.position),
    }


def _of_base(kind: str, artefacts: Artefacts) -> Key:
    return {
        "engine": ENGINE_VERSION,
        "base": artefacts.base_digest,
        "dtype": artefacts.release.dtype,
        "libraries": _libraries(),
        "kind": kind,
    }


@cache
def _libraries() -> dict[str, str]:
    # An upgrade can change what a model says; that must be seen, not remembered away.
    return {library: version(library) for library in ("torch", "transformers", "peft")}


def _own(measurement: Measurement, artefacts: Artefacts) -> Key:
    if isinstance(measurement, LawSearch):
        return {
            "law": str(measurement.law),
            "conditions": [_said(condition, artefacts) for condition in measurement.conditions],
            "probes": [[probe.id, probe.text] for probe in measurement.probes],
            "tolerance": measurement.tolerance,
            "examples": measurement.examples,
            "seed": measurement.seed,
        }
    if isinstance(measurement, WeightError):
        return {"change": _applied(measurement.condition, artefacts)}
    own: dict[str, Any] = {"row": _row(measurement.condition, measurement.probe, artefacts)}
    if isinstance(measurement, Reply):
        own["decoding"] = measurement.decoding.model_dump()
        own["turns"] = list(measurement.turns)
    elif isinstance(measurement, Likelihood):
        own["text"] = key_of(measurement.text, artefacts)
    elif isinstance(measurement, Divergence):
        own["reference"] = _row(measurement.reference, measurement.probe, artefacts)
        own["text"] = key_of(measurement.text, artefacts)
        own["tokens"], own["given"] = measurement.tokens, measurement.given
    elif isinstance(measurement, Reading):
        own["position"] = str(measurement.position)
        own["text"] = key_of(measurement.text, artefacts) if measurement.text else None
        own["through"] = str(measurement.through) if measurement.through else None
    else:
        assert isinstance(measurement, NextToken)
    return own


def _row(condition: Condition, probe: Probe, artefacts: Artefacts) -> Key:
    return _applied(condition, artefacts) | {"messages": messages(condition, probe)}


def _said(condition: Condition, artefacts: Artefacts) -> Key:
    # With their names, because a counterexample is told in them.
    names = [name for name, _ in condition.adapters] + [steer.vector for steer in condition.steers]
    prompts = [prompt.model_dump() for prompt in condition.prompts]
    return _applied(condition, artefacts) | {
        "names": names,
        "neutral": condition.neutral,
        "prompts": prompts,
    }


def _applied(condition: Condition, artefacts: Artefacts) -> dict[str, Any]:
    way = {"way": str(condition.way)} if condition.way is not Way.STACKED else {}
    patch = {"patch": _patch(condition.patch, artefacts)} if condition.patch else {}
    return {
        "adapters": [[artefacts.adapter_digest(name), weight] for name, weight in condition.adapters],
        "steers": [_steer(steer, artefacts) for steer in condition.steers],
        **way,
        **patch,
    }


def _patch(patch: Patch, artefacts: Artefacts) -> Key:
    return {
        "sum": [[weight, key_of(reading, artefacts)] for weight, reading in patch.sum],
        "sites": [str(site) for site in patch.sites],
        "position": str(patch.position),
    }


def _steer(steer: Steer, artefacts: Artefacts) -> list[Any]:
    drawn = [] if steer.drawn is None else [{"drawn": steer.drawn}]
    # Symmetric in all that are orthonormalised together: their order is no part of it.
    among = [{"among": sorted(artefacts.vector_digest(name) for name in steer.among)}] if steer.among else []
    return [artefacts.vector_digest(steer.vector), steer.dose, *drawn, *among]
