"""Kinds of the catalogue as resources: path, role that may write, filters of lists, example."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from api.catalogue.filters import Filters
from rapport.domain.api_keys import Role
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.storage.catalogue import EntityVersion
from rapport.storage.client import Store


@dataclass(frozen=True, slots=True)
class Extras:
    """Members of answers that are no part of the catalogue.

    Attributes:
        load: From tenant and ids to the fields of every one of these entities.
        example: The fields.
    """

    load: Callable[[Store, str, Sequence[str]], Mapping[str, Mapping[str, Any]]]
    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind on the API.

    Attributes:
        path: Below ``/api/v1``.
        noun: For people.
        writer: The role that may write it.
        filters: Reads the filters of lists.
        fields: Of the example.
        extras: Members of answers beyond the entity, if there are any.
    """

    kind: str
    path: str
    noun: str
    plural: str
    writer: Role
    filters: Callable[..., Filters]
    fields: dict[str, Any]
    tag: str = "Catalogue"
    extras: Extras | None = None

    @property
    def one(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aeio' else 'a'} {self.noun}"

    @property
    def example(self) -> EntityVersion:
        """An entity of the kind, as the documentation shows it."""
        return EntityVersion(
            kind=self.kind,
            id=self.fields["id"],
            version=1,
            entity=msgspec.convert(self.fields, KINDS[self.kind]),
            is_deleted=False,
            changed_by="key key_2f6c1b1e0d9a4c77",
            created_at_ms=1_773_585_000_000,
            updated_at_ms=1_773_585_000_000,
        )
