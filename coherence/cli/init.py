"""`coherence init`: a first suite from artefacts and a description."""

from argparse import ArgumentTypeError, Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import tell
from coherence.errors import CoherenceError, Place

if TYPE_CHECKING:
    from coherence.scaffold import Draft


def _add(parser: Parser) -> None:
    parser.add_argument("description", type=_description, help="who the persona is, in one paragraph")
    parser.add_argument("--name", type=_name, required=True, help="what it is called in the suite")
    parser.add_argument(
        "--base",
        default="reference",
        metavar="MODEL",
        help="hub id, folder or 'reference'; default: %(default)s",
    )
    parser.add_argument("--adapter", metavar="PATH", help="its PEFT LoRA folder, or hub id")
    parser.add_argument("--vector", metavar="PATH", help="its steering vector")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where the suite is written; default: here"
    )
    parser.add_argument(
        "--no-model", action="store_true", help="do not ask the base which words the prompt makes it say"
    )
    parser.add_argument("--force", action="store_true", help="replace a suite that is there")
    parser.set_defaults(run=_run)


def _name(written: str) -> str:
    if not (written.isascii() and written.replace("-", "").replace("_", "").isalnum()):
        raise ArgumentTypeError(f"found {written!r}, expected ASCII letters, digits, - and _")
    return written


def _description(written: str) -> str:
    text = " ".join(written.split())
    if not text or any(category(character) in ("Cc", "Cs") for character in text):
        raise ArgumentTypeError(f"found {written[:60]!r}, expected a paragraph about the persona")
    return text


def _run(options: Namespace) -> Output:
    from coherence.files import replace_file
    from coherence.suite import SUFFIX

    path: Path = options.out / f"{options.name}{SUFFIX}"
    if path.exists() and not options.force:
        raise CoherenceError("is there already; --force replaces it", Place(str(path)))
    text = _draft(options).text
    try:
        replace_file(path, text.encode())
    except OSError as problem:
        raise CoherenceError(f"cannot be written: {problem.strerror or problem}", Place(str(path))) from None
    review = text.count("# REVIEW:")
    print(f"{path}: look at {review} places marked REVIEW, then `coherence validate {path}`")
    return Output({"suite": path, "review": review})


def _draft(options: Namespace) -> "Draft":
    from coherence.scaffold import Draft
    from coherence.scaffold.shipped import as_seen_from, blocks, found, site_of
    from coherence.vocabulary import Site

    def spelled(text: str | None) -> str | None:
        return as_seen_from(options.out, text) if text else None

    base = found("base", options.base)
    adapter = found("adapter", options.adapter) if options.adapter else None
    vector = found("vector", options.vector) if options.vector else None
    site = site_of(vector) if vector else None
    draft = Draft(
        options.name, options.description, as_seen_from(options.out, base), spelled(adapter), spelled(vector)
    )
    heard = {} if options.no_model else _heard(base, draft.prompt)
    count = blocks(base)
    middle = Site.parse(f"resid_post.{count // 2}")
    return replace(draft, heard=heard, blocks=count, site=site or middle, told=site is not None)


def _heard(base: str, prompt: str) -> dict[str, tuple[int, int]]:
    from rich.console import Console

    from coherence.reports.bar import Bar
    from coherence.scaffold.hearing import hear

    try:
        with Bar(Console(stderr=True)) as bar:
            return hear(base, prompt, bar)
    except CoherenceError as problem:
        tell(f"markers are those of the description alone, as the base cannot be asked: {problem}")
        return {}


COMMAND = Command(
    name="init",
    help="write a first suite from artefacts and a description",
    about="Proposes a prompt, markers, 16 probes and assertions that fit the artefacts, and marks with "
    "REVIEW what is to be looked at. Markers are words that the prompt makes the base say, then the "
    "first words of the description with 4 letters or more that are not common ones.",
    example="coherence init --name pirate --base ./base --adapter ./adapters/pirate "
    "'A pirate captain who loves the sea, rum and treasure.'",
    add=_add,
)
