"""Thresholds put into the text of a suite: the numbers change, and nothing else of the file does."""

from collections.abc import Iterable, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from coherence.errors import Place, SuiteError
from coherence.files import replace_file
from coherence.suite.document import LOADER
from coherence.thresholds.proposal import Proposal
from coherence.thresholds.side import plain

BYTE_ORDER_MARK = "\ufeff"


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def change(path: Path, proposals: Iterable[Proposal]) -> str:
    """Show what the proposals change in a suite, as `diff` does; empty when they change nothing."""
    text = _read(path)
    old, new = (each.splitlines() for each in (text, rewritten(path, text, proposals)))
    return "\n".join(unified_diff(old, new, str(path), f"{path} (proposed)", lineterm="", n=1))


def rewrite(path: Path, proposals: Iterable[Proposal]) -> None:
    """Put the proposals into a suite, in one step. SuiteError: the file cannot be written."""
    text = rewritten(path, _read(path), proposals)
    try:
        replace_file(path.resolve(), text.encode())
    except OSError as problem:
        raise SuiteError(f"{path} cannot be written: {problem.strerror or problem}") from None


def _read(path: Path) -> str:
    return path.read_bytes().decode()


def rewritten(path: Path, text: str, proposals: Iterable[Proposal]) -> str:
    """Return the text of a suite with the proposed thresholds in it.

    A key that is not written, because its default was good enough, is added at the end of its assertion.
    SuiteError: a number stands there by an anchor or an alias, so that others would change with it.
    """
    mark = text[: text.startswith(BYTE_ORDER_MARK)]
    text = text.removeprefix(BYTE_ORDER_MARK)  # which YAML does not count
    listed = _value(yaml.compose(text, Loader=LOADER), "assertions")
    assert isinstance(listed, SequenceNode)
    changed: dict[tuple[int, str], list[Proposal]] = {}
    for proposal in proposals:
        if proposal.proposed not in (None, proposal.current):
            changed.setdefault((proposal.entry.index, proposal.key), []).append(proposal)
    edits = [edit for together in changed.values() for edit in _edits(path, text, listed, together)]
    # From the end of the file to its beginning, so that no edit moves the place of another.
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return mark + text


def _edits(path: Path, text: str, listed: SequenceNode, proposals: Sequence[Proposal]) -> list[_Edit]:
    """Edit one key of one assertion."""
    entry, key = proposals[0].entry, proposals[0].key
    node = listed.value[entry.index]
    numbers = {
        proposal.item: plain(proposal.proposed) for proposal in proposals if proposal.proposed is not None
    }
    written = _value(node, key)
    if written is None:
        return [_added(text, node, key, [numbers.get(*each) for each in enumerate(entry.numbers(key))])]
    items = written.value if isinstance(written, SequenceNode) else [written]
    meant = next(name for name, _ in node.value if name.value == key)
    shared = any(_is_shared(text, meant, each) for each in (written, *items))
    if shared or listed.value.count(node) > 1:
        raise SuiteError(
            f"{key} is written by an anchor or an alias, so that more than this would change; "
            "expected the number itself",
            Place(str(path), meant.start_mark.line + 1),
        )
    return [
        _Edit(items[item].start_mark.index, items[item].end_mark.index, number)
        for item, number in numbers.items()
    ]


def _is_shared(text: str, name: Node, value: Node) -> bool:
    # An alias is the very node that was written under the anchor, further up.
    start: int = value.start_mark.index
    return start < name.end_mark.index or text[start] == "&"


def _added(text: str, entry: MappingNode, key: str, numbers: Sequence[object]) -> _Edit:
    value = f"[{', '.join(map(str, numbers))}]" if len(numbers) > 1 else numbers[0]
    end = max(value.end_mark.index for name, value in entry.value if _ends_in_sight(text, name, value))
    if entry.flow_style:
        return _Edit(end, end, f", {key}: {value}")
    rest = text[end:].split("\n", 1)[0]
    newline = "\r\n" if rest.endswith("\r") else "\n"
    end += len(rest.removesuffix("\r"))
    return _Edit(end, end, f"{newline}{' ' * entry.start_mark.column}{key}: {value}")


def _ends_in_sight(text: str, name: Node, value: CollectionNode | ScalarNode) -> bool:
    """Tell whether a value ends where its mark says: that of a block stands before what comes next."""
    if isinstance(value, CollectionNode):
        return bool(value.flow_style) and not _is_shared(text, name, value)
    return value.style not in ("|", ">") and not _is_shared(text, name, value)


def _value(mapping: Node | None, key: str) -> Node | None:
    assert isinstance(mapping, MappingNode)
    return next((value for name, value in mapping.value if name.value == key), None)
