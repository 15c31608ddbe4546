"""`coherence extract`: a persona's steering vector, from its prompt."""

from argparse import Namespace
from pathlib import Path

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import tell
from coherence.errors import SuiteError, did_you_mean


def _add(parser: Parser) -> None:
    parser.add_argument("suite", type=Path, help="a suite, or a file of personas, that has this one")
    parser.add_argument("persona")
    parser.add_argument("--against", metavar="PERSONA", help="the negative side; default: the neutral prompt")
    parser.add_argument(
        "--site", type=arguments.site, default="resid_post.15", help="where to read; default: %(default)s"
    )
    position = parser.add_argument(
        "--position",
        type=arguments.position,
        default="response_mean",
        help="which tokens; default: %(default)s, each side over replies of its own",
    )
    position.completer = arguments.positions  # type: ignore[attr-defined]
    parser.add_argument(
        "--out",
        type=arguments.vector_file,
        required=True,
        metavar="FILE",
        help="the .safetensors file to write",
    )
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.engine.artefacts.artefacts import Artefacts
    from coherence.engine.artefacts.vectors import save_vector
    from coherence.engine.running.runner import Runner
    from coherence.plan import Extract
    from coherence.store import Store, store_root
    from coherence.suite import Overrides, load_scene
    from coherence.vocabulary import Regime

    scene, places = load_scene(options.suite, Overrides())
    for name in filter(None, (options.persona, options.against)):
        if name not in scene.personas:
            raise SuiteError(f"{options.suite} has no persona {name!r}{did_you_mean(name, scene.personas)}")
    prompt, site = Regime.PROMPT, options.site
    negative = scene.condition(options.against, prompt) if options.against else scene.bare
    extract = Extract(scene.condition(options.persona, prompt), negative, site, options.position)
    runner = Runner(Artefacts.of(scene, places), Store(store_root()), tell)
    values = runner.extract(extract)
    about = {
        "persona": options.persona,
        "against": options.against or "neutral",
        "base": scene.release.base,
    }
    save_vector(options.out, values, site, about)
    print(f"{options.out}: {options.persona} against {about['against']} at {site}, width {values.size}")
    return Output({"vector": options.out, **about, "site": site, "width": int(values.size)})


COMMAND = Command(
    name="extract",
    help="extract a persona's steering vector from its prompt",
    about="Mean difference of residuals under the persona's prompt and under the neutral one, over 20 "
    "questions that belong to no suite. The file carries its site. Neither probes nor assertions are needed.",
    example="coherence extract pirate.coherence.yaml pirate --site resid_post.2 --out pirate.safetensors",
    add=_add,
)
