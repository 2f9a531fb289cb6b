"""Contact profiles on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec
from litestar.typing import FieldDefinition

from api.http.bodies import Body, JsonBody
from api.http.cursors import CursorPagination
from rapport.domain.profiles.contact import ID_PATTERN, ContactProfile, to_unix_seconds
from rapport.domain.profiles.contact_fields import ContactId, PersonFields

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.openapi.spec import Reference, Schema

T = TypeVar("T", bound=Body)
Identifier = Annotated[str, msgspec.Meta(pattern=ID_PATTERN, min_length=24, max_length=24)]
"""The pattern alone would let a line end follow: that is how Python reads its $."""
UnixSeconds = Annotated[int, msgspec.Meta(ge=0, le=2_147_483_647)]

PERSON: Final[Mapping[str, Any]] = {
    "prevent_data_collection": True,
    "accepted_gdpr": True,
    "privacy_policy": {},
    "tasks": ["buyer"],
    "memories": [{"id": "123456", "timestamp": "2024-09-23T08:37:00Z", "text": "This is a memory."}],
    "firstname": "Max",
    "lastname": "Mustermann",
    "email": "jsmith@example.com",
    "profilepic": "",
}
ENTITY: Final[Mapping[str, Any]] = {
    "profile": PERSON,
    "active": True,
    "contactIds": ["mail@example.com"],
    "_id": "66f12a5c0123456789abcdef",
    "createdAt": 1694518620,
    "lastChanged": 1694518620,
    "createdBy": "5f0c1d2e3b4a59687a6b5c4d",
    "lastChangedBy": "5f0c1d2e3b4a59687a6b5c4d",
}
"""The example of every answer."""


class NewContactProfile(Body, frozen=True, kw_only=True):
    """Contact profile to be made.

    Attributes:
        profile: The fields of the person, documented or not.
        active: Whether lists show the profile and the person may be addressed.
        contact_ids: Customer ids of the person's events.
        project_id: Stored, and never shown.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {
        "profile": PERSON,
        "active": True,
        "contactIds": ["mail@example.com"],
        "projectId": "5d5f3a2b1c0d9e8f7a6b5c4d",
    }

    profile: dict[str, Any]
    active: bool = True
    contact_ids: list[ContactId] = []
    project_id: Identifier | None = None


class ChangedContactProfile(Body, frozen=True, kw_only=True):
    """Changes of a profile.

    Attributes:
        profile: Merged into the fields that are there (RFC 7396): null removes one.
        active: Replaces the stored value.
        contact_ids: Replace all of them.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"profile": {"lastname": "Musterfrau", "profilepic": None}, "active": True}

    profile: dict[str, Any] = {}
    active: bool | None = None
    contact_ids: list[ContactId] | None = None


class Merge(Body, frozen=True, kw_only=True):
    """Merge of another profile.

    Attributes:
        source_id: It ends.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"sourceId": "66f12a5cfedcba9876543210"}

    source_id: Identifier


class ContactProfileView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A contact profile.

    Attributes:
        id: Ascends with the time of creation.
        created_at: Unix seconds, as ``last_changed``.
        created_by: Stands for the key that made it, as ``last_changed_by``.
    """

    profile: PersonFields
    active: bool
    contact_ids: Sequence[str]
    id: Identifier = msgspec.field(name="_id")
    created_at: UnixSeconds
    last_changed: UnixSeconds
    created_by: Identifier
    last_changed_by: Identifier


class ContactProfilePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of contact profiles, the newest first."""

    data: Sequence[ContactProfileView]
    pagination: CursorPagination


class ContactProfileSchema(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Schema of contact profiles: a JSON Schema of each of their parts."""

    profile: Mapping[str, Any]
    active: Mapping[str, Any]
    contact_ids: Mapping[str, Any]


class PersonBody(JsonBody[T], Generic[T]):
    """Documents the fields of the person, which a body may add to."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        """Document the struct, with the known fields."""
        reference = super().create_openapi_schema(field_definition, handler_id, schema_creator)
        body = FieldDefinition.from_annotation(cls.model_type)
        person = schema_creator.for_field_definition(FieldDefinition.from_annotation(PersonFields))
        properties = schema_creator.schema_registry.get_schema_for_field_definition(body).properties
        if properties is not None:
            properties["profile"] = person
        return reference


def plain(profile: ContactProfile) -> dict[str, Any]:
    """Convert a profile to the plain values that every format shows, in the documented order."""
    return {
        "profile": profile.fields,
        "active": profile.is_active,
        "contactIds": list(profile.contact_ids),
        "_id": profile.id,
        "createdAt": to_unix_seconds(profile.created_at_ms),
        "lastChanged": to_unix_seconds(profile.changed_at_ms),
        "createdBy": profile.created_by,
        "lastChangedBy": profile.changed_by,
    }
