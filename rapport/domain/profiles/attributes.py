"""Validate customer attributes against the tenant's schemas, naming every fault at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import msgspec

from rapport.domain.catalogue.customer_schema import CustomerSchema, SchemaField
from rapport.domain.catalogue.values import Status
from rapport.domain.faults import Fault
from rapport.domain.number_text import EXPECTED, parse_number
from rapport.domain.numbers import BEYOND, find_inexact, is_exact
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.time_zones import TIME_ZONE, WANTED_ZONE, resolve_zone
from rapport.domain.times import EPOCH, InstantError, parse_instant

Attributes = Mapping[str, Any]
ID_NAMES: Final = ("customerId", "customer_id")
"""Names of the customer id in a row that holds it beside the attributes."""
RESERVED: Final = frozenset({*ID_NAMES, "attributes", "version"})
MAX_NAME: Final = 100
MAX_TEXT: Final = 10_000
MAX_BYTES: Final = 65_536
"""Limit for all attributes of a customer together, as JSON."""
MAX_ID: Final = 256
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0"})


class _InvalidValueError(ValueError):
    """A value that does not fit; the text says what would be right."""


@dataclass(frozen=True, slots=True)
class AttributeSchema:
    """A tenant's active customer schemas, combined.

    Attributes:
        fields: Schema field by attribute name.
        allows_others: Whether attributes without a field are stored.
        required: Names of attributes that every customer must have.
        defaults: Values of attributes that a customer is stored without.
    """

    fields: Mapping[str, SchemaField] = field(default_factory=dict)
    allows_others: bool = True
    required: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_schemas(cls, schemas: Iterable[CustomerSchema]) -> AttributeSchema:
        """Combine the active schemas of a tenant."""
        active = [schema for schema in schemas if schema.status is Status.ACTIVE]
        fields = {attribute.name: attribute for schema in active for attribute in schema.fields}
        return cls(
            fields,
            all(schema.additional_attributes for schema in active),
            frozenset(attribute.name for attribute in fields.values() if attribute.required),
            {
                attribute.name: read_default(attribute)
                for attribute in fields.values()
                if attribute.default_value is not None
            },
        )


def complete(
    schema: AttributeSchema, given: Attributes, before: Attributes | None = None, *, is_text: bool = False
) -> Attributes | list[Fault]:
    """Apply attributes to a customer, with defaults, and validate the result.

    Args:
        schema: The tenant's attribute schema.
        given: Value by name; null removes an attribute.
        before: The customer's present attributes, which are not checked again; None to begin anew.
        is_text: Whether the values come from a file that knows texts only; those of other types are read from them.

    Returns:
        All attributes in their stored form, or every fault.
    """
    faults: list[Fault] = []
    attributes = dict(before or {})
    for name, value in given.items():
        if value is None:
            attributes.pop(name, None)
            continue
        try:
            attributes[name] = _to_stored(schema, name, value, is_text)
        except _InvalidValueError as error:
            faults.append(Fault(name[:MAX_NAME], str(error)))
    for name, value in schema.defaults.items():
        attributes.setdefault(name, value)
    wrong_names = {fault.field for fault in faults}
    missing = sorted(name for name in schema.required if name not in attributes and name not in wrong_names)
    faults += [Fault(name, "is required") for name in missing]
    if not faults and len(msgspec.json.encode(attributes)) > MAX_BYTES:
        faults.append(Fault("attributes", f"may have {MAX_BYTES:,} bytes together"))
    return faults or attributes


def find_id_fault(customer_id: object) -> str:
    """Return the fault of a customer id; empty if it has none."""
    if not isinstance(customer_id, str) or not customer_id:
        return "is required, as a text"
    return f"may have {MAX_ID} characters" if len(customer_id) > MAX_ID else explain_placeholder(customer_id)


def find_schema_faults(schema: CustomerSchema, others: Iterable[CustomerSchema]) -> list[Fault]:
    """Find names in a schema that are reserved or taken, and defaults that do not fit."""
    taken: dict[str, str] = {}
    for other in others:
        if other.id != schema.id and Status.ACTIVE is other.status is schema.status:
            taken |= {attribute.name: f"is a field of schema {other.id!r} already" for attribute in other.fields}
    faults: list[Fault] = []
    for index, attribute in enumerate(schema.fields):
        if attribute.name in RESERVED:
            faults.append(Fault(f"fields[{index}].name", f"must not be one of {', '.join(sorted(RESERVED))}"))
        elif attribute.name in taken:
            faults.append(Fault(f"fields[{index}].name", taken[attribute.name]))
        taken[attribute.name] = "is named twice"
        if attribute.max_length is not None and attribute.data_type != "text":
            faults.append(Fault(f"fields[{index}].maxLength", "is for texts only"))
        try:
            read_default(attribute)
        except _InvalidValueError as error:
            faults.append(Fault(f"fields[{index}].defaultValue", str(error)))
    return faults


def read_default(attribute: SchemaField) -> Any:  # noqa: ANN401 - of the field's own type
    """Return the default of a field in its stored form; None if it has none.

    Raises:
        ValueError: The default does not fit the field.
    """
    value = attribute.default_value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return None if value is None else _convert(attribute, value, is_text=False)


def _to_stored(schema: AttributeSchema, name: str, value: Any, is_text: bool) -> Any:  # noqa: ANN401, FBT001 - whatever JSON holds
    """Return the stored form of an attribute's value; raise if it does not fit."""
    if name == TIME_ZONE:
        value = _to_zone(value)
    attribute = schema.fields.get(name)
    if attribute is not None:
        return _convert(attribute, value, is_text=is_text)
    if not schema.allows_others:
        raise _InvalidValueError(f"is not known; known are {', '.join(schema.fields) or 'none'}")
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise _InvalidValueError(f"is no name of an attribute: up to {MAX_NAME} characters that can be printed")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise _InvalidValueError(f"may have {MAX_TEXT:,} characters")
    if next(find_inexact(value), None) is not None:
        raise _InvalidValueError(BEYOND)
    return value


def _to_zone(value: object) -> str:
    """Return the IANA name of a time zone, so that every reader knows it."""
    zone = resolve_zone(value) if isinstance(value, str) else None
    if zone is None:
        raise _InvalidValueError(WANTED_ZONE)
    return zone


def _convert(attribute: SchemaField, value: Any, *, is_text: bool) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return a value in the stored form of its field's type; raise if it does not fit."""
    converted = _CONVERTERS[attribute.data_type](value, is_text)
    limit = min(attribute.max_length or MAX_TEXT, MAX_TEXT)
    if isinstance(converted, str) and len(converted) > limit:
        raise _InvalidValueError(f"may have {limit:,} characters")
    return converted


def _to_text(value: object, is_text: bool) -> str:  # noqa: ARG001, FBT001 - one signature for all types
    if not isinstance(value, str):
        raise _InvalidValueError("must be a text")
    return value


def _to_number(value: object, is_text: bool) -> float:  # noqa: FBT001
    number: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = value
    elif is_text and isinstance(value, str) and (number := parse_number(value)) is not None:
        number = int(value) if value.strip().removeprefix("-").isdecimal() else number
    if number is not None and is_exact(number):
        return number
    if number is not None and number == number:  # noqa: PLR0124 - not a number
        raise _InvalidValueError(BEYOND)
    raise _InvalidValueError(f"must be {EXPECTED if is_text else 'a number'}")


def _to_boolean(value: object, is_text: bool) -> bool:  # noqa: FBT001
    if isinstance(value, bool):
        return value
    if is_text and isinstance(value, str):
        lowered = value.strip().lower()
        if lowered in _TRUE or lowered in _FALSE:
            return lowered in _TRUE
    raise _InvalidValueError("must be true or false")


def _to_date(value: object, is_text: bool) -> str:  # noqa: ARG001, FBT001
    try:
        return (
            date.fromisoformat(value).isoformat() if isinstance(value, str) and len(value) == 10 else _raise_no_date()
        )
    except ValueError:
        return _raise_no_date()


def _raise_no_date() -> str:
    raise _InvalidValueError("must be a date, as 2026-03-15") from None


def _to_datetime(value: object, is_text: bool) -> str:  # noqa: ARG001, FBT001
    """Return a time in UTC with milliseconds, so that texts sort as times do."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            moment = EPOCH + timedelta(milliseconds=parse_instant(value))
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (InstantError, OverflowError):
        pass
    raise _InvalidValueError("must be a time, as 2026-03-15T14:30:00Z")


_CONVERTERS: Final[Mapping[str, Callable[[Any, bool], Any]]] = {
    "text": _to_text,
    "number": _to_number,
    "boolean": _to_boolean,
    "date": _to_date,
    "datetime": _to_datetime,
}
