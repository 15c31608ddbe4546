"""`coherence distill`: training replies from a prompted persona."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.writing import writing
from coherence.errors import ArtefactError


def _add(parser: Parser) -> None:
    parser.add_argument("suite", type=Path, help="a suite that has the persona, with prompt and markers")
    parser.add_argument("persona")
    parser.add_argument(
        "--questions", type=Path, metavar="FILE", help="one a line; default: 96 of our own, about no persona"
    )
    parser.add_argument(
        "--samples", type=arguments.count, default=2, help="replies to each question; default: %(default)s"
    )
    parser.add_argument(
        "--least",
        type=arguments.count,
        default=1,
        metavar="MARKERS",
        help="distinct markers that a reply must hold to be kept; default: %(default)s",
    )
    arguments.add_seed(parser)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the .jsonl file to write; default: training/PERSONA.jsonl"
    )
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from rich.console import Console

    from coherence.files import replace_file
    from coherence.reports.bar import Bar
    from coherence.store import Store, store_root
    from coherence.suite import Overrides, load_scene
    from coherence.training.distillation import distil, engine_of, questions
    from coherence.training.pairs import written_out

    scene, _ = load_scene(options.suite, Overrides())
    texts = _questions(options.questions) if options.questions else questions()
    out: Path = options.out or Path("training") / f"{options.persona}.jsonl"
    with Bar(Console(stderr=True)) as bar:
        engine = engine_of(scene, Store(store_root()), bar)
        distillation = distil(
            scene, options.persona, texts, engine, options.samples, options.least, options.seed
        )
    with writing(out):
        replace_file(out, written_out(distillation.pairs, scene.bare).encode())
    kept = f"{len(distillation.pairs)} of {distillation.replies} replies show {options.persona} and are kept"
    left = (
        f"; questions left out as they are probes of the suite: {distillation.probes}"
        if distillation.probes
        else ""
    )
    print(f"{out}: {kept}{left}")
    counts = {
        "kept": len(distillation.pairs),
        "replies": distillation.replies,
        "left_out": distillation.probes,
    }
    return Output({"replies_file": out, **counts})


def _questions(path: Path) -> Sequence[str]:
    from coherence import limits
    from coherence.files import read_file

    try:
        lines = read_file(path, limits.TRAINING_BYTES).decode("utf-8").splitlines()
    except OSError as problem:
        raise ArtefactError(f"{path} cannot be read: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ArtefactError(f"{path} is not UTF-8") from None
    if not (texts := [line.strip() for line in lines if line.strip()]):
        raise ArtefactError(f"{path} is empty; expected a question a line")
    return texts


COMMAND = Command(
    name="distill",
    help="collect training replies from a prompted persona",
    about="Let the model answer questions under the persona's prompt, at a temperature of 0.8, and keep the "
    "replies that hold its markers, each once. Probes of the suite are never asked. The file is a "
    "conversation a line, without the prompt: what `coherence train` learns, and TRL, Axolotl and Unsloth "
    "read as it is.",
    example="coherence distill pirate.coherence.yaml pirate",
    add=_add,
)
