"""A tenant's own outcome types in a catalogue file. System types, which every tenant has, are not part of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rapport.application.catalogue_files.line_numbers import CatalogueFileError, FileFault, find_line
from rapport.domain.catalogue.plain import to_full_fields
from rapport.domain.outcomes import (
    Classification,
    OutcomeCategory,
    OutcomeDescription,
    OutcomeKey,
    OutcomeName,
    OutcomeOrdinal,
    OwnCategory,
    derive_name,
)
from rapport.storage.outcome_types import OutcomeRecord

if TYPE_CHECKING:
    import yaml

OUTCOME_TYPE: Final = "outcome_type"
"""Entity type in the audit log."""


class FileOutcomeType(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An outcome type in a catalogue file.

    Attributes:
        name: Shown to people; derived from the key if not given.
        ordinal: Position in lists; if not given it stays unchanged, or is the last.
    """

    key: OutcomeKey
    name: OutcomeName | None = None
    description: OutcomeDescription = ""
    classification: Classification
    category: OwnCategory = "response"
    is_conversion: bool = False
    allows_negative_value: bool = False
    ordinal: OutcomeOrdinal | None = None


@dataclass(frozen=True, slots=True)
class OutcomeTypeNode:
    """An outcome type with its YAML node."""

    outcome_type: FileOutcomeType
    node: yaml.Node

    def fault(self, field: str, message: str) -> FileFault:
        """Return a fault of one of its fields."""
        return FileFault(find_line(self.node, field), f"{OUTCOME_TYPE} {self.outcome_type.key}, {field}", message)


@dataclass(frozen=True, slots=True)
class PlannedOutcomeChange:
    """Planned change of one outcome type.

    Attributes:
        newest: Its newest version, which may be a deletion; None if there is none.
        record: The version to follow.
    """

    newest: OutcomeRecord | None
    record: OutcomeRecord
    kind: str = OUTCOME_TYPE

    @property
    def id(self) -> str:
        """Key of the outcome type."""
        return self.record.key

    @property
    def before(self) -> OutcomeRecord | None:
        """The outcome type before the change; None if it is created."""
        return self.newest if self.newest and self.newest.is_active else None

    @property
    def after(self) -> OutcomeRecord | None:
        """The outcome type after the change; None if it is deleted."""
        return self.record if self.record.is_active else None

    @property
    def fields(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Its fields before and after the change; empty where it does not exist."""
        before, after = (to_full_fields(to_file_outcome_type(one)) if one else {} for one in (self.before, self.after))
        return before, after


def plan_outcome_types(
    nodes: Sequence[OutcomeTypeNode], stored: Sequence[OutcomeRecord], *, prune: bool
) -> Sequence[PlannedOutcomeChange]:
    """Plan the changes of a tenant's outcome types by a file.

    Args:
        nodes: Outcome types of the file.
        stored: Newest version of each outcome type that the tenant has or had.
        prune: Whether the tenant's own types that the file does not contain are deleted.

    Returns:
        The changes, in the order of the file, deletions last.

    Raises:
        CatalogueFileError: The file contains system types.
    """
    by_key = {one.key: one for one in stored}
    faults = [
        one.fault("key", "is one of those that every tenant has and cannot be changed; leave it out")
        for one in nodes
        if one.outcome_type.key in by_key and by_key[one.outcome_type.key].is_system
    ]
    if faults:
        raise CatalogueFileError(faults)
    given = [one.outcome_type for one in nodes]
    ordinals = [*(one.ordinal for one in stored), *(one.ordinal for one in given if one.ordinal is not None)]
    next_ordinals = count(max(ordinals, default=-1) + 1)
    steps = [
        PlannedOutcomeChange(by_key.get(one.key), _build_next_version(by_key.get(one.key), one, next_ordinals))
        for one in given
    ]
    changed = [step for step in steps if step.record != step.newest]
    held = {one.key for one in given}
    gone = [one for one in stored if prune and one.is_active and not one.is_system and one.key not in held]
    return [*changed, *(PlannedOutcomeChange(one, msgspec.structs.replace(one, is_active=False)) for one in gone)]


def to_file_outcome_type(record: OutcomeRecord) -> FileOutcomeType:
    """Return an outcome type in the form that files have."""
    fields: dict[str, Any] = {name: getattr(record, name) for name in FileOutcomeType.__struct_fields__}
    return FileOutcomeType(**fields)


def _build_next_version(
    before: OutcomeRecord | None, given: FileOutcomeType, next_ordinals: Iterator[int]
) -> OutcomeRecord:
    fields: dict[str, Any] = msgspec.structs.asdict(given)
    fields |= {
        "name": derive_name(given.key) if given.name is None else given.name,
        "category": OutcomeCategory(given.category),
    }
    if given.ordinal is None:
        fields["ordinal"] = before.ordinal if before else next(next_ordinals)
    return msgspec.structs.replace(before, **fields, is_active=True) if before else OutcomeRecord(**fields)
