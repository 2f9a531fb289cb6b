"""The event contract of topic ``interactions``.

A message's value is one JSON object or an array of objects. Its key is ``tenantId:customerId``. Two types share the
topic so that a customer's decisions and responses keep their order. Decoding returns the event, or a
:class:`Rejection` with the reason why it cannot be used: bad input is a value here, never an exception.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from rapport.domain.json_limits import MAX_DEPTH, JsonFault, decode_json, find_json_fault, is_too_deep, split_array
from rapport.domain.periods import DAY_MS
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.rejections import Rejection, RejectionCode
from rapport.domain.times import LATEST_MS, InstantError, parse_instant

TOPIC: Final = "interactions"
DEAD_LETTER_TOPIC: Final = "interactions.dead-letter"

MAX_EVENT_BYTES: Final = 262_144
"""Largest free-form content (context, outcomeDetails, metadata together) of one event, in bytes."""
MAX_CONVERSION_VALUE: Final = 1_000_000_000
"""Up to this value, either way, six decimals of a JSON number are exact, and so are the sums."""
MAX_FUTURE_MS: Final = DAY_MS
"""Most milliseconds by which an event's time may lie ahead of the broker's time of receipt."""

EARLIEST_MS: Final = 86_400_000
"""1970-01-02: a day that lies in 1970 in every time zone; the tables' dates begin in that year."""

FIRST_ID: Final = ""
"""Sorts before every id of an interaction."""
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
OptionalIdentifier = Annotated[str, msgspec.Meta(max_length=256)]


NO_OBJECT: Final = msgspec.Raw()
"""Value of a free-form field that was left out."""


class InteractionRecorded(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, gc=False, omit_defaults=True
):
    """One interaction of a customer: ``interaction.recorded.v1``.

    ``context``, ``outcomeDetails`` and ``metadata`` are free-form objects and stay the JSON text they came as.
    """

    type: Literal["interaction.recorded.v1"] = "interaction.recorded.v1"
    tenant_id: Identifier
    customer_id: Identifier
    outcome: Identifier
    idempotency_key: Identifier
    offer_id: OptionalIdentifier | None = None
    creative_id: OptionalIdentifier | None = None
    channel_id: OptionalIdentifier | None = None
    placement_id: OptionalIdentifier | None = None
    direction: Literal["inbound", "outbound"] | None = None
    timestamp: str | int | float | None = None
    conversion_value: float | None = None
    recommendation_id: OptionalIdentifier | None = None
    rank: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    context: msgspec.Raw = NO_OBJECT
    outcome_details: msgspec.Raw = NO_OBJECT
    metadata: msgspec.Raw = NO_OBJECT


class DecisionMade(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, gc=False, omit_defaults=True
):
    """One recommendation as it was decided: ``decision.made.v1``. ``decision`` holds it in full."""

    type: Literal["decision.made.v1"] = "decision.made.v1"
    tenant_id: Identifier
    customer_id: Identifier
    recommendation_id: Identifier
    timestamp: str | int | float | None = None
    decision: msgspec.Raw = NO_OBJECT


class MessageItem(NamedTuple):
    """Event of a message with its JSON text, or the rejection of that text."""

    text: bytes
    event: Event | Rejection


class Message(NamedTuple):
    """Key and value of a Kafka message: events of one customer, accepted all or none."""

    key: bytes
    value: bytes


Event = InteractionRecorded | DecisionMade
EVENT_TYPES: Final[Mapping[str, type[InteractionRecorded | DecisionMade]]] = {
    "interaction.recorded.v1": InteractionRecorded,
    "decision.made.v1": DecisionMade,
}

_decode_interaction = msgspec.json.Decoder(InteractionRecorded).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_KNOWN_FIELDS: Final = {
    name: frozenset(field.encode_name for field in msgspec.structs.fields(struct))
    for name, struct in EVENT_TYPES.items()
}
_OBJECT_TYPES: Final = {dict, type(None)}


def split_items(value: bytes | None) -> list[bytes] | Rejection:
    """Split a message's value into the JSON texts of its events: one for an object, one per element for an array."""
    if not value:
        return Rejection(RejectionCode.EMPTY, "The message has no value; it should hold a JSON object or an array.")
    try:
        value.decode()  # free-form fields are kept as they came, so nothing later would notice
    except UnicodeDecodeError as fault:
        return Rejection(RejectionCode.BAD_UTF8, f"The value is not UTF-8: byte {fault.start} is invalid.")
    start = value.lstrip()[:1]
    if start == b"{":
        return [value]
    if start != b"[":
        return _reject_value(value)
    items = split_array(value)
    return Rejection(items.code, items.described("The value")) if isinstance(items, JsonFault) else items


def decode_message(value: bytes | None) -> Sequence[MessageItem] | Rejection:
    """Decode a message's value into its events, in the order of the array; one for an object."""
    items = split_items(value)
    return items if isinstance(items, Rejection) else [MessageItem(text, decode_event(text)) for text in items]


def decode_event(item: bytes) -> Event | Rejection:
    """Decode one event from its JSON text, which :func:`split_items` has checked to be UTF-8.

    The common case, an interaction without unknown fields, takes one pass. Everything else is decoded field by
    field: unknown fields move into ``metadata``, and a fault is named.
    """
    try:
        event = _decode_interaction(item)
    except (msgspec.DecodeError, RecursionError):
        # The depth comes first: how deep the decoder gets depends on how deep the stack is already.
        return _reject_depth() if is_too_deep(item, MAX_DEPTH + 1) else _decode_carefully(item)
    return _check_free_form(event)


def resolve_time(timestamp: str | float | None, received_at_ms: int) -> int | Rejection:
    """Convert an event's ``timestamp`` to epoch milliseconds; without one, the broker's time counts.

    Args:
        timestamp: As :func:`~rapport.domain.times.parse_instant` reads it.
        received_at_ms: The broker's timestamp of the message; the upper bound (plus a day) refers to it, so that a
            replay decides the same.
    """
    try:
        occurred_at_ms = received_at_ms if timestamp is None else parse_instant(timestamp)
    except InstantError as error:
        return Rejection(RejectionCode.INVALID_TIMESTAMP, f"timestamp: {error}.")
    if not EARLIEST_MS <= occurred_at_ms <= min(received_at_ms + MAX_FUTURE_MS, LATEST_MS):
        return Rejection(
            RejectionCode.TIMESTAMP_OUT_OF_RANGE,
            "timestamp must lie between 1970-01-02 and one day after the message was received (at most 2100).",
        )
    return occurred_at_ms


def encode_event(event: Event) -> bytes:
    """Encode an event as the JSON that :func:`decode_event` reads; absent fields are left out."""
    text = msgspec.json.encode(event)
    # The default type is left out of interactions; a decision must name its own.
    return text if isinstance(event, InteractionRecorded) else b'{"type":"%b",%b' % (event.type.encode(), text[1:])


def make_message_key(tenant_id: str, customer_id: str) -> bytes:
    """Return the Kafka key that keeps one customer's events in order."""
    return f"{tenant_id}:{customer_id}".encode()


def _check_free_form(event: InteractionRecorded) -> Event | Rejection:
    if nobody := explain_placeholder(event.customer_id):
        return Rejection(RejectionCode.INVALID_FIELD, f"customerId {nobody}.", event.tenant_id)
    is_plain = event.context is NO_OBJECT and event.outcome_details is NO_OBJECT and event.metadata is NO_OBJECT
    if not is_plain and (rejection := _check_objects(event)):
        return rejection
    value = event.conversion_value
    if value is not None and not -MAX_CONVERSION_VALUE <= value <= MAX_CONVERSION_VALUE:
        return Rejection(
            RejectionCode.INVALID_VALUE,
            f"conversionValue must lie between 0 and {MAX_CONVERSION_VALUE}, or down to -{MAX_CONVERSION_VALUE} for "
            "outcome types that allow negative values.",
            event.tenant_id,
        )
    return event


def encode_objects(event: InteractionRecorded) -> bytes:
    """Encode the event's free-form objects as one list; ``null`` for one that was left out."""
    return b"[%b,%b,%b]" % (event.context or b"null", event.outcome_details or b"null", event.metadata or b"null")


def _check_objects(event: InteractionRecorded) -> Rejection | None:
    text = encode_objects(event)
    objects = decode_json(text, MAX_DEPTH + 1)  # all at once; one by one only to name a fault
    if type(objects) is list and len(text) <= MAX_EVENT_BYTES and {*map(type, objects)} <= _OBJECT_TYPES:
        return None
    fields = (("context", event.context), ("outcomeDetails", event.outcome_details), ("metadata", event.metadata))
    given = [(name, bytes(raw)) for name, raw in fields if raw is not NO_OBJECT]
    size = sum(len(text) for _, text in given)
    if size > MAX_EVENT_BYTES:
        return Rejection(
            RejectionCode.TOO_LARGE,
            f"context, outcomeDetails and metadata hold {size} bytes together; {MAX_EVENT_BYTES} are allowed.",
            event.tenant_id,
        )
    checks = (_check_object(name, text, event.tenant_id) for name, text in given if text != b"null")
    return next(filter(None, checks), None)


def _check_object(name: str, text: bytes, tenant_id: str) -> Rejection | None:
    if text[:1] != b"{":
        return Rejection(RejectionCode.INVALID_FIELD, f"{name} must be a JSON object.", tenant_id)
    fault = find_json_fault(text)
    if fault is None:
        return None
    too_deep = fault.code is RejectionCode.TOO_DEEP
    return _reject_depth() if too_deep else Rejection(fault.code, fault.described(name), tenant_id)


def _reject_depth() -> Rejection:
    """Make the rejection of an event that is too deep, the same whether or not it could be decoded."""
    return Rejection(RejectionCode.TOO_DEEP, f"A value of the event is nested deeper than {MAX_DEPTH} levels.")


def _decode_carefully(item: bytes) -> Event | Rejection:
    try:
        fields = _decode_fields(item)
    except msgspec.DecodeError as error:
        return _reject_syntax(error)
    tenant_id = _decode_text(fields.get("tenantId"))
    type_name = _decode_text(fields.get("type")) if "type" in fields else "interaction.recorded.v1"
    struct = EVENT_TYPES.get(type_name)
    if struct is None:
        known = ", ".join(EVENT_TYPES)
        return Rejection(RejectionCode.UNKNOWN_TYPE, f"type {type_name[:64]!r} is not one of {known}.", tenant_id)
    known_fields = _KNOWN_FIELDS[type_name]
    unknown = {name: raw for name, raw in fields.items() if name not in known_fields}
    if unknown:
        home = "metadata" if struct is InteractionRecorded else "decision"
        fields = {name: raw for name, raw in fields.items() if name in known_fields}
        fields[home] = _merge_object(fields.get(home), unknown)
    try:
        event = msgspec.json.decode(msgspec.json.encode(fields), type=struct)
    except msgspec.ValidationError as error:
        text = str(error)
        code = RejectionCode.MISSING_FIELD if "missing required field" in text else RejectionCode.INVALID_FIELD
        return Rejection(code, text, tenant_id)
    if isinstance(event, InteractionRecorded):
        return _check_free_form(event)
    if event.decision is NO_OBJECT:
        return event
    return _check_object("decision", bytes(event.decision), tenant_id) or event


def _merge_object(home: msgspec.Raw | None, unknown: Mapping[str, msgspec.Raw]) -> msgspec.Raw:
    """Put unknown fields into a free-form object; a field that the producer put there by that name wins."""
    try:
        given: dict[str, Any] = _decode_fields(home) if home and bytes(home) != b"null" else {}
    except msgspec.DecodeError:
        return home or msgspec.Raw()  # not an object: the check that follows says so
    return msgspec.Raw(msgspec.json.encode({**unknown, **given}))


def _decode_text(raw: msgspec.Raw | None) -> str:
    try:
        return msgspec.json.decode(raw, type=str)[:256] if raw else ""
    except msgspec.DecodeError:
        return ""


def _reject_value(value: bytes) -> Rejection:
    try:
        msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        return _reject_syntax(error)
    return Rejection(RejectionCode.NOT_AN_OBJECT, "The value is JSON, but neither an object nor an array of objects.")


def _reject_syntax(error: msgspec.DecodeError) -> Rejection:
    if isinstance(error, msgspec.ValidationError):
        return Rejection(RejectionCode.NOT_AN_OBJECT, "Each event must be a JSON object.")
    return Rejection(RejectionCode.BAD_JSON, f"The value is not JSON: {error}")


def make_first_id(at_ms: int) -> str:
    """Make the smallest id that an interaction at an instant can have: ids begin with their event time."""
    return f"{max(at_ms, 0):012x}"
