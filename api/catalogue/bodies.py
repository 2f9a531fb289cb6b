"""Bodies of catalogue requests: older names and forms made new, and decoded with all their faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from api.catalogue.shapes import COMPUTED, body_shape
from api.http.bodies import Body, JsonBody, decode_or_faults, fault_of_json, require_media_type
from api.http.errors import invalid
from api.journeys.forms import reform_journey
from rapport.domain.catalogue.values import Entity
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.domain.faults import Fault
from rapport.domain.json_limits import JsonFault, decode_json

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.openapi.spec import Reference, Schema
    from litestar.typing import FieldDefinition

Fields = dict[str, Any]
"""The members of a JSON object."""


class RawEntityBody(Body, frozen=True):
    """Body as decoded JSON, before validation."""

    fields: Fields


class EntityBody(JsonBody[RawEntityBody]):
    """Decodes a body as :class:`RawEntityBody`, and documents it as an entity.

    Attributes:
        DOCUMENTED: The type that is documented.
    """

    DOCUMENTED: ClassVar[type[Any]] = RawEntityBody

    def decode_bytes(self, value: bytes) -> RawEntityBody:
        """Read a body.

        Raises:
            ApiError: 415 for another media type, 400 for what is no JSON object.
        """
        given = self.asgi_connection.headers.get("content-type", "application/json")
        require_media_type(given, "application/json", "application/merge-patch+json")
        fields = decode_json(value)
        if isinstance(fields, JsonFault):
            raise invalid(fault_of_json(fields))
        if not isinstance(fields, dict):
            raise invalid(Fault(field="body", message="must be a JSON object"))
        return RawEntityBody(fields=fields)

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,  # noqa: ARG003 - the framework's signature
        schema_creator: SchemaCreator,
    ) -> Reference | Schema:
        """Document the entity."""
        return schema_creator.for_field_definition(type(field_definition).from_annotation(cls.DOCUMENTED))


def documented_as(shape: type[Any]) -> type[EntityBody]:
    """Make a body that is documented as some type."""
    return type(f"{shape.__name__}Dto", (EntityBody,), {"DOCUMENTED": shape})


def modernise_fields(kind: str, fields: Fields) -> Fields:
    """Bring fields to their newest names and form, without those that only answers have."""
    fields = dict(fields)
    for old, new in {"rowVersion": "version", **_OLD_NAMES.get(kind, {})}.items():
        if old in fields:
            fields.setdefault(new, fields.pop(old))
    if reform := _REFORMS.get(kind):
        reform(fields)
    return {name: value for name, value in fields.items() if name not in COMPUTED[kind]}


def apply_merge_patch(target: Fields, patch: Fields) -> Fields:
    """Apply a JSON merge patch (RFC 7396): null takes a member away."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            inner = result.get(name)
            result[name] = apply_merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            result[name] = value
    return result


def build_entity(kind: str, fields: Fields) -> Entity:
    """Build the entity that fields describe; fields that bodies may not have come from the stored version.

    Raises:
        ApiError: 400 with every field that is missing, unknown or wrong.
    """
    given = {name: value for name, value in fields.items() if name not in COMPUTED[kind]}
    decoded = decode_or_faults(msgspec.json.encode(given), body_shape(kind))
    if isinstance(decoded, list):
        raise invalid(*decoded)
    return msgspec.convert({name: value for name, value in fields.items() if name != "version"}, KINDS[kind])


def expected_version(if_match: str | None, fields: Fields) -> int | None:
    """Return the version that a client believes to be the newest; None if it does not say.

    Raises:
        ApiError: 400; it is no version, or there are two.
    """
    said = [fields["version"]] if "version" in fields else []
    if if_match is not None and if_match.strip() != "*":
        tag = if_match.strip().removeprefix("W/").strip('"')
        if not (tag.isascii() and tag.isdigit() and len(tag) <= MAX_VERSION_DIGITS):
            raise invalid(Fault(field="If-Match", message='must be the ETag of the entity, as "3"'))
        said.append(int(tag))
    if any(not isinstance(one, int) or isinstance(one, bool) for one in said):
        raise invalid(Fault(field="version", message="must be the number that the entity's `version` was"))
    if len(set(said)) > 1:
        raise invalid(Fault(field="If-Match", message=f"names version {said[1]}, the body names {said[0]}"))
    return said[0] if said else None


def make_slug(name: str) -> str:
    """Make a key of a name."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in name.lower()).split()
    return "-".join(words)[:100] or "unnamed"


def _reform_flow(fields: Fields) -> None:
    draft = fields.get("draft")
    if isinstance(draft, dict):
        fields["draft"] = draft.get("nodes", [])
    if fields.get("status") == "published":
        fields["status"] = "active"


def _reform_rule(fields: Fields) -> None:
    older = {"qualification": "eligibility", "applicability": "fit", "suitability": "match"}
    if isinstance(stage := fields.get("stage"), str):
        fields["stage"] = older.get(stage, stage)
    _reform_scopes(fields)


def _reform_scopes(fields: Fields) -> None:
    _each(fields, "scopes", lambda one: {name: one[name] for name in ("scope", "scopeId") if name in one})


def _reform_creative(fields: Fields) -> None:
    _each(fields, "personalization", lambda one: _with_name(one, "key", "variable"))


def _reform_category(fields: Fields) -> None:
    _each(fields, "customFields", lambda one: _with_name(one, "name", "key"))


def _reform_offer(fields: Fields) -> None:
    caps = fields.get("frequencyCaps")
    if isinstance(caps, dict) and isinstance(inner := caps.get("perCustomer"), dict):
        fields["frequencyCaps"] = {name: cap for name, cap in caps.items() if name != "perCustomer"} | inner


def _reform_placement(fields: Fields) -> None:
    if fields.get("status") == "inactive":
        fields["status"] = "paused"


def _reform_experiment(fields: Fields) -> None:
    if fields.get("status") == "completed":
        fields["status"] = "archived"


def _reform_schema(fields: Fields) -> None:
    if isinstance(fields.get("displayName"), str):
        fields.setdefault("key", fields.get("name"))
        fields["name"] = fields.pop("displayName")
    for name in ("entityType", "schemaType"):
        if fields.get(name) == "customer":
            del fields[name]
    _each(fields, "fields", _with_type)


def _with_type(one: Fields) -> Fields:
    """Rename members of a schema field that the documented product names otherwise: column types, nullability."""
    one = {name: value for name, value in one.items() if name not in ("id", "schemaId", "ordinal")}
    if isinstance(data_type := one.get("dataType"), str):
        one["dataType"] = _DATA_TYPES.get(data_type.lower(), data_type)
    if isinstance(nullable := one.pop("isNullable", None), bool):
        one.setdefault("required", not nullable)
    return _with_name(one, "length", "maxLength")


def _each(fields: Fields, name: str, reform: Callable[[Fields], Fields]) -> None:
    if isinstance(items := fields.get(name), list):
        fields[name] = [reform(one) if isinstance(one, dict) else one for one in items]


def _with_name(fields: Fields, old: str, new: str) -> Fields:
    if old not in fields or new in fields:
        return fields
    return {new: fields[old], **{name: value for name, value in fields.items() if name != old}}


MAX_VERSION_DIGITS: Final = 18
_DATA_TYPES: Final = {
    **dict.fromkeys(("varchar", "char", "character varying", "string", "str", "uuid"), "text"),
    **dict.fromkeys(
        ("int", "integer", "bigint", "smallint", "float", "double", "real", "decimal", "numeric"), "number"
    ),
    "bool": "boolean",
    **dict.fromkeys(("timestamp", "timestamptz"), "datetime"),
}
_OLD_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "creative": {"actionId": "offerId"},
    "decision_flow": {"draftConfig": "draft"},
}
_REFORMS: Final[Mapping[str, Callable[[Fields], None]]] = {
    "category": _reform_category,
    "sub_category": _reform_category,
    "placement": _reform_placement,
    "offer": _reform_offer,
    "creative": _reform_creative,
    "qualification_rule": _reform_rule,
    "contact_policy": _reform_scopes,
    "experiment": _reform_experiment,
    "decision_flow": _reform_flow,
    "customer_schema": _reform_schema,
    "journey": reform_journey,
}
