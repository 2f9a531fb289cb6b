"""Catalogue files as YAML, with the line number of every value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from rapport.domain.json_limits import MAX_DEPTH, find_value_fault
from rapport.domain.number_text import parse_index

MAX_VALUES: Final = 1_000_000
"""Values of a file with its aliases expanded; a small file can stand for billions."""
_MAP: Final = "tag:yaml.org,2002:map"
_SEQUENCE: Final = "tag:yaml.org,2002:seq"
_TEXTS: Final = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp"})
"""Tags whose values stay text; times are among them, as entities hold them as text."""


@dataclass(frozen=True, slots=True, order=True)
class FileFault:
    """A fault of a catalogue file.

    Attributes:
        line: From 1.
        where: The entity and the field, as far as they are known.
        message: The fault and the right form.
    """

    line: int
    where: str
    message: str

    def __str__(self) -> str:
        """Return the fault as compilers print it, without the file."""
        return f"line {self.line}: {self.where + ': ' if self.where else ''}{self.message}"


class CatalogueFileError(ValueError):
    """A catalogue file that cannot be applied.

    Attributes:
        faults: All faults of the file.
    """

    def __init__(self, faults: list[FileFault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def compose(text: str) -> yaml.Node | None:
    """Parse a YAML document into nodes, without converting values; None if it is empty.

    Raises:
        CatalogueFileError: The text is not YAML.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CatalogueFileError([FileFault(line, "", f"is no YAML: {error.problem or error.context}")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise CatalogueFileError([FileFault(1, "", f"is no YAML: {error}")]) from error


class ValueReader:
    """Converts nodes to plain values, with a limit on their number.

    Attributes:
        faults: Faults of the nodes read so far.
    """

    def __init__(self) -> None:
        self.faults: list[FileFault] = []
        self._constructor = yaml.constructor.SafeConstructor()
        self._count = 0
        self._within: set[int] = set()

    def read(self, node: yaml.Node) -> Any:  # noqa: ANN401 - whatever YAML holds
        """Return the value of a node; parts that cannot be read are added to the faults.

        Raises:
            CatalogueFileError: There are more than :data:`MAX_VALUES` values.
        """
        self._count += 1
        if self._count > MAX_VALUES:
            raise CatalogueFileError([FileFault(line_of(node), "", f"holds more than {MAX_VALUES} values")])
        if id(node) in self._within:
            self.faults.append(FileFault(line_of(node), "", "contains itself"))
            return None
        if len(self._within) > MAX_DEPTH and not isinstance(
            node, yaml.ScalarNode
        ):  # beyond the list of entities and the entity
            self.faults.append(FileFault(line_of(node), "", f"is nested deeper than {MAX_DEPTH} levels"))
            return None
        self._within.add(id(node))
        try:
            return self._read_node(node)
        finally:
            self._within.discard(id(node))

    def _read_node(self, node: yaml.Node) -> Any:  # noqa: ANN401
        if isinstance(node, yaml.MappingNode) and node.tag == _MAP:
            return self._read_mapping(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            return [self.read(one) for one in node.value]
        if not isinstance(node, yaml.ScalarNode):
            self.faults.append(FileFault(line_of(node), "", f"the tag {node.tag} is not supported"))
            return None
        if node.tag in _TEXTS:
            return node.value
        try:
            value = self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self.faults.append(FileFault(line_of(node), "", f"cannot be read: {getattr(error, 'problem', error)}"))
            return None
        if fault := find_value_fault(value):
            self.faults.append(FileFault(line_of(node), "", fault.message))
        return value

    def _read_mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                self.faults.append(FileFault(line_of(key), "", "a name is a plain text; merge keys are not supported"))
                continue
            if key.value in values:
                self.faults.append(FileFault(line_of(key), "", f"{key.value} is given twice"))
            values[key.value] = self.read(value)
        return values


def line_of(node: yaml.Node) -> int:
    """Return the line on which a node begins, from 1."""
    return int(node.start_mark.line) + 1


def iterate_members(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """Yield the names of a mapping with the nodes of name and value; nothing for other nodes."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key, value


def find_line(node: yaml.Node, path: str, renamed: Mapping[str, str] | None = None) -> int:
    """Return the line of a field, or of the innermost part around it that the file has.

    Args:
        node: The entity.
        path: ``config.maxPerDay``, ``scopes[0].scopeId``; an item of a list may also be named by its ``id``.
        renamed: Names in the file of fields at the beginning of a path.
    """
    line = line_of(node)
    names = re.findall(r"[^.\[\]]+", path)
    if names and renamed:
        names[0] = renamed.get(names[0], names[0])
    for name in names:
        key, inner = _find_member(node, name)
        if inner is None:
            break
        line, node = line_of(key or inner), inner
    return line


def _find_member(node: yaml.Node, name: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.SequenceNode):
        index = parse_index(name)
        if index is not None and index < len(node.value):
            return None, node.value[index]
        for item in node.value:
            if any(key == "id" and value.value == name for key, _, value in iterate_members(item)):
                return None, item
    for key, key_node, value in iterate_members(node):
        if key == name:
            return key_node, value
    return None, None
