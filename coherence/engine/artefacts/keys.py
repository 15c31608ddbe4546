"""The identity of a measurement: everything that its value depends on, and nothing else."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.model.chat import messages
from coherence.engine.model.turn_beginning import header_in
from coherence.plan import (
    AdapterNumbers,
    Cache,
    Cap,
    Condition,
    Divergence,
    Extract,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    Others,
    Patch,
    PromptIds,
    Rating,
    Reading,
    Refusal,
    Reply,
    Served,
    Steer,
    Turn,
    UserTurn,
    Way,
    WeightError,
)
from coherence.plan.opinion import MOST, TOP, question_to
from coherence.store import Key
from coherence.store.entry import manifest_of
from coherence.vocabulary import Judge, OtherModel, Part, Probe, User
from coherence.vocabulary.templating import AS_IT_IS, DATE

# Raise it when the engine starts to give other numbers for the same measurement.
ENGINE_VERSION = 4
# Bases of these types were padded before that was tried, and are not now: values of version 4 may be wrong.
# All others keep theirs. Let go of with that version.
_PADDED_ONCE = frozenset(
    {
        *("falcon_mamba", "mamba", "mamba2", "recurrent_gemma", "rwkv", "xlstm"),
        *(
            "bart",
            "bigbird_pegasus",
            "blenderbot",
            "blenderbot-small",
            "marian",
            "mbart",
            "mvp",
            "pegasus",
            "plbart",
        ),
        *("camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl"),
    }
)


def key_of(measurement: Measurement, artefacts: Artefacts) -> Key:
    """JSON object that identifies a measurement; an artefact that cannot be read is an ArtefactError.

    Of what a server answers, a ServerError where the server does not say who it is.
    """
    if isinstance(measurement, Served):
        return {"kind": "Served", **_of_server(measurement, artefacts)}
    if isinstance(measurement, Refusal):
        return {"kind": "Refusal", "server": artefacts.server.identity, "day": _today()}
    if isinstance(measurement, Rating):
        return {"kind": "Rating", **_judged(measurement, artefacts)}
    if isinstance(measurement, UserTurn):
        heard = key_of(measurement.after, artefacts)
        return {"kind": "UserTurn", "user": _user(measurement.user, artefacts), "after": heard}
    if isinstance(measurement, AdapterNumbers):
        return {"kind": "AdapterNumbers", **_applied(measurement.condition, artefacts)}
    own = _own(measurement, artefacts)
    told = {} if isinstance(measurement, WeightError) else _told(artefacts)
    return {**_of_base(type(measurement).__name__, artefacts), **told, **own}


def heard_key(measurements: Iterable[Measurement], otherwise: Key, artefacts: Artefacts) -> Key:
    """Key of what measurements of texts that were said elsewhere come to, and of what else it depends on.

    It tells none of the texts: all stand in one digest.
    """
    whole = [otherwise, *(key_of(measurement, artefacts) for measurement in measurements)]
    digest = sha256(manifest_of({"of": whole}).encode("utf-8", "surrogatepass")).hexdigest()
    return {**_of_base("Heard", artefacts), "of": digest}


def norms_key(artefacts: Artefacts) -> Key:
    """Key of the base model's median token norms."""
    # They belong to the base: whatever a suite tells its template.
    dated = {"date": DATE.isoformat()} if artefacts.template.writes_date(AS_IT_IS) else {}
    return {**_of_base("TokenNorms", artefacts), **dated}


def template_key(artefacts: Artefacts) -> Key:
    """Key of what is to be said of the base's chat template."""
    return {**_of_base("Template", artefacts), **_told(artefacts)}


def adapter_remark_key(name: str, artefacts: Artefacts) -> Key:
    """Key of what is to be said of how an adapter's weights are named for its base."""
    return {**_of_base("AdapterRemark", artefacts), "adapter": artefacts.adapter_digest(name)}


def vector_remark_key(name: str, artefacts: Artefacts) -> Key:
    """Key of what is to be said of how much of a vector's file is used."""
    return {**_of_base("VectorRemark", artefacts), "vector": artefacts.vector_digest(name)}


def extremes_key(name: str, artefacts: Artefacts) -> Key:
    """Key of the largest values of an adapter's weights, which are the same on every base."""
    return {"engine": ENGINE_VERSION, "kind": "Extremes", "adapter": artefacts.adapter_digest(name)}


def extract_key(extract: Extract, artefacts: Artefacts) -> Key:
    """Key of a vector that the suite makes itself."""
    return {
        **_of_base("Extract", artefacts),
        **_told(artefacts),
        "positive": _said(extract.positive, artefacts),
        "negative": _said(extract.negative, artefacts),
        "site": str(extract.site),
        "position": str(extract.position),
    }


def _of_base(kind: str, artefacts: Artefacts) -> Key:
    read_by = artefacts.quantization.versions if artefacts.quantization else {}
    return {
        "engine": ENGINE_VERSION,
        "base": artefacts.base_digest,
        "dtype": artefacts.release.dtype,
        "libraries": _libraries() | read_by,
        "kind": kind,
        **({"arranged": "as tried"} if artefacts.model_type in _PADDED_ONCE else {}),
    }


def _told(artefacts: Artefacts) -> dict[str, str]:
    """Say what changes prompts and replies beside messages: nothing where a template is told nothing.

    Where it begins turns by the text of a header, replies are cut at it, which they were not always.
    """
    folded = {"system": "folded"} if artefacts.templating.fold else {}
    header = header_in(artefacts.template.text)
    cut = {"cut at": header} if header else {}
    return folded | ({"date": artefacts.day} if artefacts.day else {}) | cut


@cache
def _libraries() -> dict[str, str | None]:
    # An upgrade can change what a model says; that must be seen, not remembered away.
    return {library: version(library) for library in ("torch", "transformers", "peft")}


def _asked(search: LawSearch) -> Key:
    """Name the probes that are drawn, where that is not all of them, and how much is read of each."""
    asked = {"asked": [probe.id for probe in search.asked]} if search.asked != search.probes else {}
    return asked | ({"last tokens": search.reads} if search.reads else {})


def _own(measurement: Measurement, artefacts: Artefacts) -> Key:
    if isinstance(measurement, LawSearch):
        return {
            "law": str(measurement.law),
            "told": "the largest deviation and the smallest counterexample",
            "conditions": [_said(condition, artefacts) for condition in measurement.conditions],
            "probes": [[probe.id, probe.text] for probe in measurement.probes],
            "tolerance": measurement.tolerance,
            "examples": measurement.examples,
            "seed": measurement.seed,
            **_asked(measurement),
            **({"read": [*map(str, measurement.read)]} if measurement.read else {}),
        }
    if isinstance(measurement, WeightError):
        return {"change": _applied(measurement.condition, artefacts)}
    assert not isinstance(measurement, AdapterNumbers | Others | Refusal | Served)
    own: dict[str, Any] = {"row": _row(measurement.condition, measurement.probe, artefacts)}
    if isinstance(measurement, Reply):
        own |= _continued(measurement, artefacts)
    elif isinstance(measurement, Likelihood):
        own["text"] = key_of(measurement.text, artefacts)
        own |= _part(measurement.part)
    elif isinstance(measurement, Divergence):
        own["reference"] = _row(measurement.reference, measurement.probe, artefacts)
        own["text"] = key_of(measurement.text, artefacts)
        own["tokens"], own["given"] = measurement.tokens, measurement.given
    elif isinstance(measurement, Reading):
        own["position"] = str(measurement.position)
        own["text"] = key_of(measurement.text, artefacts) if measurement.text else None
        own["through"] = str(measurement.through) if measurement.through else None
        if measurement.cache:
            own["cache"] = str(measurement.cache)
        own |= _part(measurement.part)
    else:
        assert isinstance(measurement, NextToken | PromptIds)
    return own


def _of_server(served: Served, artefacts: Artefacts) -> dict[str, Any]:
    """Say what is asked of whom, and under what it lists by that name.

    And on which day: weights may change under a name, which a server does not tell.
    """
    server, model = artefacts.at_server(served.condition)
    return {
        "server": server.identity,
        "model": asdict(server.require(model)),
        "day": _today(),
        "turn": served.turn,
        "told": served.told,
        **({"alone": True} if served.alone else {}),
        "of": key_of(served.of, artefacts),
    }


def opinion_key(judge: Judge, question: str, turn: int, artefacts: Artefacts) -> Key:
    """Key of what a judge answers, whatever the reply is from: equal texts are judged once."""
    read = {"answer": judge.answer, "highest": judge.highest, "top": TOP, "most": MOST}
    judged = {"judge": _other(judge, artefacts), **read}
    return {"kind": "Opinion", **judged, "question": question, "turn": turn}


def speech_key(user: User, told: str, artefacts: Artefacts) -> Key:
    """Key of what a user says who is told so, in whatever conversation."""
    return {"kind": "Speech", "user": _user(user, artefacts), "told": told}


def _user(user: User, artefacts: Artefacts) -> Key:
    manner = user.model_dump(include={"prompt", "seed", "temperature", "max_new_tokens", "hears"})
    return {"model": _other(user, artefacts), **manner}


def _judged(measurement: Rating, artefacts: Artefacts) -> dict[str, Any]:
    text, reply = measurement.text, isinstance(measurement.text, Reply)
    # All that is asked but for the reply, which is not known before it is said.
    question = question_to(
        measurement.judge, measurement.rubric, measurement.probe.text, "", turned=measurement.turned
    )
    return {
        "opinion": opinion_key(measurement.judge, question, measurement.turn, artefacts),
        "text": key_of(text, artefacts) if isinstance(text, Reply) else text,
        "of": "a reply" if reply else "a text",
    }


def _other(model: OtherModel, artefacts: Artefacts) -> Key:
    """Say who is asked: a base by its files, a server by what it says of itself, and on which day."""
    with artefacts.blaming_model(model) as own:
        if not model.url:
            return _of_base(type(model).__name__, own)
        return {"server": own.server.identity, "model": model.model, "day": _today()}


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _part(part: Part) -> dict[str, str]:
    return {} if part is Part.ANSWER else {"part": str(part)}


def _continued(reply: Reply, artefacts: Artefacts) -> dict[str, Any]:
    turns = [_turn(turn, artefacts) for turn in reply.turns]
    # Such a reply ran on once, and was stored so.
    ends = {"ends": "by the template too"} if artefacts.template.ends_itself else {}
    # Such a reply was its answer as a whole once, and was stored so.
    apart = artefacts.template.sets_apart(reply.condition.thinking)
    reasoning = {"reasoning": "apart"} if apart else {}
    decoding = artefacts.decoding(reply.decoding).model_dump()
    given = {} if reply.given is None else {"given": reply.given}
    return {"decoding": decoding, "turns": turns, **ends, **reasoning, **given}


def _turn(turn: Turn, artefacts: Artefacts) -> str | Key:
    changes: dict[str, Any] = {}
    if turn.after is not None:
        changes["after"] = turn.after
    if turn.condition:
        changes["condition"] = _conditioned(turn.condition, artefacts)
    if turn.cache is not Cache.KEPT:
        changes["cache"] = str(turn.cache)
    if turn.edit:
        sites = [str(site) for site in turn.edit.sites]
        changes["edit"] = {"donor": _conditioned(turn.edit.donor, artefacts), "sites": sites}
    if turn.user:
        changes["user"] = _user(turn.user, artefacts)
    return {"text": turn.text, **changes} if changes else turn.text


def _conditioned(condition: Condition, artefacts: Artefacts) -> dict[str, Any]:
    prompts = [prompt.model_dump() for prompt in condition.prompts]
    told = {"neutral": condition.neutral, "prompts": prompts}
    return _applied(condition, artefacts) | told | _thinking(condition)


def _row(condition: Condition, probe: Probe, artefacts: Artefacts) -> Key:
    return _applied(condition, artefacts) | {"messages": messages(condition, probe)} | _thinking(condition)


def _thinking(condition: Condition) -> dict[str, str]:
    return {} if condition.thinking == "auto" else {"thinking": condition.thinking}


def _said(condition: Condition, artefacts: Artefacts) -> Key:
    # With their names, because a counterexample is told in them.
    names = [name for name, _ in condition.adapters] + [steer.vector for steer in condition.steers]
    return _conditioned(condition, artefacts) | {"names": names}


def _applied(condition: Condition, artefacts: Artefacts) -> dict[str, Any]:
    way = {"way": str(condition.way)} if condition.way is not Way.STACKED else {}
    patch = {"patch": _patch(condition.patch, artefacts)} if condition.patch else {}
    cap = {"cap": _cap(condition.cap, artefacts)} if condition.cap else {}
    return {
        "adapters": [[artefacts.adapter_digest(name), weight] for name, weight in condition.adapters],
        "steers": [_steer(steer, artefacts) for steer in condition.steers],
        **way,
        **patch,
        **cap,
    }


def _patch(patch: Patch, artefacts: Artefacts) -> Key:
    return {
        "sum": [[weight, key_of(reading, artefacts)] for weight, reading in patch.sum],
        "sites": [str(site) for site in patch.sites],
        "position": str(patch.position),
    }


def _cap(cap: Cap, artefacts: Artefacts) -> Key:
    return {
        "low": [key_of(reading, artefacts) for reading in cap.low],
        "high": [key_of(reading, artefacts) for reading in cap.high],
        "sites": [str(site) for site in cap.sites],
        "at": cap.at,
        "tokens": str(cap.tokens),
    }


def _steer(steer: Steer, artefacts: Artefacts) -> list[Any]:
    drawn = [] if steer.drawn is None else [{"drawn": steer.drawn}]
    # Symmetric in all that are orthonormalised together: their order is no part of it.
    among = [{"among": sorted(artefacts.vector_digest(name) for name in steer.among)}] if steer.among else []
    at = [] if steer.at is None else [{"at": str(steer.at)}]
    tokens = [] if steer.tokens is None else [{"tokens": str(steer.tokens)}]
    elsewhere = [] if steer.elsewhere is None else [{"elsewhere": str(steer.elsewhere)}]
    return [artefacts.vector_digest(steer.vector), steer.dose, *drawn, *among, *at, *tokens, *elsewhere]
