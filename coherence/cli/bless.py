"""`coherence bless`: the results of a release become the baseline."""

from argparse import Namespace
from pathlib import Path

from coherence.cli.command import Command, Parser
from coherence.cli.show import tell
from coherence.errors import CoherenceError, Place


def _add(parser: Parser) -> None:
    parser.add_argument("results", type=Path, help="results document of a run of the gate")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("coherence-baseline.json"),
        metavar="PATH",
        help="the baseline to write; default: %(default)s",
    )
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> None:
    from coherence.baseline import Baseline
    from coherence.results import Results

    results = Results.read(options.results)
    baseline = Baseline.of(results)
    if not baseline.size:
        raise CoherenceError("nothing was measured: there is nothing to bless", Place(str(options.results)))
    try:
        baseline.write(options.out)
    except OSError as problem:
        raise CoherenceError(
            f"cannot be written: {problem.strerror or problem}", Place(str(options.out))
        ) from None
    print(f"{options.out}: {baseline.size} criteria of the run of {baseline.started}")
    if red := [result.id for result in results.assertions if not result.green]:
        tell(f"blessed although {len(red)} of its assertions are not green: {', '.join(red)}")


COMMAND = Command(
    name="bless",
    help="store the results of a release as the baseline",
    about="Write what a release came to into a small file, to be committed; `pytest --coherence "
    "--coherence-baseline=PATH` then says what changed since. Nothing else ever moves a baseline.",
    example="coherence bless coherence-results.json",
    add=_add,
)
