"""Suites that are made to hang, crash or fill the machine: each a kind that has done so somewhere."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

_DEEP = 5_000
_REST = "probes: [one?]\nassertions: [{property: commutativity}]\n"


def _text(text: str) -> Callable[[Path], None]:
    """Write a suite that is whole but for `text`."""
    return lambda folder: _write(folder, f"coherence: 1\n{text}\n{_REST}")


def _write(folder: Path, text: str) -> None:
    (folder / "a.coherence.yaml").write_text(text)


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    _text("include: [pipe]")(folder)


def _including_itself(folder: Path) -> None:
    (folder / "other").symlink_to(folder)
    _text("include: [other/a.coherence.yaml]")(folder)


def _bomb() -> str:
    levels = [f"b{level}: &b{level} [{', '.join([f'*b{level - 1}'] * 10)}]" for level in range(1, 12)]
    return "\n  ".join(["personas:", "b0: &b0 [x]", *levels])


KINDS: Mapping[str, Callable[[Path], None]] = {
    "aliases that multiply to 10^11 values": _text(_bomb()),
    f"{_DEEP:,} brackets, one in the other": _text(f"personas: {'[' * _DEEP}{']' * _DEEP}"),
    f"{_DEEP:,} parentheses in a pattern": _text(
        f"personas: {{a: {{prompt: x, markers: [{{regex: '{'(' * _DEEP}{')' * _DEEP}'}}]}}}}"
    ),
    "a band of 10^12 sites": _text("personas: {a: {cap: {sites: resid_post.0..1000000000000, at: 1}}}"),
    f"a number of {_DEEP:,} digits": _text(f"seed: {'9' * _DEEP}"),
    "a device in the place of a file": _text("include: [/dev/zero]"),
    "a pipe that nobody writes into": _pipe,
    "an include that leads back, through a link": _including_itself,
    "a user who is not there": _text("include: [~no-such-user/a]"),
    "NUL in a path": _text('include: ["a\\0b"]'),
    "a name of 300 characters": _text(f"include: [{'x' * 300}]"),
}
