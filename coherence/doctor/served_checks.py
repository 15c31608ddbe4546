"""Checks of a server: who it is, what it exposes and lists, and for a release its prompts and one adapter."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from coherence.doctor.check import Check, tried
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.errors import NotExposedError, SuiteError, listed
from coherence.plan import Condition, Likelihood, Plan, PromptIds, Record, Reply, Scene, Served
from coherence.properties.serving.otherwise_written import divergence
from coherence.served.address import Address
from coherence.served.client import Client, Patience
from coherence.served.dialect import Conversation
from coherence.served.server import Server
from coherence.statistics.effect_slope import effect_slope
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Decoding
from coherence.vocabulary.evidence import ranged

_PROBES = 4
_SHORT = Decoding(max_new_tokens=16)
_SAME_DOSE = (0.9, 1.1)
_HASTY = Patience(answer_s=30, retries=1)
_GREETING = Conversation(({"role": "user", "content": "Hello"},))


def server(url: str, key_env: str | None) -> Iterator[Check]:
    """Look at a server by itself; nothing more where it cannot be reached."""
    reached = tried("server", partial(_reached, url, key_env), "see docs/served.md")
    yield reached
    if reached.state != "ok":
        return
    with Client(Address.parse(url, key_env), _HASTY) as client:
        remote = Server(client)
        yield tried("names", lambda: f"lists {listed([*remote.models])}; the base is {remote.base}")
        yield _exposed("token ids", lambda: f"{len(remote.prompt_ids(remote.base, _GREETING))} of a greeting")
        yield _exposed("likelihoods", partial(_likelihood, remote))
        yield tried("unknown names", partial(_refused, remote))


def served(path: Path, url: str, key_env: str | None) -> Iterator[Check]:
    """Hold what a server answers against a suite's release: names, prompts and one adapter's effect."""
    try:
        scene = load_suite(path, Overrides(served=url)).scene
    except SuiteError as problem:
        yield Check("fail", "suite", str(problem), f"see `coherence validate {path}`")
        return
    artefacts = Artefacts.of(_with_key(scene, key_env))
    yield tried("served names", partial(_names, artefacts))
    yield tried("served prompts", partial(_prompts, artefacts, scene))
    yield tried("served adapter", partial(_adapter, artefacts, scene))


def _with_key(scene: Scene, key_env: str | None) -> Scene:
    at = scene.release.served
    if key_env is None or at is None:
        return scene
    told = at.model_copy(update={"key_env": key_env})
    return replace(scene, release=scene.release.model_copy(update={"served": told}))


def _reached(url: str, key_env: str | None) -> str:
    with Client(Address.parse(url, key_env), _HASTY) as client:
        remote = Server(client)
        return f"{client.address} is {remote.dialect.name}, with {len(remote.models)} models"


def _exposed(what: str, look: Callable[[], str]) -> Check:
    def told() -> str | Check:
        try:
            return look()
        except NotExposedError as problem:
            return Check("warn", what, problem.sentence, "what rests on them is inconclusive")

    return tried(what, told)


def _likelihood(remote: Server) -> str:
    return f"{remote.log_probs(remote.base, *remote.dialect.shortest())[0]:.2f} nats for a token"


def _refused(remote: Server) -> str | Check:
    if remote.refuses():
        return "are refused"
    return Check("fail", "unknown names", "are answered", "a misspelled name gets another model")


def _names(artefacts: Artefacts) -> str | Check:
    lacking = [name for name in artefacts.release.adapters if _listed_as(artefacts, name) is None]
    if lacking:
        sentence = f"the server lists {listed([*artefacts.server.models])}, and nothing for {listed(lacking)}"
        return Check("warn", "served names", sentence, "state `names` under `served`, or load them")
    return f"all {len(artefacts.release.adapters)} adapters are listed"


def _listed_as(artefacts: Artefacts, name: str) -> str | None:
    _, model = artefacts.at_server(Condition(None, adapters=((name, 1.0),)))
    return model if model in artefacts.server.models else None


def _prompts(artefacts: Artefacts, scene: Scene) -> str | Check:
    here = [PromptIds(scene.bare, probe) for probe in scene.probes[:_PROBES]]
    record = _measured(artefacts, *here, *map(Served, here))
    problem = record.problem(Served(here[0]))
    if isinstance(problem, NotExposedError):
        return Check("warn", "served prompts", problem.sentence)
    for one in here:
        if told := divergence(record.prompt(one), record.prompt(Served(one)), scene.neutral):
            return Check("fail", "served prompts", told)
    if isinstance(record.prompt(Served(here[0])), int):
        return Check("warn", "served prompts", f"{len(here)} have as many tokens as here, which are not told")
    return f"{len(here)} are written as the base's own template writes them"


def _adapter(artefacts: Artefacts, scene: Scene) -> str | Check:
    name = next((one for one in artefacts.release.adapters if _listed_as(artefacts, one)), None)
    if name is None:
        return Check("warn", "served adapter", "none of the release's is listed")
    under = replace(scene.bare, adapters=((name, 1.0),))
    replies = [Reply(under, probe, _SHORT) for probe in scene.probes[:_PROBES]]
    pairs = [[Likelihood(one, reply.probe, reply) for one in (under, scene.bare)] for reply in replies]
    measurements = [one for pair in pairs for one in pair]
    record = _measured(artefacts, *measurements, *map(Served, measurements))
    problem = record.problem(Served(measurements[0]))
    if isinstance(problem, NotExposedError):
        return Check("warn", "served adapter", problem.sentence)
    here = [record.likelihood(one) - record.likelihood(bare) for one, bare in pairs]
    there = [
        record.served_likelihood(Served(one)) - record.served_likelihood(Served(bare)) for one, bare in pairs
    ]
    slope = effect_slope(there, here, [reply.probe.id for reply in replies])
    of = ranged(slope.value, slope.low, slope.high)
    sentence = f"{name} has an effect slope of {of}, where 1 is the same dose"
    if _SAME_DOSE[0] <= slope.value <= _SAME_DOSE[1]:
        return sentence
    return Check("fail", "served adapter", sentence, "the property `served` says what is likely wrong")


def _measured(artefacts: Artefacts, *measurements: PromptIds | Likelihood | Served) -> Record:
    with TemporaryDirectory() as folder:
        return Record(Engine(artefacts, Store(Path(folder))).measure(Plan(measurements)))
