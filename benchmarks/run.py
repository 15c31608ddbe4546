"""Benchmarks on the reference model: `python benchmarks/run.py collection`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import places
import torch
from naive import Naive
from ours import Ours
from peers import peers
from roofline import needed_flops, peak_flops, plain_forward, token_ids
from rounds import (
    CONSOLE,
    Variant,
    alternate,
    means_differ,
    race,
    ratios,
    spread,
    table,
    talks_differ,
    texts_differ,
    timed,
)
from work import REGIMES, ROOT, Work, scene

from coherence.engine.artefacts.reference_model import reference_model

BATCH = 16
ALLOWED_TIMES_WEIGHTS, ALLOWED_MORE = 1.5, 500_000_000
ALLOWED_TIMES_ONE = 3
"""What four replies to a question may cost of one."""

_scene = cache(scene)
_ours = cache(lambda: Ours(_scene()))
_naive = cache(lambda: Naive(_scene()))


def _work(given: Namespace) -> Work:
    return Work(_scene(), personas=1, questions=4, tokens=6) if given.quick else Work(_scene())


def collection(given: Namespace) -> None:
    """Means at three sites, under all regimes; then what the peers can do of it."""
    work = _work(given)
    race("Collection: prompt, adapter, steering", _three("collect", work), given.rounds, means_differ)
    work = replace(work, regimes=("bare", "prompt"))
    texts = [_naive().texts(condition, work.probes) for condition in work.conditions]
    note = (
        "steering-vectors and repeng collect three sites at once, from the model as they find it. Neither "
        "has a function that puts it under an adapter, so they run the bare and the prompted conditions only."
    )
    with peers(reference_model(), texts, work.blocks) as others:
        variants = _three("collect", work) | others
        race("Collection: bare, prompt", variants, given.rounds, means_differ, note)


def _three(task: str, work: Work) -> dict[str, Variant]:
    """Make a variant of each way to do a task: `collect`, `generate` or `converse`."""
    return {
        "naive": timed(lambda: getattr(_naive(), task)(work, 1)),
        "per regime": timed(lambda: getattr(_naive(), task)(work, BATCH)),
        "coherence": timed(lambda: getattr(_ours(), task)(work)),
    }


def generation(given: Namespace) -> None:
    """Greedy replies under all regimes."""
    work = _work(given)
    race(f"Generation: {work.tokens} tokens", _three("generate", work), given.rounds, texts_differ)


def samples(given: Namespace) -> None:
    """One, four and sixteen drawn replies to each question, under all regimes of one persona."""
    work = Work(_scene(), personas=1, questions=2 if given.quick else 16, tokens=6 if given.quick else 48)
    counts = (1, 4) if given.quick else (1, 4, 16)
    variants = {str(count): timed(partial(_ours().sample, work, count)) for count in counts}
    seconds, _ = alternate(variants, given.rounds)
    once, *_ = seconds.values()
    rows = [(name, spread(taken, ".1f"), spread(ratios(taken, once))) for name, taken in seconds.items()]
    table(f"Samples: {work.tokens} tokens each", ("replies to a question", "seconds", "time x"), rows)
    if not given.quick and min(ratios(seconds["4"], once)) >= ALLOWED_TIMES_ONE:
        raise SystemExit(f"FAILED: four replies cost {ALLOWED_TIMES_ONE} times one, or more")


def drift(given: Namespace) -> None:
    """Conversations of six turns under all regimes, with the mean activation of every reply."""
    work = replace(_work(given), personas=1, scripts=2 if given.quick else 4)
    race(f"Drift: 6 turns of {work.tokens} tokens", _three("converse", work), given.rounds, talks_differ)


def growth(given: Namespace) -> None:
    """Time of our collection as the work grows along one axis."""
    work = _work(given)
    axes = {
        "questions": [replace(work, questions=n) for n in ((2, 4) if given.quick else (8, 16, 32))],
        "personas": [replace(work, personas=n) for n in ((1, 2) if given.quick else (1, 2, 4))],
        "regimes": [replace(work, regimes=REGIMES[:n]) for n in (1, 2, 3)],
        "blocks": [replace(work, blocks=blocks) for blocks in ((18,), (6, 12, 18), tuple(range(0, 19, 2)))],
    }
    for axis, works in axes.items():
        _growth(axis, works, given.rounds)


def _growth(axis: str, works: Sequence[Work], rounds: int) -> None:
    sizes = {_size(work, axis): work for work in works}
    variants = {str(size): timed(partial(_collected, work)) for size, work in sizes.items()}
    seconds, _ = alternate(variants, rounds)
    first, *_ = seconds.values()
    tokens = [sum(len(ids) for _, ids in token_ids(_naive(), work)) for work in works]
    rows = [
        (name, f"{count / tokens[0]:.2f}", spread(ratios(taken, first)))
        for (name, taken), count in zip(seconds.items(), tokens, strict=True)
    ]
    table(f"Growth with {axis}", (axis, "tokens x", "time x"), rows)


def _collected(work: Work) -> np.ndarray:
    return _ours().collect(work)


def _size(work: Work, axis: str) -> int:
    size = getattr(work, axis)
    return size if isinstance(size, int) else len(size)


def roofline(given: Namespace) -> None:
    """Needed arithmetic per second, against what matrix products reach here."""
    work = _work(given)
    flops = needed_flops(_naive(), work)
    peaks: list[float] = []

    def multiplied() -> tuple[float, None]:
        peaks.append(peak_flops())
        return 0.0, None

    variants = _three("collect", work) | {
        "a plain forward pass": timed(lambda: plain_forward(_naive(), work)),
        "peak": multiplied,
    }
    seconds, _ = alternate(variants, given.rounds)
    peak = max(peaks)
    rows = [
        (
            name,
            spread([flops / second / 1e9 for second in taken], ".1f"),
            spread([flops / second / peak for second in taken]),
        )
        for name, taken in seconds.items()
        if name != "peak"
    ]
    note = f"needed: {flops / 1e9:.1f} GFLOP; peak: {peak / 1e9:.1f} GFLOP/s, fp32 matrix product"
    table("Roofline: collection", ("variant", "GFLOP/s", "of the peak"), rows, note)


def memory(given: Namespace) -> None:
    """Peak memory of a process that does the collection and the generation."""
    work = _work(given)
    size = {"personas": work.personas, "questions": work.questions, "tokens": work.tokens}
    command = [sys.executable, str(ROOT / "benchmarks" / "ours.py"), json.dumps(size)]
    peak = int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()[-1])
    weights = (reference_model() / "model.safetensors").stat().st_size
    allowed = ALLOWED_TIMES_WEIGHTS * weights + ALLOWED_MORE
    row = [f"{count / 1e9:.2f}" for count in (weights, peak, allowed)]
    table("Memory, GB", ("weights", "peak", "allowed"), [row])
    if peak > allowed:
        raise SystemExit(f"FAILED: the peak is {peak / allowed:.2f} times what is allowed")


def warm(given: Namespace) -> None:
    """Time the shipped gate with an empty store, and again with the store that it has filled."""
    with tempfile.TemporaryDirectory() as folder:
        (cold, found), (again, same) = _gate(Path(folder), given), _gate(Path(folder), given)
    table(
        "Gate, seconds", ("cold", "warm", "ratio"), [[f"{cold:.1f}", f"{again:.1f}", f"{cold / again:.1f}"]]
    )
    if found != same:
        raise SystemExit("FAILED: the warm run gives other verdicts than the cold one")


def _gate(folder: Path, given: Namespace) -> tuple[float, list[tuple[str, str]]]:
    results = folder / "results.json"
    options = ["--coherence-store", str(folder / "store"), "--coherence-results", str(results), "-q"]
    chosen = ["-k", "upbeat"] if given.quick else []
    command = [sys.executable, "-m", "pytest", "--coherence", "suites/", *options, *chosen]
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - started
    verdicts = json.loads(results.read_text())["assertions"]
    return seconds, [(one["id"], one["verdict"]) for one in verdicts]


def ray(given: Namespace) -> None:
    """Time our collection with two actors of Ray against one, each on one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    work = _work(given)
    variants = {"one actor": _on_actors(work, 1), "two actors": _on_actors(work, 2)}
    race("Collection on a local Ray cluster", variants, given.rounds, means_differ)


def sweep(given: Namespace) -> None:
    """Time a vector at all thirty sites beside the same at one."""
    scene = _scene()
    places.sweep(replace(scene, probes=scene.probes[:2]) if given.quick else scene, _ours(), given)


def _on_actors(work: Work, actors: int) -> Variant:
    def variant() -> tuple[float, Any]:
        from coherence.engine.executors.ray import RayExecutor

        with closing(Ours(_scene(), partial(RayExecutor, address="local", actors=actors))) as ours:
            # Twice, because either actor mounts an adapter only when it is handed work under it.
            for _ in range(2):
                ours.collect(work)
            return timed(lambda: ours.collect(work))()

    return variant


BENCHMARKS = {
    run.__name__: run
    for run in (
        collection,
        generation,
        samples,
        drift,
        growth,
        roofline,
        memory,
        warm,
        ray,
        places.roles,
        sweep,
    )
}


def main() -> None:
    """Run what the command line names."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", choices=[*BENCHMARKS, "all"], nargs="?", default="collection")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds, after one to warm up")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    given = parser.parse_args()
    CONSOLE.print(f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, run in BENCHMARKS.items():
        if given.benchmark in (name, "all"):
            run(given)


if __name__ == "__main__":
    main()
