"""`coherence export`: a persona's adapter or vector in another form, as servers take it."""

from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import tell
from coherence.cli.writing import writing
from coherence.errors import ArtefactError, CoherenceError, Place

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from coherence.engine.artefacts.artefacts import Artefacts
    from coherence.engine.interventions.carrier import Carrier
    from coherence.plan import Scene


def _add(parser: Parser) -> None:
    parser.add_argument("suite", type=Path, help="a suite, or a file of personas, with its release")
    parser.add_argument("persona")
    forms = parser.add_mutually_exclusive_group(required=True)
    forms.add_argument(
        "--gguf", type=_gguf, metavar="FILE", help="its adapter as LoRA in GGUF, for llama.cpp"
    )
    forms.add_argument(
        "--control-vector",
        type=_gguf,
        metavar="FILE",
        help="its vector in GGUF, as long as the suite doses it, for llama.cpp",
    )
    forms.add_argument("--merged", type=Path, metavar="DIR", help="the base with its adapter merged into it")
    forms.add_argument(
        "--plain",
        type=Path,
        metavar="DIR",
        help="its adapter as plain LoRA, whatever says its scales and ranks now",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of a merged model, which is merged in float32; default: %(default)s",
    )
    parser.set_defaults(run=_run)


def _gguf(written: str) -> Path:
    path = Path(written)
    if path.suffix != ".gguf":
        raise ArgumentTypeError(f"found the ending {path.suffix!r}, expected .gguf")
    return path


def _run(options: Namespace) -> Output:
    from coherence.engine.artefacts.artefacts import Artefacts
    from coherence.suite import Overrides, load_scene
    from coherence.vocabulary import Regime

    scene, places = load_scene(options.suite, Overrides())
    form, out = next((name, vars(options)[name]) for name in _FORMS if vars(options)[name])
    # Says what the persona lacks, and that there is none.
    scene.condition(options.persona, Regime.STEERING if form == "control_vector" else Regime.ADAPTER)
    if out.is_dir() and any(out.iterdir()):
        raise CoherenceError("is there already; expected a new folder, or an empty one", Place(str(out)))
    what = _FORMS[form](scene, Artefacts.of(scene, places), options, out)
    print(f"{out}: {what}")
    return Output({"written": out, "form": form.replace("_", "-"), "persona": options.persona, "what": what})


def _as_lora(scene: "Scene", artefacts: "Artefacts", options: Namespace, out: Path) -> str:
    from coherence.engine.artefacts.resolve import portable
    from coherence.engine.interventions.factors import factors
    from coherence.exports.gguf_lora import write_gguf_lora
    from coherence.exports.plain_lora import write_plain_lora

    name = scene.adapter_of(options.persona)
    with _mounted(artefacts, name) as (model, _, carrier):
        by_layer = factors(carrier.mounted, name)
        with writing(out):
            if out == options.gguf:
                write_gguf_lora(out, model, options.persona, by_layer)
            else:
                write_plain_lora(out, model, by_layer, *portable(scene.release.base, artefacts.base))
    ranks = sorted({each.rank for each in by_layer.values()})
    return f"adapter {name}, LoRA of rank {' and '.join(map(str, ranks))} on {len(by_layer)} layers"


def _as_merged(scene: "Scene", artefacts: "Artefacts", options: Namespace, out: Path) -> str:
    from coherence.exports.merged_model import write_merged_model

    name = scene.adapter_of(options.persona)
    with _mounted(artefacts, name) as (_, tokenizer, carrier), writing(out):
        write_merged_model(out, carrier.mounted, name, tokenizer, options.dtype)
    return f"base {scene.release.base} with adapter {name} merged into it, in {options.dtype}"


@contextmanager
def _mounted(
    artefacts: "Artefacts", name: str
) -> "Iterator[tuple[PreTrainedModel, PreTrainedTokenizerBase, Carrier]]":
    """Load the base in float32 and put an adapter on it, which is blamed for what goes wrong inside."""
    from coherence.engine.interventions.carrier import Carrier
    from coherence.engine.model.adapter_reader import read_adapter
    from coherence.engine.model.blocks import blocks_of
    from coherence.engine.model.folder import is_checkpoint
    from coherence.engine.model.loading import load_model

    with artefacts.reading("base"):
        if artefacts.quantization:
            raise ArtefactError("is quantized, and nothing is merged into it; expected what it was made from")
        model, tokenizer = load_model(artefacts.base, "float32")
    with artefacts.reading("adapters", name):
        path = artefacts.adapter(name)
        if is_checkpoint(path):
            raise ArtefactError("is a whole model already; expected an adapter")
        carrier = Carrier(model, blocks_of(model))
        carrier.mount(name, lambda: read_adapter(path, model))
        if carrier.activated.tokens(name):
            raise ArtefactError(
                "is activated LoRA, which begins in the middle of a text, and is no change of the base; "
                "expected LoRA that acts on all of a text"
            )
        yield model, tokenizer, carrier


def _as_control_vector(scene: "Scene", artefacts: "Artefacts", options: Namespace, out: Path) -> str:
    from coherence.engine.running.runner import Runner
    from coherence.exports.control_vector import require_plain, write_control_vector
    from coherence.store import Store, store_root

    name, dose = scene.vector_of(options.persona), scene.dose_of(options.persona)
    with artefacts.blaming("vectors", name):
        require_plain(scene.release.vectors[name])
        runner = Runner(artefacts, Store(store_root()), tell)
        unit = runner.unit(name)
        added = {depth: dose * values for depth, values in unit.items()}
        family = str(runner.host.model.config.get_text_config().model_type)
        with writing(out):
            write_control_vector(out, family, len(runner.host.blocks), added)
    blocks = ", ".join(str(depth - 1) for depth in sorted(added))
    return f"vector {name} at a dose of {dose:g}, added to the outputs of block {blocks}"


_Form = Callable[["Scene", "Artefacts", Namespace, Path], str]
_FORMS: dict[str, _Form] = {
    "gguf": _as_lora,
    "control_vector": _as_control_vector,
    "merged": _as_merged,
    "plain": _as_lora,
}

COMMAND = Command(
    name="export",
    help="write a persona's adapter or vector in another form",
    about="Write an adapter as LoRA in GGUF, as plain LoRA, or merged into the base; or a vector as a "
    "control vector of llama.cpp, whose scale is then 1. Each is put in place when it is whole, and can be "
    "named in a release: the property `export` says how much of the persona's effect it has kept.",
    example="coherence export pirate.coherence.yaml pirate --gguf pirate.gguf",
    add=_add,
)
