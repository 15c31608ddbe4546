"""`coherence init`: a first suite from artefacts and a description."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import tell
from coherence.cli.writing import writing
from coherence.errors import CoherenceError, Place

if TYPE_CHECKING:
    from coherence.scaffold import Draft


def _add(parser: Parser) -> None:
    parser.add_argument(
        "description", type=_description, nargs="?", help="who the persona is, in one paragraph"
    )
    parser.add_argument("--name", type=_name, help="what it is called in the suite")
    parser.add_argument(
        "--prompt", type=_description, metavar="TEXT", help="its prompt, if it is more than that"
    )
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

    if not (options.name and options.description):
        _ask(options)
    path: Path = options.out / f"{options.name}{SUFFIX}"
    if path.exists() and not options.force:
        raise CoherenceError("is there already; --force replaces it", Place(str(path)))
    draft = _draft(options)
    text = draft.text
    with writing(path):
        replace_file(path, text.encode())
    if not draft.markers:
        tell("no word is in more replies under the prompt than without, so no markers are proposed")
    review = text.count("# REVIEW:")
    print(f"{path}: look at {review} places marked REVIEW, then `coherence validate {path}`")
    return Output({"suite": path, "review": review})


def _ask(options: Namespace) -> None:
    """Put the answers of whoever sits at the terminal in the place of what the command line lacks."""
    from coherence.scaffold.interview import Readers, interview
    from coherence.scaffold.shipped import found

    def at_once(kind: str, text: str) -> str:
        try:
            found(kind, text)
        except CoherenceError as problem:
            raise ValueError(problem.sentence) from None
        return text

    if not sys.stdin.isatty():
        raise CoherenceError(
            "a persona needs --name NAME and a description; in a terminal, `coherence init` asks for them"
        )
    try:
        answers = interview(input, print, Readers(_read(_name), _read(_description), at_once), Path())
    except EOFError:
        raise CoherenceError("no more answers came; nothing is written") from None
    for key, value in vars(answers).items():
        setattr(options, key, value)


def _read(reader: Callable[[str], str]) -> Callable[[str], str]:
    """Let a reader of arguments say what is wrong by a ValueError."""

    def read(text: str) -> str:
        try:
            return reader(text)
        except ArgumentTypeError as problem:
            raise ValueError(str(problem)) from None

    return read


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
        options.name,
        options.description,
        as_seen_from(options.out, base),
        spelled(adapter),
        spelled(vector),
        stated=options.prompt,
    )
    heard = None if options.no_model else _heard(base, draft.prompt, draft.description)
    count = blocks(base)
    middle = Site.parse(f"resid_post.{count // 2}")
    return replace(draft, heard=heard, blocks=count, site=site or middle, told=site is not None)


def _heard(base: str, prompt: str, description: str) -> dict[str, tuple[int, int]] | None:
    from rich.console import Console

    from coherence.reports.bar import Bar
    from coherence.scaffold.hearing import hear

    try:
        with Bar(Console(stderr=True)) as bar:
            return hear(base, prompt, description, bar)
    except CoherenceError as problem:
        tell(f"markers are those of the description alone, as the base cannot be asked: {problem}")
        return None


COMMAND = Command(
    name="init",
    help="write a first suite from artefacts and a description",
    about="Proposes a prompt, markers, 16 probes and assertions that fit the artefacts, and marks with "
    "REVIEW what is to be looked at. The base answers the probes with the prompt and without it: markers are "
    "words that tell its replies apart, those of the description among them. With a prompt and no artefact, "
    "the suite extracts a vector from it. Without arguments, it asks for what is there.",
    example="coherence init --name pirate --base ./base --adapter ./adapters/pirate "
    "'A pirate captain who loves the sea, rum and treasure.'",
    add=_add,
)
