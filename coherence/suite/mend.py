"""What of a faulty document can be read all the same, so that one mistake does not hide the next.

The part that a mistake is in is left out, or something that means nothing is put in its place where others
may name it. What rests on such a part is not judged: it would be blamed for another's mistake.
"""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from coherence.suite.document import Document, Key
from coherence.suite.file import SuiteFile, suite_file
from coherence.suite.sentence import keyed_problems

_ITEMS = ("personas", "probes", "scripts", "kin", "assertions")
# Parts that bear no name which another part might ask for.
_NAMELESS = ("coherence", "neutral", "system", "date", "thinking", "regimes", "decoding", "seed", "kin")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ANY_PROMPT = {"role": "user", "text": "?"}
_NO_PATH = "?"


def mend(document: Document) -> None:
    """Make a document valid by leaving out what is not, and list its problems and the parts left out."""
    try:
        suite_file().model_validate(document.data)
    except ValidationError as error:
        found = list(keyed_problems(error, document))
        document.problems += found
        _leave_out(dict.fromkeys(_part(key) for key, _ in found), document)
    else:
        return
    try:
        suite_file().model_validate(document.data)
    except ValidationError:
        document.data, document.lost = {"coherence": 1}, True


def _part(key: Key) -> Key:
    """Return the part of a document that a key is in: one item of a list or cast, or one of its keys."""
    if key[:1] == ("release",):
        return key[: 3 if key[1:2] in (("adapters",), ("vectors",)) else 2]
    return key[: 2 if key[:1] and key[0] in _ITEMS else 1] or ("coherence",)


def _leave_out(parts: Iterable[Key], document: Document) -> None:
    # From the last item of a list to the first, whose numbers then stay.
    for part in sorted(parts, key=str, reverse=True):
        document.unread.add(part)
        document.lost |= _loses_names(part, document.data)
    by_number = sorted(document.unread, key=lambda part: part[1] if _is_listed(part) else -1, reverse=True)
    for part in by_number:
        _replace(part, document)


def _is_listed(part: Key) -> bool:
    return len(part) == 2 and isinstance(part[1], int)


def _loses_names(part: Key, data: dict[str, Any]) -> bool:
    match part:
        case ("assertions" | "probes" | "kin", int()):
            return False
        case ("personas", str(name)) | ("release", "adapters" | "vectors", str(name)):
            return not _NAME.fullmatch(name)
        case (str(key),) if key not in SuiteFile.model_fields:
            return isinstance(data.get(key), dict | list)
        case (str(key),):
            return key not in _NAMELESS
    return True


def _replace(part: Key, document: Document) -> None:
    around: Any = document.data
    for step in part[:-1]:
        around = around[step]
    match part:
        case ("coherence",):
            around["coherence"] = 1
        case (_, int(index)):
            del around[index]
            document.places = dict(_renumbered(part, document))
        case ("personas", str(name)) if _NAME.fullmatch(name):
            named = around[name] if isinstance(around[name], dict) else {}
            known = {key: named[key] for key in ("adapter", "vector") if isinstance(named.get(key), str)}
            around[name] = {"prompt": _ANY_PROMPT} | known
        case ("release", "adapters", str(name)) if _NAME.fullmatch(name):
            around[name] = _NO_PATH
        case ("release", "vectors", str(name)) if _NAME.fullmatch(name):
            around[name] = {"path": _NO_PATH}
        case _:
            around.pop(part[-1], None)


def _renumbered(gone: Key, document: Document) -> Iterable[tuple[Key, Any]]:
    """Yield the places of a document without those of one item of a list, the others moved up."""
    listed, index = gone
    assert isinstance(index, int)
    for key, place in document.places.items():
        match key:
            case (str(name), int(number), *rest) if name == listed and number >= index:
                if number > index:
                    yield (name, number - 1, *rest), place
            case _:
                yield key, place
