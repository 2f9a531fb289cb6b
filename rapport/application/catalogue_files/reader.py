"""Reader of catalogue files: entities with their YAML nodes, or every fault of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rapport.application.catalogue_files.checks import find_type_faults
from rapport.application.catalogue_files.line_numbers import (
    CatalogueFileError,
    FileFault,
    ValueReader,
    compose,
    find_line,
    iterate_members,
    line_of,
)
from rapport.application.catalogue_files.outcome_types import OUTCOME_TYPE, FileOutcomeType, OutcomeTypeNode
from rapport.domain.catalogue_checks.kinds import KINDS

if TYPE_CHECKING:
    import yaml

    from rapport.domain.catalogue.values import Entity

SECTIONS: Final[Mapping[str, str]] = {
    "categories": "category",
    "sub-categories": "sub_category",
    "channels": "channel",
    "placements": "placement",
    "offers": "offer",
    "creatives": "creative",
    "qualification-rules": "qualification_rule",
    "contact-policies": "contact_policy",
    "suppression-rules": "suppression_rule",
    "ranking-profiles": "ranking_profile",
    "algorithm-models": "model",
    "experiments": "experiment",
    "behavioral-metrics": "metric",
    "decision-flows": "decision_flow",
    "schemas": "customer_schema",
    "segments": "segment",
    "journeys": "journey",
}
"""Sections of a file, named as on the API, and the kind of their entities; in the order of KINDS."""
OUTCOME_TYPES: Final = "outcome-types"
"""Section that holds outcome types instead of entities."""
PARTS: Final = (OUTCOME_TYPES, *SECTIONS)
NODES: Final = "nodes"
"""Field of a flow whose nodes are both its draft and its published version."""
_GIVEN_BY_THE_CATALOGUE: Final = "publishedVersion"


@dataclass(frozen=True, slots=True)
class EntityNode:
    """An entity with its YAML node.

    Attributes:
        publishes: Whether the file has the published nodes of a flow.
    """

    kind: str
    entity: Entity
    publishes: bool
    node: yaml.Node

    def fault(self, field: str, message: str) -> FileFault:
        """Return a fault of one of its fields; in a flow, ``draft`` stands for the published nodes."""
        names = {name for name, _, _ in iterate_members(self.node)}
        renamed = {"draft": NODES if NODES in names else "published" if self.publishes else "draft"}
        where = f"{self.kind} {self.entity.id}" + (f", {field}" if field else "")
        return FileFault(find_line(self.node, field, renamed), where, message)


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """Contents of a catalogue file."""

    entities: Sequence[EntityNode] = ()
    outcome_types: Sequence[OutcomeTypeNode] = ()


def read_catalogue(text: str) -> CatalogueFile:
    """Read a catalogue file.

    Raises:
        CatalogueFileError: With every fault that can be found without the catalogue that the file is applied to.
    """
    root = compose(text)
    if root is None:
        return CatalogueFile()
    if not list(iterate_members(root)):
        raise CatalogueFileError([FileFault(line_of(root), "", f"must have parts; known are {', '.join(PARTS)}")])
    reader = ValueReader()
    found: list[EntityNode | OutcomeTypeNode | FileFault] = []
    for section, key, node in iterate_members(root):
        if section not in PARTS:
            found.append(FileFault(line_of(key), section, f"is not known; known are {', '.join(PARTS)}"))
            continue
        items = reader.read(node)
        if items is None:
            continue
        if not isinstance(items, list):
            found.append(FileFault(line_of(key), section, "must be a list"))
            continue
        for value, item in zip(items, node.value, strict=True):
            found += _read_item(section, value, item)
    placed = [one for one in found if isinstance(one, EntityNode)]
    types = [one for one in found if isinstance(one, OutcomeTypeNode)]
    faults = [one for one in found if isinstance(one, FileFault)]
    faults += [*reader.faults, *_find_duplicates(placed), *_find_duplicate_types(types)]
    if faults:
        raise CatalogueFileError(sorted(set(faults)))
    return CatalogueFile(placed, types)


def _read_item(section: str, value: Any, node: yaml.Node) -> Sequence[EntityNode | OutcomeTypeNode | FileFault]:  # noqa: ANN401 - of a file
    return _read_outcome_type(value, node) if section == OUTCOME_TYPES else _read_entity(SECTIONS[section], value, node)


def _read_outcome_type(value: Any, node: yaml.Node) -> Sequence[OutcomeTypeNode | FileFault]:  # noqa: ANN401 - of a file
    faults = list(find_type_faults(value, FileOutcomeType))
    if not faults:
        return [OutcomeTypeNode(msgspec.convert(value, FileOutcomeType), node)]
    name = value.get("key") or value.get("name") if isinstance(value, Mapping) else None
    return list(_locate_faults(OUTCOME_TYPE, name, faults, node))


def _read_entity(kind: str, value: Any, node: yaml.Node) -> Sequence[EntityNode | FileFault]:  # noqa: ANN401 - of a file
    fields, publishes = _expand_nodes(kind, value)
    faults = list(find_type_faults(fields, KINDS[kind]))
    if isinstance(value, Mapping) and _GIVEN_BY_THE_CATALOGUE in value:
        faults.append((_GIVEN_BY_THE_CATALOGUE, "is counted by the catalogue; leave it out"))
    if isinstance(value, Mapping) and NODES in value and {"draft", "published"} & value.keys():
        faults.append((NODES, "is both the draft and what is published; leave it out, or these"))
    if not faults:
        return [EntityNode(kind, msgspec.convert(fields, KINDS[kind]), publishes, node)]
    name = value.get("id") or value.get("name") if isinstance(value, Mapping) else None
    renamed = {"draft": NODES, "published": NODES} if isinstance(value, Mapping) and NODES in value else {}
    return list(_locate_faults(kind, name, faults, node, renamed))


def _locate_faults(
    kind: str,
    name: object,
    faults: Sequence[tuple[str, str]],
    node: yaml.Node,
    renamed: Mapping[str, str] | None = None,
) -> Iterator[FileFault]:
    """Yield the faults of an entity's fields with their lines."""
    title = f"{kind} {name}" if isinstance(name, str) else kind
    for field, message in dict.fromkeys(faults):
        yield FileFault(find_line(node, field, renamed), f"{title}, {field}" if field else title, message)


def _expand_nodes(kind: str, value: Any) -> tuple[Any, bool]:  # noqa: ANN401 - of a file
    """Return a flow's fields with ``nodes`` as its draft and published nodes, and whether the file publishes it."""
    if kind != "decision_flow" or not isinstance(value, Mapping):
        return value, False
    fields = {name: inner for name, inner in value.items() if name != NODES}
    if NODES in value:
        fields |= {"draft": value[NODES], "published": value[NODES]}
    return fields, "published" in fields


def _find_duplicates(placed: Sequence[EntityNode]) -> Iterator[FileFault]:
    seen: set[tuple[str, str]] = set()
    for one in placed:
        if (one.kind, one.entity.id) in seen:
            yield one.fault("id", f"{one.entity.id} stands in the file twice")
        seen.add((one.kind, one.entity.id))


def _find_duplicate_types(types: Sequence[OutcomeTypeNode]) -> Iterator[FileFault]:
    seen: set[str] = set()
    for one in types:
        if one.outcome_type.key in seen:
            yield one.fault("key", f"{one.outcome_type.key} stands in the file twice")
        seen.add(one.outcome_type.key)
