"""`coherence bless`: the results of a release become the baseline."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import tell
from coherence.cli.writing import writing
from coherence.errors import CoherenceError, Place

if TYPE_CHECKING:
    from coherence.baseline import Baseline

_NAMED = 3


def _add(parser: Parser) -> None:
    arguments.add_results(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("coherence-baseline.json"),
        metavar="PATH",
        help="the baseline to write; default: %(default)s",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="drop assertions of the baseline that the run did not judge, such as after a selection with -k",
    )
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.baseline import Baseline
    from coherence.results import Results

    results = Results.read(options.results)
    try:
        baseline = Baseline.of(results)
    except CoherenceError as problem:
        raise CoherenceError(problem.sentence, Place(str(options.results))) from None
    if not baseline.size:
        raise CoherenceError("nothing was measured: there is nothing to bless", Place(str(options.results)))
    if not options.replace:
        _require_whole(baseline, options.out)
    with writing(options.out):
        baseline.write(options.out)
    print(f"{options.out}: {baseline.size} criteria of the run of {baseline.started}")
    if red := [result.id for result in results.assertions if not result.green]:
        tell(f"blessed although {len(red)} of its assertions are not green: {', '.join(red)}")
    return Output({"baseline": options.out, "criteria": baseline.size, "not_green": red})


def _require_whole(baseline: "Baseline", path: Path) -> None:
    """Refuse to drop what an earlier baseline has: a run may have been a selection."""
    from coherence.baseline import Baseline

    try:
        lost = Baseline.read(path).beyond(baseline)
    except CoherenceError:  # nothing is lost of what cannot be read
        return
    if lost:
        raise CoherenceError(
            f"has {len(lost)} assertions that these results have not: {', '.join(lost[:_NAMED])}"
            f"{' ...' if len(lost) > _NAMED else ''}; expected a run of all, or --replace to drop them",
            Place(str(path)),
        )


COMMAND = Command(
    name="bless",
    help="store the results of a release as the baseline",
    about="Write what a release came to into a small file, to be committed; `pytest --coherence "
    "--coherence-baseline=PATH` then says what changed since. Nothing else ever moves a baseline.",
    example="coherence bless coherence-results.json",
    add=_add,
)
