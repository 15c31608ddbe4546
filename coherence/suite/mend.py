"""What of a faulty document can be read all the same, so that one mistake does not hide the next.

The part that a mistake is in is left out, or something that means nothing is put in its place where others
may name it. What rests on such a part is not judged: it would be blamed for another's mistake.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from coherence import limits
from coherence.errors import Place
from coherence.suite.document import Document, Key
from coherence.suite.file import SuiteFile, suite_file
from coherence.suite.sentence import keyed, problem_of

_ITEMS = ("personas", "probes", "scripts", "kin", "assertions")
# Parts that bear no name which another part might ask for.
_NAMELESS = ("coherence", "neutral", "system", "date", "thinking", "regimes", "decoding", "seed", "kin")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ANY_PROMPT = {"role": "user", "text": "?"}
# Stands where a path is to be, and none could be read.
NO_PATH = "?"


def mend(document: Document) -> None:
    """Make a document valid by leaving out what is not, and list its problems and the parts left out."""
    try:
        suite_file().model_validate(document.data)
    except ValidationError as error:
        # Of very many, those are said that more than assertions rest on.
        errors = sorted(keyed(error, document), key=lambda one: one[0][:1] == ("assertions",))
        shown = errors[: limits.PROBLEMS + 1]
        document.problems += ((key, problem_of(detail, key, document)) for key, detail in shown)
        _leave_out(dict.fromkeys(_part(key) for key, _ in errors), document)
    else:
        return
    try:
        suite_file().model_validate(document.data)
    except ValidationError:
        document.data, document.lost = {"coherence": 1}, True


def _part(key: Key) -> Key:
    """Return the part of a document that a key is in: one item of a list or cast, or one of its keys."""
    if key[:1] == ("release",):
        return key[: 3 if key[1:2] in (("adapters",), ("vectors",), ("training",)) else 2]
    return key[: 2 if key[:1] and key[0] in _ITEMS else 1] or ("coherence",)


def _leave_out(parts: Iterable[Key], document: Document) -> None:
    # From the last item of a list to the first, whose numbers then stay.
    for part in sorted(parts, key=str, reverse=True):
        document.unread.add(part)
        document.lost |= _loses_names(part, document.data)
    _leave_out_items(document)
    for part in document.unread:
        if not _is_listed(part):
            _replace(part, document)


def _leave_out_items(document: Document) -> None:
    gone: dict[str, list[int]] = {}
    for name, index in sorted(part for part in document.unread if _is_listed(part)):
        gone.setdefault(str(name), []).append(int(index))
    for name, numbers in gone.items():
        left_out = {*numbers}
        listed = document.data[name]
        document.data[name] = [item for index, item in enumerate(listed) if index not in left_out]
    document.places = dict(_renumbered(gone, document.places))


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
        case ("personas", str(name)) if _NAME.fullmatch(name):
            named = around[name] if isinstance(around[name], dict) else {}
            known = {key: named[key] for key in ("adapter", "vector") if isinstance(named.get(key), str)}
            around[name] = {"prompt": _ANY_PROMPT} | known
        case ("release", "adapters", str(name)) if _NAME.fullmatch(name):
            around[name] = NO_PATH
        case ("release", "vectors", str(name)) if _NAME.fullmatch(name):
            around[name] = {"path": NO_PATH}
        case _:
            around.pop(part[-1], None)


def _renumbered(
    gone: Mapping[str, Sequence[int]], places: Mapping[Key, Place]
) -> Iterator[tuple[Key, Place]]:
    """Yield places without those of items of lists, by the sorted numbers of these; the others move up."""
    for key, place in places.items():
        match key:
            case (str(name), int(number), *rest) if name in gone:
                before = bisect_left(gone[name], number)
                if gone[name][before : before + 1] != [number]:
                    yield (name, number - before, *rest), place
            case _:
                yield key, place
