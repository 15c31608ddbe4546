"""What is published of composition, held against a base: `python benchmarks/composition.py`."""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from rounds import CONSOLE
from work import ROOT

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.progress import Silent
from coherence.engine.model.chat import Chat
from coherence.engine.model.host import Host
from coherence.plan import Divergence, Plan, Record
from coherence.properties.composition.factorial import FactorialCase
from coherence.properties.composition.injections import BARE, Injection
from coherence.statistics.interaction import quartiles
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Position, Site

GRIDS = ROOT / "benchmarks" / "grids"
PAGE = ROOT / "docs" / "composition.md"
BEGIN, END = "<!-- begin: python benchmarks/composition.py -->", "<!-- end -->"
ROLES = {
    Position.PROMPT_LAST: "the last token of the prompt",
    Position.TURN_LAST: "the last token before the reply's header, as arXiv 2605.23147 has the user's turn",
    Position.USER_LAST: "the last token of the user's words, which is not a position of arXiv 2605.23147",
    Position.G1: "the first token of the reply",
    Position.G2: "the second token of the reply",
}
NAIVE = 24  # interventions that the naive loop makes; it takes as long for each

Array = np.ndarray


@dataclass(frozen=True)
class Grid:
    """The cases of a grid of cells, and what was measured of them."""

    name: str
    cases: tuple[FactorialCase, ...]
    record: Record
    seconds: float  # for everything
    intervening: float  # of these, for the interventions alone

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where residuals are changed, from the first block to the last."""
        return self.cases[0].changes.tested

    @property
    def cells(self) -> int:
        """How many pairs of persona and task there are."""
        return sum(len(case.grid.tasks) for case in self.at(Position.PROMPT_LAST))

    @property
    def positions(self) -> list[Position]:
        """In the order of the suite."""
        return list(dict.fromkeys(case.grid.position for case in self.cases))

    def at(self, position: Position) -> list[FactorialCase]:
        """One case per persona."""
        return [case for case in self.cases if case.grid.position is position]

    def geometry(self, case: FactorialCase) -> dict[str, Array]:
        """Cosines and interaction ratio, [sites, tasks] each."""
        cells, depths = case.grid.cells(self.record), [site.depth for site in self.sites]
        return {
            "cos(dXY, dX+dY)": cells.cosine[depths],
            "cos(dX, dY)": cells.overlap[depths],
            "interaction": cells.interaction[depths],
        }

    def kl(self, case: FactorialCase, changes: Sequence[Injection]) -> Array:
        """KL in nats, [changes, tasks]."""
        kl = case.grid.kl(self.record)
        return np.stack([kl[change] for change in changes])

    def measured(self, case: FactorialCase) -> dict[str, Array]:
        """Everything at the tested sites, [sites, tasks] each."""
        whole = self.kl(case, [BARE])
        return self.geometry(case) | {
            "KL": self.kl(case, case.changes.additive),
            "KL without X": self.kl(case, case.changes.without_persona),
            "recovered": 1 - self.kl(case, _alone(case.changes.injections)) / whole,
            "oracle": 1 - self.kl(case, _alone(case.changes.oracles)) / whole,
        }

    def together(self, position: Position) -> dict[str, Array]:
        """Put all personas side by side: [sites, cells]."""
        found = [self.measured(case) for case in self.at(position)]
        return {name: np.concatenate([one[name] for one in found], axis=1) for name in found[0]}

    def everywhere(self, position: Position) -> tuple[Array, Array]:
        """Share recovered by injection at all sites of the band at once: by the sum, the oracle; [cells]."""
        shares = []
        for case in self.at(position):
            changes = (case.changes.injections[-1], case.changes.oracles[-1])
            shares.append(1 - self.kl(case, changes) / self.kl(case, [BARE]))
        by_sum, by_oracle = np.concatenate(shares, axis=1)
        return by_sum, by_oracle


def _alone(changes: Iterable[Injection]) -> list[Injection]:
    return [change for change in changes if len(change.sites) == 1]


def main() -> None:
    """Measure the grids from nothing, time them, and write the page for the reference model."""
    asked = _asked()
    overrides = Overrides(base=asked.base, dtype=asked.dtype)
    grids = [_measured(GRIDS / f"{name}.coherence.yaml", overrides) for name in asked.grids]
    text = "\n\n".join([_about(grids, asked), *chain.from_iterable(map(_told, grids))])
    CONSOLE.print(text, markup=False, soft_wrap=True)
    if asked.base is None and not asked.quick:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def _asked() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="hub id or folder; default: the reference model")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--quick", action="store_true", help="the short grid alone; writes no page")
    asked = parser.parse_args()
    asked.grids = ["short"] if asked.quick else ["short", "long"]
    return asked


def _measured(path: Path, overrides: Overrides) -> Grid:
    suite = load_suite(path, overrides)
    cases = tuple(cast(FactorialCase, assertion.case) for assertion in suite.assertions)
    artefacts = Artefacts.of(suite.scene, suite.places)
    wanted = [need for case in cases for need in case.measurements()]
    with TemporaryDirectory() as folder:
        engine = Engine(artefacts, Store(Path(folder)), _Tell())
        before = _seconds(lambda: engine.measure(Plan(o for o in wanted if not isinstance(o, Divergence))))
        started = time.perf_counter()
        record = Record(engine.measure(Plan(wanted)))
        intervening = time.perf_counter() - started
    return Grid(path.name.split(".")[0], cases, record, before + intervening, intervening)


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


class _Tell(Silent):
    def __call__(self, what: str, done: int, total: int) -> None:
        if done == total:
            CONSOLE.print(f"{what}: {done}", style="dim")

    def warn(self, sentence: str) -> None:
        CONSOLE.print(sentence, style="yellow")

    def wait(self, sentence: str) -> None:
        self.warn(sentence)


def _about(grids: Sequence[Grid], asked: Namespace) -> str:
    first, *_ = grids
    sizes = ", ".join(
        f"{grid.name} grid: {grid.cells} cells, {_interventions(grid)} interventions, "
        f"{grid.seconds / 60:.1f} minutes with all replies"
        for grid in grids
    )
    times = _naive(first) / first.intervening
    return (
        f"Base `{asked.base or 'reference'}`, {asked.dtype or 'float32'}, {torch.get_num_threads()} threads, "
        f"from an empty store. {sizes}. The interventions of the {first.name} grid alone took "
        f"{first.intervening:.0f} s, with the loading of the model; a pass of its own over prompt and reply "
        f"for each of them, by a plain hook, would take {times:.1f} times as long."
    )


def _interventions(grid: Grid) -> int:
    needs = {need for case in grid.cases for need in case.measurements()}
    return sum(isinstance(need, Divergence) for need in needs)


def _naive(grid: Grid) -> float:
    """Seconds of all interventions by plain hooks, from those of some of them."""
    case = grid.at(Position.PROMPT_LAST)[0]
    release = case.grid.scene.release
    host = Host.load(Artefacts(release, {}).base, release.dtype)
    ids = Chat(host.tokenizer).encode(case.grid.persona, case.grid.tasks[0])
    inputs, last = torch.tensor([[*ids, *ids[: case.grid.tokens - 1]]]), len(ids) - 1

    def put(module: object, args: object, output: torch.Tensor) -> torch.Tensor:
        return output.index_fill(1, torch.tensor([last]), 0.0)

    def run() -> None:
        handle = host.blocks[grid.sites[1].block].register_forward_hook(put)
        host.model(input_ids=inputs, use_cache=False).logits[0, last:].float().log_softmax(-1)
        handle.remove()

    def often() -> None:
        for _ in range(NAIVE):
            run()

    with torch.inference_mode():
        run()
        return _seconds(often) / NAIVE * _interventions(grid)


def _told(grid: Grid) -> Iterator[str]:
    yield f"## The {grid.name} grid: {grid.cells} cells"
    for position in grid.positions:
        found = grid.together(position)
        lines = [
            [str(site), *(_middle(values[row]) for values in found.values())]
            for row, site in enumerate(grid.sites)
        ]
        tokens, band = grid.cases[0].grid.tokens, grid.cases[0].changes.band.sites
        yield (
            f"At `{position}`, {ROLES[position]}: medians over the cells [quartiles]; "
            f"KL in nats over {tokens} tokens:"
        )
        yield _table(["site", *found], lines)
        share, oracle = map(_middle, grid.everywhere(position))
        yield (
            f"Injection at all {len(band)} sites of the band at once recovers {share} of the gap, "
            f"the oracle {oracle}."
        )
    yield "Per persona and per task, medians over all positions and sites:"
    yield _table(["", "cos(dXY, dX+dY)", "interaction", "KL"], [*_by_persona(grid), *_by_task(grid)])
    yield "Held against what is published:"
    yield _table(["published (arXiv 2605.23147)", "here", "holds"], _facts(grid))


def _by_persona(grid: Grid) -> Iterator[list[str]]:
    for persona in dict.fromkeys(case.persona for case in grid.cases):
        found = [grid.measured(case) for case in grid.cases if case.persona == persona]
        yield [f"**{persona}**", *_of(found, lambda values: values)]


def _by_task(grid: Grid) -> Iterator[list[str]]:
    for column, task in enumerate(grid.cases[0].grid.tasks):
        found = [grid.measured(case) for case in grid.cases]

        def of_task(values: Array, column: int = column) -> Array:
            return values[:, column]

        yield [task.id, *_of(found, of_task)]


def _of(found: Iterable[dict[str, Array]], part: Callable[[Array], Array]) -> list[str]:
    found = list(found)
    return [
        _middle(np.concatenate([part(one[name]).ravel() for one in found]))
        for name in ("cos(dXY, dX+dY)", "interaction", "KL")
    ]


def _facts(grid: Grid) -> Iterator[list[str]]:
    last, g1 = grid.together(Position.PROMPT_LAST), grid.together(Position.G1)
    kl = np.median(last["KL"], axis=1)
    deeper = float(np.mean(last["KL"][-1] > last["KL"][0]))
    yield [
        "KL rises with depth at prompt_last",
        f"medians {', '.join(f'{value:.2g}' for value in kl)}; higher at the last site than at the first in "
        f"{deeper:.0%} of cells",
        _holds(deeper > 0.9 and kl[-1] > kl[0]),
    ]
    lower = float(np.mean(g1["KL"] < last["KL"]))
    yield [
        "the first generated token stays low deeper into the network",
        f"KL at g1 is below that at prompt_last in {lower:.0%} of cells and sites; "
        f"sites with a median of at most 0.1 nat: {_low(grid, g1)} at g1, {_low(grid, last)} at prompt_last",
        _holds(lower > 0.5),
    ]
    cosine, ratio = (np.median(last[name], axis=1) for name in ("cos(dXY, dX+dY)", "interaction"))
    inside = (cosine >= 0.8) & (cosine <= 0.97) & (ratio >= 0.25) & (ratio <= 0.8)
    yield [
        "a cosine of .8 to .97 goes with an interaction ratio of .25 to .8",
        f"medians at prompt_last {cosine.min():.2f} to {cosine.max():.2f} and {ratio.min():.2f} to "
        f"{ratio.max():.2f}; both inside at {inside.sum()} of {len(inside)} sites",
        _holds(bool(inside.all())) if inside.all() or not inside.any() else "in part",
    ]
    best = np.median(last["recovered"], axis=1).max()
    band, oracle = (float(np.median(shares)) for shares in grid.everywhere(Position.PROMPT_LAST))
    yield [
        "injection closes only a small part of the gap",
        f"median {best:.0%} at the best single site, {band:.0%} at all sites of the band, where the oracle "
        f"closes {oracle:.0%}",
        _holds(max(best, band) < 0.5),
    ]


def _low(grid: Grid, found: dict[str, Array]) -> str:
    return f"{int((np.median(found['KL'], axis=1) <= 0.1).sum())} of {len(grid.sites)}"


def _holds(held: bool) -> str:
    return "yes" if held else "no"


def _middle(values: Array) -> str:
    first, median, third = (f"{value:.2g}" for value in quartiles(values[np.isfinite(values)]))
    return f"{median} [{first}, {third}]"


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
