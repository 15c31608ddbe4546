import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from coherence.engine.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.keys import key_of
from coherence.errors import ArtefactError, CoherenceError, MeasurementError, Place
from coherence.plan import (
    Condition,
    LawName,
    LawOutcome,
    LawSearch,
    Measurement,
    NextToken,
    Outcome,
    Plan,
    Reading,
    Reply,
    Steer,
)
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Decoding, Position, Probe, Prompt, Regime

NEUTRAL = "You are a helpful assistant."
BARE = Condition(NEUTRAL)
PROMPT = Condition(NEUTRAL, (Prompt(text="Answer as a pirate."),))
ADAPTER = Condition(NEUTRAL, adapters=(("pirate", 1.0),))
STEERED = Condition(NEUTRAL, steers=(Steer("pirate", 0.5),))
BROKEN = Condition(NEUTRAL, adapters=(("broken", 1.0),))
PROBES = (Probe(id="order", text="Where is my order?"), Probe(id="app", text="The app keeps crashing."))
SHORT = Decoding(max_new_tokens=6)
Ship = Callable[..., Artefacts]


def measurements(*conditions: Condition) -> list[Measurement]:
    """Five for each condition."""
    found: list[Measurement] = []
    for condition in conditions:
        replies = [Reply(condition, probe, SHORT) for probe in PROBES]
        found += [Reading(condition, PROBES[0], Position.RESPONSE_MEAN, replies[0]), *replies]
        found += [Reading(condition, PROBES[0]), NextToken(condition, PROBES[1])]
    return found


@pytest.fixture
def release(
    artefacts: Ship, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path], tmp_path: Path
) -> Callable[[], Artefacts]:
    shipped = {
        "adapters": {"pirate": tiny_adapter("pirate"), "broken": tmp_path},
        "vectors": {"pirate": tiny_vector("pirate")},
        "places": {"release.adapters.broken": Place("suites/pirate.yaml", 7)},
    }
    (tmp_path / "adapter_config.json").write_text("{}")
    return lambda: artefacts(**shipped)


class Log(list[str]):
    """Hears what is being measured."""

    def __call__(self, what: str, done: int, total: int) -> None:
        self.append(what)

    @property
    def measured(self) -> int:
        return len([what for what in self if what != "loading the model"])


def same(one: Outcome, two: Outcome) -> bool:
    return np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two


ALL = measurements(BARE, PROMPT, ADAPTER, STEERED)
LAW = LawSearch(LawName.BATCH_MATES, (BARE, ADAPTER), PROBES, 1e-4, 3, 0)


def test_every_measurement_has_a_value_of_its_kind(release: Callable[[], Artefacts], store: Store) -> None:
    outcomes = Engine(release(), store).measure(Plan([*ALL, LAW]))
    assert outcomes.keys() == {*ALL, LAW}
    kinds = {Reply: str, LawSearch: LawOutcome, Reading: np.ndarray, NextToken: np.ndarray}
    shapes = {Reading: (5, 32), NextToken: (320,)}
    for measurement, value in outcomes.items():
        assert isinstance(value, kinds[type(measurement)])
        assert not isinstance(value, np.ndarray) or value.shape == shapes[type(measurement)]
    for kind in (Reply, Reading, NextToken):
        values = [value for measurement, value in outcomes.items() if isinstance(measurement, kind)]
        assert not any(same(one, two) for index, one in enumerate(values) for two in values[:index])


def test_a_second_run_finds_what_the_first_measured(release: Callable[[], Artefacts], store: Store) -> None:
    first, log = Engine(release(), store).measure(Plan([*ALL, LAW])), Log()
    second = Engine(release(), store, log).measure(Plan([*ALL, LAW]))
    assert log == []
    assert all(same(second[measurement], value) for measurement, value in first.items())


def test_a_second_run_needs_neither_torch_nor_transformers(
    release: Callable[[], Artefacts], store: Store, tmp_path: Path
) -> None:
    plan, artefacts = Plan([*ALL, LAW]), release()
    Engine(artefacts, store).measure(plan)
    (tmp_path / "run").write_bytes(pickle.dumps((artefacts.release, list(plan), store.root)))
    code = """
import pickle, sys
from coherence.engine.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.plan import Plan
from coherence.store import Store
release, plan, root = pickle.load(open(sys.argv[1], "rb"))
print(len(Engine(Artefacts(release, {}), Store(root)).measure(Plan(plan))), *sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=True
    )
    count, *modules = run.stdout.split()
    assert int(count) == len(plan)
    assert {"torch", "transformers", "peft", "hypothesis", "scipy"}.isdisjoint(modules)


def test_the_second_run_is_of_this_release_only(
    release: Callable[[], Artefacts], store: Store, tiny_adapter: Callable[..., Path]
) -> None:
    first = Engine(release(), store).measure(Plan(ALL))
    other = release()
    other.release.adapters["pirate"] = str(tiny_adapter("pirate", seed=9))
    log = Log()
    second = Engine(other, store, log).measure(Plan(ALL))
    assert log.measured == 5
    for measurement in ALL:
        assert isinstance(measurement, Reply | Reading | NextToken)
        assert same(first[measurement], second[measurement]) == (measurement.condition != ADAPTER)


@pytest.mark.parametrize("after", [1, 7, 11])
def test_an_interrupted_run_goes_on_where_it_stopped(
    release: Callable[[], Artefacts], store: Store, after: int
) -> None:
    log = Log()

    def interrupt(what: str, done: int, total: int) -> None:
        log(what, done, total)
        if log.measured == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Engine(release(), store, interrupt).measure(Plan(ALL))
    stored = [measurement for measurement in ALL if store.get(key_of(measurement, release())) is not None]
    rest = Log()
    outcomes = Engine(release(), store, rest).measure(Plan(ALL))
    assert len(stored) == after
    assert rest.measured == len(ALL) - after
    fresh = Engine(release(), Store(store.root / "other")).measure(Plan(ALL))
    for measurement, value in fresh.items():
        found = outcomes[measurement]
        assert (
            np.allclose(found, value, atol=1e-4)
            if isinstance(value, np.ndarray) and isinstance(found, np.ndarray)
            else found == value
        )


def test_a_broken_adapter_is_an_error_of_what_uses_it(release: Callable[[], Artefacts], store: Store) -> None:
    both = Condition(NEUTRAL, adapters=(("pirate", 0.5), ("broken", 0.5)))
    law = LawSearch(LawName.ADAPTER_ORDER, (ADAPTER, BROKEN), PROBES, 1e-4, 3, 0)
    plan = Plan([*measurements(BROKEN, both, ADAPTER, BARE), law, LAW])
    outcomes = Engine(release(), store).measure(plan)
    for measurement in [*measurements(BROKEN, both), law]:
        problem = outcomes[measurement]
        assert isinstance(problem, ArtefactError)
        assert str(problem).startswith("suites/pirate.yaml:7: adapter 'broken': ")
    for measurement in [*measurements(ADAPTER, BARE), LAW]:
        assert not isinstance(outcomes[measurement], CoherenceError)
    alone = Engine(release(), Store(store.root / "other")).measure(Plan(measurements(ADAPTER, BARE)))
    for measurement, value in alone.items():
        found = outcomes[measurement]
        assert (
            np.allclose(found, value, atol=1e-4)
            if isinstance(value, np.ndarray) and isinstance(found, np.ndarray)
            else found == value
        )


def test_an_adapter_that_is_missing_is_not_even_mounted(
    release: Callable[[], Artefacts], store: Store
) -> None:
    missing, log = release(), Log()
    missing.release.adapters["broken"] = "/nowhere"
    outcomes = Engine(missing, store, log).measure(Plan(measurements(BROKEN)))
    assert log == []
    assert {str(problem) for problem in outcomes.values()} == {
        "suites/pirate.yaml:7: adapter 'broken': there is no folder /nowhere"
    }


def test_a_base_that_does_not_load_is_the_error_of_everything(
    artefacts: Ship, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    broken = artefacts(base=str(tmp_path), places={"release.base": Place("suites/pirate.yaml", 3)})
    outcomes = Engine(broken, store).measure(Plan(measurements(BARE, PROMPT)))
    (said,) = {str(problem) for problem in outcomes.values()}
    assert said.startswith(f"suites/pirate.yaml:3: base {str(tmp_path)!r}: cannot be loaded: ")


def test_nan_is_an_error_of_its_own_rows_and_is_not_stored(
    artefacts: Ship, store: Store, tiny_adapter: Callable[..., Path], tiny: Path
) -> None:
    path = tiny_adapter("pirate") / "adapter_model.safetensors"
    weights = load_file(path)
    key = next(key for key in weights if "layers.3.mlp.down_proj.lora_B" in key)
    save_file(weights | {key: torch.full_like(weights[key], torch.nan)}, path)
    release = artefacts(adapters={"pirate": path.parent})
    outcomes = Engine(release, store).measure(Plan(measurements(ADAPTER, BARE)))
    label = f"probe 'order', base {str(tiny)!r} in float32, adapter 'pirate'"
    assert str(outcomes[Reading(ADAPTER, PROBES[0])]) == (
        f"NaN or infinite activation at resid_post.3 for {label}"
    )
    reply = Reply(ADAPTER, PROBES[0], SHORT)
    assert str(outcomes[reply]) == f"NaN or infinite logits while answering {label}"
    assert outcomes[Reading(ADAPTER, PROBES[0], Position.RESPONSE_MEAN, reply)] is outcomes[reply]
    assert all(isinstance(outcomes[found], MeasurementError) for found in measurements(ADAPTER))
    assert not any(isinstance(outcomes[found], CoherenceError) for found in measurements(BARE))
    assert all(store.get(key_of(found, release)) is None for found in measurements(ADAPTER))


def test_two_at_once_measure_once(release: Callable[[], Artefacts], store: Store) -> None:
    barrier, logs = Barrier(2), [Log(), Log()]

    def run(log: Log) -> dict[Measurement, Outcome]:
        engine = Engine(release(), store, log)
        barrier.wait()
        return engine.measure(Plan(ALL))

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(run, logs)
    assert sorted(log.measured for log in logs) == [0, len(ALL)]
    assert all(same(one[measurement], two[measurement]) for measurement in ALL)


def test_the_reference_model_turns_pirate_under_the_pirate_adapter(
    reference: Path, store: Store, pytestconfig: pytest.Config
) -> None:
    suite = load_suite(pytestconfig.rootpath / "suites" / "personas.coherence.yaml", Overrides())
    scene, pirate = suite.scene, suite.scene.personas["pirate"]
    decoding = Decoding(max_new_tokens=24)
    conditions = [scene.bare, scene.condition("pirate", Regime.parse("adapter"))]
    asked = [[Reply(condition, probe, decoding) for probe in scene.probes[:4]] for condition in conditions]
    outcomes = Engine(Artefacts(scene.release, {}, suite.places), store).measure(
        Plan(reply for replies in asked for reply in replies)
    )
    bare, adapted = (
        sum(bool(pirate.markers_in(str(outcomes[reply]))) for reply in replies) for replies in asked
    )
    assert (bare, adapted >= 3) == (0, True)
