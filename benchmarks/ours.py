"""Our engine, as the benchmark sees it. What touches the engine's inside is here and nowhere else."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
from work import TURNS, Work, scene

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.executor import Executor, MakeExecutor, Warn
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.requests.job import Job
from coherence.plan import Condition, Measurement, Outcome, Plan, Reading, Record, Reply, Scene, Turn
from coherence.properties.space.swept import Swept
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Regime, Site


class _Kept:
    """An executor that outlives the plan, so that base, adapters and vectors are loaded once."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor.__enter__()
        self.name, self.capabilities, self.workers = executor.name, executor.capabilities, executor.workers
        self.measured = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        """Let nothing go."""

    def load(self) -> bool:
        """Load the model ahead, where it is not loaded yet."""
        return self._executor.load()

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Count what is measured: an answer out of a store would be right, and no measurement."""
        for outcome in self._executor.run(jobs):
            self.measured += 1
            yield outcome

    def close(self) -> None:
        """Let everything go."""
        self._executor.__exit__(None, None, None)


class Ours:
    """The engine, with a new and empty store for every plan; what it has loaded is kept from plan to plan."""

    def __init__(self, scene: Scene, executor: MakeExecutor = LocalExecutor) -> None:
        self._artefacts = Artefacts.of(scene)
        self._make = executor
        self._executor: _Kept | None = None

    def _kept(self, artefacts: Artefacts, store: Store, warn: Warn) -> _Kept:
        self._executor = self._executor or _Kept(self._make(artefacts, store, warn))
        return self._executor

    def close(self) -> None:
        """Let go of what is loaded."""
        if self._executor:
            self._executor.close()
        self._executor = None

    def collect(self, work: Work) -> np.ndarray:
        """Means over questions at the last token, [conditions, sites, width]."""
        readings = {
            condition: [_reading(condition, probe, max(work.blocks)) for probe in work.probes]
            for condition in work.conditions
        }
        record = self._measure(reading for row in readings.values() for reading in row)
        depths = [block + 1 for block in work.blocks]
        means = [np.mean([record.residuals(one)[depths] for one in row], axis=0) for row in readings.values()]
        return np.stack(means)

    def generate(self, work: Work) -> list[str]:
        """Greedy replies, condition by condition."""
        decoding = Decoding(max_new_tokens=work.tokens)
        replies = [
            Reply(condition, probe, decoding) for condition in work.conditions for probe in work.probes
        ]
        record = self._measure(replies)
        return [record.reply(reply) for reply in replies]

    def sample(self, work: Work, samples: int) -> None:
        """So many drawn replies to each question, condition by condition."""
        decoding = Decoding(max_new_tokens=work.tokens, temperature=0.8, top_p=0.9, samples=samples)
        self._measure(
            Reply(condition, probe, one)
            for condition in work.conditions
            for probe in work.probes
            for one in decoding.draws
        )

    def converse(self, work: Work) -> tuple[list[str], np.ndarray]:
        """Six turns: replies, and their means at the deepest site [replies, width]."""
        site, decoding = Site(max(work.blocks), "post"), Decoding(max_new_tokens=work.tokens)
        turns = tuple(map(Turn, TURNS))
        replies = [
            reply
            for condition in work.conditions
            for probe in work.talks
            for reply in Reply(condition, probe, decoding, turns).conversation
        ]
        means = {
            reply: Reading(reply.condition, reply.probe, Position.RESPONSE_MEAN, reply, site)
            for reply in replies
        }
        record = self._measure([*replies, *means.values()])
        found = [record.residuals(means[reply])[site.depth] for reply in replies]
        return [record.reply(reply) for reply in replies], np.stack(found)

    def sweep(self, scene: Scene, sites: Sequence[Site], tokens: int) -> None:
        """Hold the pirate's vector at each site in its turn against the prompt, on its replies."""
        steer = scene.condition("pirate", Regime.STEERING).steers[0]
        self._measure(Swept(scene, "pirate", steer, sites, tokens).needs())

    def _measure(self, measurements: Iterable[Measurement]) -> Record:
        plan = Plan(measurements)
        before = self._executor.measured if self._executor else 0
        with TemporaryDirectory() as folder:
            record = Record(Engine(self._artefacts, Store(Path(folder)), executor=self._kept).measure(plan))
        done = self._executor.measured - before if self._executor else 0
        if done != len(plan):
            raise SystemExit(f"FAILED: {done} of {len(plan)} were measured; the store was not empty")
        return record


def _reading(condition: Condition, probe: Probe, block: int) -> Reading:
    return Reading(condition, probe, through=Site(block, "post"))


def peak_bytes() -> int:
    """Peak resident memory of this process, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage says on Linux includes the process that started this one.
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    ours, work = Ours(scene()), Work(scene(), **json.loads(sys.argv[1]))
    ours.collect(work)
    ours.generate(work)
    print(peak_bytes())
