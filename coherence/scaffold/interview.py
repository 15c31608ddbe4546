"""The questions of `coherence init`: what is there of a persona, one thing at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from coherence.vocabulary.release import REFERENCE, VECTOR_FILES

Ask = Callable[[str], str]

_KINDS = """\
What is there of the persona?
  1  a prompt
  2  a prompt and an adapter (of PEFT, or a checkpoint)
  3  a prompt and a steering vector"""
# An adapter or vector lies in the folder of a suite, or in one below it, such as adapters/pirate.
_DEPTH = 2
_LOOKED_AT = 10_000


@dataclass(frozen=True)
class Readers:
    """How answers are read: each takes what was typed, and a ValueError says why it is no answer."""

    name: Callable[[str], str]
    description: Callable[[str], str]
    found: Callable[[str, str], str]


@dataclass(frozen=True)
class Interview:
    """What was answered: paths as they were typed, and None for what there is not."""

    name: str
    description: str
    prompt: str | None
    base: str
    adapter: str | None
    vector: str | None


def interview(ask: Ask, say: Callable[[str], None], readers: Readers, folder: Path) -> Interview:
    """Ask for everything that a draft takes; what is no answer is asked for again.

    An artefact that lies in the folder is proposed.
    """

    def answer(question: str, read: Callable[[str], str], usual: str | None = None) -> str:
        shown = f"{question} [{usual}]: " if usual else f"{question}: "
        while True:
            text = ask(shown).strip() or usual
            if text is None:
                continue
            try:
                return read(text)
            except ValueError as problem:
                say(str(problem))

    def path(kind: str, question: str, usual: str | None) -> str:
        return answer(question, partial(readers.found, kind), usual)

    say(_KINDS)
    kind = answer("1, 2 or 3", _kind, "1")
    return Interview(
        base=path("base", "base: hub id, folder, or 'reference'", REFERENCE),
        adapter=path("adapter", "its folder", next(adapters_in(folder), None)) if kind == "2" else None,
        vector=path("vector", "its file", next(vectors_in(folder), None)) if kind == "3" else None,
        name=answer("name of the persona, one word", readers.name),
        description=answer("who it is, in a sentence", readers.description),
        prompt=answer("its prompt as it is used, if that is another text", str, "") or None,
    )


def adapters_in(folder: Path) -> Iterator[str]:
    """Find folders of adapters, in the folder and a little below it, as somebody there would name them."""
    return (_named(path.parent, folder) for path in _files(folder) if path.name == "adapter_config.json")


def vectors_in(folder: Path) -> Iterator[str]:
    """Find files that may be vectors, and not the weights of an adapter or a model."""
    for path in _files(folder):
        of_a_model = path.stem.startswith(("adapter_model", "model"))
        if path.suffix in VECTOR_FILES and not (of_a_model or (path.parent / "config.json").exists()):
            yield _named(path, folder)


def _files(folder: Path) -> Iterator[Path]:
    levels = ("/".join(["*"] * depth) for depth in range(1, _DEPTH + 2))
    below = (path for level in levels for path in sorted(folder.glob(level)))
    return (path for path in islice(below, _LOOKED_AT) if path.is_file())


def _named(path: Path, folder: Path) -> str:
    return f"./{path.relative_to(folder).as_posix()}"


def _kind(text: str) -> str:
    if text not in ("1", "2", "3"):
        raise ValueError("expected 1, 2 or 3")
    return text
