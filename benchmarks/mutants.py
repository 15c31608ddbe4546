"""Mutants of well-formed input: bytes, JSON and text, changed in the ways that break readers."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Literal

_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 10**12, 2**63 - 1, 2**64 - 1)
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), -float("inf")),
    *(10**12, 2**31, 2**63, -(2**63), 10**30, 10**400),
    *(
        "",
        " ",
        "x",
        "0",
        "-1",
        "nan",
        "x" * 300,
        "a\0b",
        "\x1b[31m",
        "\ud800",
        "\u202e",
        "/dev/zero",
        "..",
        "/",
    ),
    *("(a+)+$", "(" * 600, ".*.*.*.*.*x", "~nobody/x", "{{ 1 }}", "resid_post.1", "float32", "bare"),
    *([], {}, [[]], [None], [1, 2], ["x"], {"": ""}, {"x": 1}, [0.5] * 40, [[[[[[[[]]]]]]]]),
)
_PIECES = (
    *(
        "[",
        "]",
        "{",
        "}",
        ": ",
        ", ",
        "- ",
        "\n",
        "\n  ",
        "\t",
        "#",
        "&a ",
        "*a",
        "!!int ",
        "!!binary ",
        "!x ",
        "<<: ",
    ),
    *(
        "|",
        ">",
        "'",
        '"',
        "\\",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "? ",
        "~",
        "null",
        "0x",
        "1e999",
        "..",
        "\0",
        "\x85",
    ),
    *("\ufeff", "\u2028", "[" * 60, "- " * 60, "9" * 60, "(", ")", "*", "+", "{2,}", "/dev/zero", "~nobody/"),
)

Edit = Callable[[Random, bytes], bytes]


def changed(random: Random, content: bytes) -> bytes:
    """Change bytes at one to four places."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = random.choice(_EDITS)(random, content)
    return content


def _place(random: Random, content: bytes) -> int:
    """Return a place; beginnings, where headers are, more often than they are long."""
    reach = random.choice((32, 256, 2048, len(content)))
    return random.randrange(min(reach, len(content)) + 1)


def _flip(random: Random, content: bytes) -> bytes:
    at = _place(random, content)
    return content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]


def _number(random: Random, content: bytes) -> bytes:
    """Write a number that means a length, a count or an offset somewhere."""
    size = random.choice((1, 2, 4, 8, 8))
    at = _place(random, content) // size * size
    value: int = random.choice(_NUMBERS) % 256**size
    order: Literal["little", "big"] = random.choice(("little", "little", "big"))
    return content[:at] + value.to_bytes(size, order) + content[at + size :]


def _cut(random: Random, content: bytes) -> bytes:
    at = _place(random, content)
    return content[:at] + content[at + random.choice((1, 8, 64, len(content))) :]


def _repeat(random: Random, content: bytes) -> bytes:
    at, length = _place(random, content), random.choice((1, 8, 64, 512))
    return content[:at] + content[at : at + length] * random.choice((2, 3, 50)) + content[at + length :]


def _digit(random: Random, content: bytes) -> bytes:
    """Put another number in the place of one that is written in digits."""
    at = _place(random, content)
    start = next((i for i in range(at, len(content)) if content[i : i + 1].isdigit()), None)
    if start is None:
        return content
    end = next((i for i in range(start, len(content)) if not content[i : i + 1].isdigit()), len(content))
    return content[:start] + str(random.choice((*_NUMBERS, -1))).encode() + content[end:]


_EDITS: Sequence[Edit] = (_flip, _number, _number, _cut, _repeat, _digit)


def misspelled(random: Random, text: str) -> str:
    """Change a text at one to four places: pieces of syntax, words and lines of its own."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(text) + 1)
        end = at + random.choice((0, 0, 1, 3, 20, 200))
        put = random.choice((random.choice(_PIECES), "", _own(random, text), str(random.choice(_ODD))))
        text = text[:at] + put * random.choice((1, 1, 1, 40)) + text[end:]
    return text


def _own(random: Random, text: str) -> str:
    if random.random() < 0.5:
        return random.choice(text.split() or [""])
    return random.choice(text.split("\n")) + "\n"


def rewritten(random: Random, document: Any) -> Any:  # noqa: ANN401
    """Return a JSON document with one to four values, keys or items changed."""
    document = json.loads(json.dumps(document))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        document = _rewritten(random, document)
    return document


def _rewritten(random: Random, document: Any) -> Any:  # noqa: ANN401
    places = list(_places(document))
    if not places:
        return _odd(random)
    around, key = random.choice(places)
    match random.choice(("odd", "odd", "odd", "gone", "twice", "swapped", "renamed", "wrapped")):
        case "gone":
            del around[key]
        case "twice" if isinstance(around, list):
            around.extend([around[key]] * random.choice((1, 3, 300)))
        case "swapped":
            other, there = random.choice(places)
            around[key] = json.loads(json.dumps(other[there]))
        case "renamed" if isinstance(around, dict):
            around[str(_odd(random))] = around.pop(key)
        case "wrapped":
            around[key] = random.choice(
                ([around[key]], {"x": around[key]}, [[around[key]]], str(around[key]))
            )
        case _:
            around[key] = _odd(random)
    return document


def _odd(random: Random) -> Any:  # noqa: ANN401
    # A copy: what is changed later must not be changed elsewhere.
    return copy.deepcopy(random.choice(_ODD))


def _places(document: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    keys = (
        document.keys()
        if isinstance(document, dict)
        else range(len(document))
        if isinstance(document, list)
        else ()
    )
    for key in keys:
        yield document, key
        yield from _places(document[key])


def as_json(document: Any) -> bytes:  # noqa: ANN401
    """Write what JSON has no word for as Python does, and lone surrogates as escapes."""
    return json.dumps(document).encode()
