"""Outcome types in a catalogue file: a tenant's own ones. Those that every tenant has are no part of files."""

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
    default_name,
)
from rapport.storage.outcome_types import OutcomeRecord

if TYPE_CHECKING:
    import yaml

OUTCOME_TYPE: Final = "outcome_type"
"""As the audit log calls them."""


class FileOutcomeType(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An outcome type as a file has it.

    Attributes:
        name: For people; made of the key if not given.
        ordinal: Its place in lists; if not given it stays where it is, or comes last.
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
    """An outcome type and where it stands.

    Attributes:
        node: Of it in the file.
    """

    outcome_type: FileOutcomeType
    node: yaml.Node

    def fault(self, field: str, message: str) -> FileFault:
        """Something that is wrong with a field of it."""
        return FileFault(find_line(self.node, field), f"{OUTCOME_TYPE} {self.outcome_type.key}, {field}", message)


@dataclass(frozen=True, slots=True)
class PlannedOutcomeChange:
    """What becomes of one outcome type.

    Attributes:
        known: Its newest version, which may have ended it; None if there is none.
        record: What is to follow that.
    """

    known: OutcomeRecord | None
    record: OutcomeRecord
    kind: str = OUTCOME_TYPE

    @property
    def id(self) -> str:
        """Its key."""
        return self.record.key

    @property
    def before(self) -> OutcomeRecord | None:
        """None if it is made."""
        return self.known if self.known and self.known.is_active else None

    @property
    def after(self) -> OutcomeRecord | None:
        """None if it is deleted."""
        return self.record if self.record.is_active else None

    @property
    def fields(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Of it before and after; none where it is not there."""
        before, after = (to_full_fields(to_file_outcome_type(one)) if one else {} for one in (self.before, self.after))
        return before, after


def plan_outcome_types(
    placed: Sequence[OutcomeTypeNode], known: Sequence[OutcomeRecord], *, prune: bool
) -> Sequence[PlannedOutcomeChange]:
    """Work out what applying a file changes of the outcome types of a tenant.

    Args:
        placed: What the file holds.
        known: The newest version of each that the tenant has or had.
        prune: Whether its own ones are deleted that the file does not hold.

    Returns:
        What changes, in the order of the file, deletions last.

    Raises:
        CatalogueFileError: The file names some that every tenant has.
    """
    by_key = {one.key: one for one in known}
    faults = [
        one.fault("key", "is one of those that every tenant has and cannot be changed; leave it out")
        for one in placed
        if one.outcome_type.key in by_key and by_key[one.outcome_type.key].is_system
    ]
    if faults:
        raise CatalogueFileError(faults)
    given = [one.outcome_type for one in placed]
    ordinals = [*(one.ordinal for one in known), *(one.ordinal for one in given if one.ordinal is not None)]
    places = count(max(ordinals, default=-1) + 1)
    steps = [
        PlannedOutcomeChange(by_key.get(one.key), _build_next_version(by_key.get(one.key), one, places))
        for one in given
    ]
    changed = [step for step in steps if step.record != step.known]
    held = {one.key for one in given}
    gone = [one for one in known if prune and one.is_active and not one.is_system and one.key not in held]
    return [*changed, *(PlannedOutcomeChange(one, msgspec.structs.replace(one, is_active=False)) for one in gone)]


def to_file_outcome_type(record: OutcomeRecord) -> FileOutcomeType:
    """An outcome type as a file has it."""
    fields: dict[str, Any] = {name: getattr(record, name) for name in FileOutcomeType.__struct_fields__}
    return FileOutcomeType(**fields)


def _build_next_version(before: OutcomeRecord | None, given: FileOutcomeType, places: Iterator[int]) -> OutcomeRecord:
    fields: dict[str, Any] = msgspec.structs.asdict(given)
    fields |= {
        "name": default_name(given.key) if given.name is None else given.name,
        "category": OutcomeCategory(given.category),
    }
    if given.ordinal is None:
        fields["ordinal"] = before.ordinal if before else next(places)
    return msgspec.structs.replace(before, **fields, is_active=True) if before else OutcomeRecord(**fields)
