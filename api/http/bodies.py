"""JSON bodies, decoded into structs with all their faults named at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

import msgspec
from litestar.dto import AbstractDTO
from litestar.typing import FieldDefinition

from api.http.errors import MAX_FAULTS, ApiError, invalid
from rapport.domain.faults import Fault
from rapport.domain.json_limits import JsonFault, decode_json

if TYPE_CHECKING:
    from collections.abc import Generator

    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.dto._backend import DTOBackend
    from litestar.dto.data_structures import DTOFieldDefinition
    from litestar.openapi.spec import Reference, Schema

T = TypeVar("T", bound="Body")
MAX_FIELDS: Final = 1_000
"""Of a body itself, known or not; what is inside of them is bounded by its size."""
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request's body. Subclasses say ``frozen=True`` again.

    Attributes:
        ALIASES: Older names of fields, by which they may be sent too.
        UNKNOWN_FIELDS_GO_TO: The free-form field for unknown fields; without one they are faults.
        EXAMPLE: Example in the OpenAPI document.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {}
    UNKNOWN_FIELDS_GO_TO: ClassVar[str] = ""
    EXAMPLE: ClassVar[Mapping[str, Any]] = {}


class JsonBody(AbstractDTO[T], Generic[T]):
    """Decodes ``data: Annotated[T, …]`` with :func:`decode_body` for the framework, and documents it as T."""

    def decode_bytes(self, value: bytes) -> T:
        """Decode a request's body.

        Raises:
            ApiError: 415 for another media type, 400 with every fault.
        """
        given = self.asgi_connection.headers.get("content-type", "application/json")
        require_media_type(given, "application/json")
        return decode_body(value, self.model_type)

    def decode_builtins(self, value: dict[str, Any]) -> T:  # noqa: ARG002 - the framework's signature
        """Forms are not supported."""
        raise ApiError(415, "Send application/json.")

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:  # noqa: ARG003
        """Return nothing: no body is transferred field by field."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:  # noqa: ARG003
        """Return that no field is nested."""
        return False

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: type[DTOBackend] | None = None
    ) -> None:
        """No transfer model is needed."""

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,  # noqa: ARG003
        schema_creator: SchemaCreator,
    ) -> Reference | Schema:
        """Document the struct itself, with its example."""
        reference = schema_creator.for_field_definition(field_definition)
        if example := cls.model_type.EXAMPLE:
            registered = FieldDefinition.from_annotation(cls.model_type)
            schema_creator.schema_registry.get_schema_for_field_definition(registered).examples = [dict(example)]
        return reference


def require_media_type(given: str, *accepted: str) -> str:
    """Check a ``Content-Type`` and return it without parameters.

    Raises:
        ApiError: 415; it is none of the accepted ones.
    """
    media_type = given.split(";", 1)[0].strip().lower()
    if media_type not in accepted:
        raise ApiError(415, f"Content-Type {media_type!r} is not supported; send {' or '.join(accepted)}.")
    return media_type


def decode_body(raw: bytes, struct: type[T]) -> T:
    """Decode a body.

    Raises:
        ApiError: 400; with every field that is missing, unknown or of a wrong type.
    """
    decoded = decode_or_faults(raw, struct)
    if isinstance(decoded, list):
        raise invalid(*decoded)
    return decoded


def decode_or_faults(raw: bytes, struct: type[T]) -> T | list[Fault]:
    """Decode a body, or return all its faults."""
    if fault := _fault_of_text(raw):
        return [fault]
    try:
        return msgspec.json.decode(raw, type=struct)
    except msgspec.ValidationError:
        pass  # something about it is special: look at it field by field
    try:
        fields = _by_newest_name(_decode_fields(raw), struct.ALIASES)
    except msgspec.ValidationError:
        return [Fault(field="body", message="must be a JSON object")]
    known = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    faults = _take_unknown(fields, known, struct.UNKNOWN_FIELDS_GO_TO)
    faults += [
        Fault(field=name, message="is required")
        for name, field in known.items()
        if field.required and name not in fields
    ]
    for name, value in fields.items():
        if name in known and (problem := _why_not(value, known[name].type)):
            faults.append(Fault(field=name, message=problem))
    if faults:
        return sorted(faults, key=lambda fault: fault.field)
    try:
        return msgspec.json.decode(msgspec.json.encode(fields), type=struct)
    except msgspec.ValidationError as fault:
        return [Fault(field="body", message=str(fault))]


def _fault_of_text(raw: bytes) -> Fault | None:
    """Find a fault for which a body is not decoded at all."""
    found = decode_json(raw)
    if isinstance(found, JsonFault):
        return fault_of_json(found)
    if isinstance(found, dict) and len(found) > MAX_FIELDS:
        return Fault(field="body", message=f"has {len(found):,} fields; {MAX_FIELDS:,} are allowed")
    return None


def fault_of_json(fault: JsonFault) -> Fault:
    """Name the field of a body, or the body itself, that exceeds a limit of JSON."""
    return Fault(field=fault.field or "body", message=fault.message)


def _by_newest_name(fields: dict[str, msgspec.Raw], aliases: Mapping[str, str]) -> dict[str, msgspec.Raw]:
    """Rename older names; where both are given, the newer one counts."""
    renamed = {name: value for name, value in fields.items() if name not in aliases}
    for name, value in fields.items():
        if name in aliases:
            renamed.setdefault(aliases[name], value)
    return renamed


def _take_unknown(fields: dict[str, msgspec.Raw], known: Mapping[str, Any], home: str) -> list[Fault]:
    """Move unknown fields into the free-form field, or return them as faults."""
    unknown = {name: fields.pop(name) for name in list(fields) if name not in known}
    if not unknown:
        return []
    if not home:
        message = f"is not known; known are {', '.join(known)}"
        return [Fault(field=name, message=message) for name in islice(unknown, MAX_FAULTS)]
    try:
        kept = _decode_fields(fields[home]) if home in fields else {}
    except msgspec.DecodeError:
        return []  # not an object: that is said of it anyway
    fields[home] = msgspec.Raw(msgspec.json.encode({**unknown, **kept}))
    return []


def _why_not(value: msgspec.Raw, kind: Any) -> str:  # noqa: ANN401 - any type a struct may hold
    try:
        msgspec.json.decode(value, type=kind)
    except msgspec.ValidationError as fault:
        return str(fault)
    return ""
