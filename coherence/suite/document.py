"""A YAML file as plain values, with the line of every key and every list item."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from coherence import limits
from coherence.errors import Place, SuiteError, shortened
from coherence.suite.extent import ExtentError, values_in
from coherence.suite.problem import Problem, refuse
from coherence.suite.quota import Quota

Key = tuple[str | int, ...]

# libyaml reads ten times as fast; an installation of PyYAML without it reads the same.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


@dataclass
class Document:
    """What a file says (`data`), and where it says it, by the keys on the way there.

    `problems` are what is wrong, each with the key that it is about; `unread` the parts that were left out
    for it, and `lost` tells that names may be among those.
    """

    path: Path
    data: dict[str, Any]
    places: dict[Key, Place] = field(default_factory=dict)
    problems: list[tuple[Key, Problem]] = field(default_factory=list)
    unread: set[Key] = field(default_factory=set)
    lost: bool = False

    def place(self, key: Key) -> Place:
        """Return the line of a key, or of the nearest thing around it that was written down."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key) or Place(shown(self.path), 1)


def read_document(path: Path, quota: Quota, named_at: Place | None = None) -> Document:
    """Read a YAML file; a SuiteError says what is wrong on which line, or that it is too much."""
    document = Document(path, {})
    node = _compose(read_text(path, quota, named_at), shown(path), quota)
    if node is None:
        raise SuiteError(
            "the file is empty; expected a suite, starting with 'coherence: 1'", Place(shown(path), 1)
        )
    if not isinstance(node, MappingNode):
        raise SuiteError("expected keys such as 'coherence: 1' and 'personas:'", document.place(()))
    reader = _Reader(shown(path), document.places)
    document.data = reader.mapping(node, ())
    refuse(reader.problems)
    return document


def read_text(path: Path, quota: Quota, named_at: Place | None = None) -> str:
    """Read a UTF-8 file; a SuiteError says why it cannot be read, or which line is not UTF-8."""
    try:
        content = quota.read(path)
    except FileNotFoundError:
        raise SuiteError(f"there is no file {shown(path)}", named_at) from None
    except OSError as problem:
        raise SuiteError(f"{shown(path)} cannot be read: {problem.strerror}", named_at) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        byte = content[problem.start]
        raise SuiteError(f"expected UTF-8, found the byte 0x{byte:02x}", Place(shown(path), line)) from None


def shown(path: Path) -> str:
    """Return a path as a person in the current directory would write it."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def _compose(text: str, file: str, quota: Quota) -> Node | None:
    control = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise SuiteError(f"found the control character {control[0]!r}", Place(file, line))
    try:
        # Before it is composed, which takes the stack of the process, and the memory of every alias.
        quota.values -= values_in(yaml.parse(text, Loader=LOADER), quota.values)
        node: Node | None = yaml.compose(text, Loader=LOADER)
    except ExtentError as problem:
        raise SuiteError(str(problem), _at(problem.event.start_mark, file)) from None
    except yaml.MarkedYAMLError as error:
        place = _at(error.problem_mark or error.context_mark, file)
        written = text.split("\n")[place.line - 1 : place.line] if place.line else []
        raise SuiteError(_syntax(error, written), place) from None
    return node


def _at(mark: Any, file: str) -> Place:  # noqa: ANN401
    """Return the place of one of YAML's marks, which are of two types, or none."""
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)


def _syntax(error: yaml.MarkedYAMLError, line: list[str]) -> str:
    if line and re.match(r" *\t", line[0]):
        return "the line is indented by a tab; YAML expects spaces"
    return f"this is not YAML: {', '.join(filter(None, [error.problem, error.context]))}"


class _Reader:
    """Turns nodes into values. Keys stay the texts that were written: a persona may be called `on` or `1`."""

    def __init__(self, file: str, places: dict[Key, Place]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._places = places
        self._constructor = SafeConstructor()
        self._open: list[Node] = []

    def value(self, node: Node, key: Key) -> object:
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if node in self._open:
            self._refuse(node, "this alias stands inside the very thing that it names")
            return None
        if node.tag not in _PLAIN_COLLECTIONS:
            self._refuse(node, f"the tag {node.tag!r} has no meaning in a suite")
            return None
        self._open.append(node)
        value = self.mapping(node, key) if isinstance(node, MappingNode) else self._sequence(node, key)
        self._open.pop()
        return value

    def _scalar(self, node: ScalarNode) -> object:
        if node.tag in _NUMBERS and len(node.value) > limits.NUMBER:
            sentence = f"found the number {shortened(node.value)} of {len(node.value):,} characters"
            self._refuse(node, f"{sentence}; expected at most {limits.NUMBER}")
            return None
        try:
            return self._constructor.construct_object(node)
        except yaml.constructor.ConstructorError:
            self._refuse(node, f"the tag {node.tag!r} has no meaning in a suite")
        # PyYAML lets pass whatever its converters of dates and numbers happen to raise.
        except (ArithmeticError, AttributeError, LookupError, ValueError) as problem:
            self._refuse(node, f"{shortened(node.value)} cannot be read ({problem}); a text needs quotes")
        return None

    def _sequence(self, node: Node, key: Key) -> list[Any]:
        assert isinstance(node, SequenceNode)
        for index, item in enumerate(node.value):
            self._places[*key, index] = self._place(item)
        return [self.value(item, (*key, index)) for index, item in enumerate(node.value)]

    def mapping(self, node: MappingNode, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, ScalarNode):
                self._refuse(name_node, "expected a name before the colon")
            elif name_node.value in values:
                first = self._places[*key, name_node.value].line
                self._refuse(
                    name_node, f"the key {name_node.value!r} is written twice; first on line {first}"
                )
            else:
                self._places[*key, name_node.value] = self._place(name_node)
                values[name_node.value] = self.value(value_node, (*key, name_node.value))
        return values

    def _place(self, node: Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _refuse(self, node: Node, sentence: str) -> None:
        self.problems.append(Problem(self._place(node), sentence))
