"""Tell every adapter and vector of the fixtures from itself at another size, by directions alone.

`python benchmarks/scales.py` scales each to a half, a tenth, a hundredth and twice its size, judges the
assertions of collinearity that are about its persona, and writes the table of docs/faults.md.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from matrix import PAGE
from rounds import CONSOLE, table
from shipped import Shipped

from coherence.gate import Gate
from coherence.results import AssertionResult
from coherence.store import Store, store_root
from coherence.vocabulary import Verdict

BEGIN, END = "<!-- begin: python benchmarks/scales.py -->", "<!-- end of scales -->"
PERSONAS = ("support", "counsel", "oncall", "pirate", "upbeat", "gloomy")
SIZES = (0.5, 0.1, 0.01, 2.0)
USUAL_DOSE = 0.5

Change = Callable[[Shipped, str, float], None]


def _adapter(shipped: Shipped, name: str, size: float) -> None:
    shipped.set_lora(name, shipped.lora(name).scaled(size))


def _vector(shipped: Shipped, name: str, size: float) -> None:
    persona = shipped.persona(name)
    persona["dose"] = size * persona.get("dose", USUAL_DOSE)


KINDS: dict[str, tuple[Change, tuple[str, ...]]] = {
    "adapter": (_adapter, ("prompt-adapter", "adapter-steering", "adapter-prompt+adapter")),
    "vector": (_vector, ("adapter-steering",)),
}
"""How each is scaled, and the pairs of regimes that it is in."""


def judged(kind: str, persona: str, size: float, store: Store) -> Iterator[AssertionResult]:
    """Judge the directions of one persona with one artefact at another size."""
    change, slugs = KINDS[kind]
    with TemporaryDirectory() as folder:
        shipped = Shipped.good(Path(folder), seed=0)
        change(shipped, persona, size)
        suites = [suite for suite in shipped.load() if not suite.path.name.startswith("composition")]
        chosen = {
            suite: [
                each
                for each in suite.assertions
                if (each.family, each.case.persona) == ("collinearity", persona) and each.case.slug in slugs
            ]
            for suite in suites
        }
        gate = Gate(chosen, store)
        yield from (gate.judge(suite, each) for suite, several in chosen.items() for each in several)


def _said(results: list[AssertionResult]) -> str:
    fails = [result for result in results if result.verdict is Verdict.FAIL]
    others = [result for result in results if not result.green]
    if not others:
        return "not told"
    first = (fails or others)[0]
    evidence = first.evidence
    said = f"{evidence.decisive.estimate.name} {evidence.decisive.estimate.spread}" if evidence else "error"
    return f"{'fails' if fails else first.verdict.value}: {said}"


def main() -> None:
    """Scale, judge, and write the table."""
    store = Store(store_root())
    lines = []
    for kind in KINDS:
        for persona in PERSONAS:
            with CONSOLE.status(f"{kind} of {persona}"):
                told = [_said(list(judged(kind, persona, size, store))) for size in SIZES]
            lines.append((f"{kind} of {persona}", *told))
            CONSOLE.print(*lines[-1], sep=" | ")
    columns = ("artefact", *(f"x {size:g}" for size in SIZES))
    table("told by directions alone", columns, lines)
    rows = [columns, ["---"] * len(columns), *lines]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}")


if __name__ == "__main__":
    main()
