"""`coherence train`: an adapter that has learned a persona's replies."""

import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.errors import CoherenceError, Place

if TYPE_CHECKING:
    from coherence.engine.artefacts.artefacts import Artefacts
    from coherence.plan import Scene
    from coherence.training.lora import Recipe
    from coherence.training.pairs import Pair


def _add(parser: Parser) -> None:
    parser.add_argument("suite", type=Path, help="a suite that has the persona, and names the base")
    parser.add_argument("persona")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="what `coherence distill` wrote; default: training/PERSONA.jsonl",
    )
    parser.add_argument(
        "--rank", type=arguments.count, default=8, help="of the LoRA; alpha is twice it; default: %(default)s"
    )
    parser.add_argument(
        "--epochs", type=arguments.count, default=4, help="passes over the data; default: %(default)s"
    )
    parser.add_argument(
        "--batch", type=arguments.count, default=8, help="replies per step; default: %(default)s"
    )
    parser.add_argument(
        "--rate", type=arguments.probability, default=1e-3, help="highest learning rate; default: %(default)s"
    )
    arguments.add_seed(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: adapters/PERSONA")
    parser.add_argument("--force", action="store_true", help="replace an adapter that is there")
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.engine.artefacts.artefacts import Artefacts
    from coherence.suite import Overrides, load_scene
    from coherence.training.lora import Recipe, lora
    from coherence.training.pairs import read_pairs
    from coherence.vocabulary import Regime

    scene, places = load_scene(options.suite, Overrides())
    has_adapter = scene.supports(options.persona, Regime.ADAPTER)
    out: Path = options.out or Path("adapters") / options.persona
    if (out / "adapter_config.json").exists() and not options.force:
        raise CoherenceError("is an adapter already; --force replaces it", Place(str(out)))
    pairs = read_pairs(options.data or Path("training") / f"{options.persona}.jsonl", scene.bare)
    recipe = Recipe(lora(options.rank), options.epochs, options.batch, options.rate, options.seed)
    began = time.monotonic()
    losses = _train(scene, Artefacts.of(scene, places), pairs, recipe, out)
    took = _told(time.monotonic() - began)
    print(f"{out}: a LoRA of rank {options.rank} that learned {len(pairs)} replies, in {took}")
    if not has_adapter:
        print(f"to judge it, add to the release of {options.suite}: adapters: {{{options.persona}: ./{out}}}")
    return Output({"adapter": out, "rank": options.rank, "replies": len(pairs), "losses": losses})


def _train(
    scene: "Scene", artefacts: "Artefacts", pairs: "Sequence[Pair]", recipe: "Recipe", out: Path
) -> list[float]:
    """Train and save; return the mean loss of each epoch, in nats per token of a reply."""
    import torch
    from rich.console import Console

    from coherence.engine.artefacts.resolve import portable
    from coherence.engine.model.loading import load_model
    from coherence.reports.bar import Bar
    from coherence.training.lora import encoded, mounted, save, trained

    with Bar(Console(stderr=True)) as bar:
        bar("loading the model", 0, 1)
        with artefacts.blaming("base"):
            base, tokenizer = load_model(artefacts.base, scene.release.dtype)
            torch.manual_seed(recipe.seed)
            model = mounted(base, recipe)
            examples = encoded(pairs, scene.bare, tokenizer, scene.templating)
        bar("loading the model", 1, 1)
        began = time.monotonic()
        losses = []
        for epoch, loss in enumerate(trained(model, examples, recipe, bar), start=1):
            losses.append(loss)
            left = (time.monotonic() - began) / epoch * (recipe.epochs - epoch)
            until = f", about {_told(left)} left" if left else ""
            bar.say(f"epoch {epoch} of {recipe.epochs}: loss {loss:.3f}{until}")
        save(model, out, *portable(scene.release.base, artefacts.base))
    return losses


def _told(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


COMMAND = Command(
    name="train",
    help="train an adapter on what a persona said",
    about="Train a PEFT LoRA on every linear layer, by AdamW, on the replies of `coherence distill`, without "
    "the persona's prompt: the persona moves into the weights. On a GPU where there is one. Shows the mean "
    "loss of each epoch, in nats per token of a reply, and the time that is left. Another seed makes a twin.",
    example="coherence train pirate.coherence.yaml pirate --out adapters/next",
    add=_add,
)
