"""The event contract as documents: JSON Schemas for producers, and an AsyncAPI description."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rapport.domain.events import DEAD_LETTER_TOPIC, EVENT_TYPES, MAX_CONVERSION_VALUE, TOPIC
from rapport.domain.rejections import RejectionCode

SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DESCRIPTIONS: Final = {
    "type": "The event's type and version; an interaction where it is left out.",
    "tenantId": "The tenant. Unknown tenants go to the dead letters.",
    "customerId": "The customer.",
    "outcome": "Key of one of the tenant's outcome types, such as impression, click, convert or dismiss.",
    "idempotencyKey": "Identifies the event: repeated within seven days it counts once.",
    "offerId": "The offer.",
    "creativeId": "The creative.",
    "channelId": "The channel.",
    "placementId": "The placement.",
    "direction": "Outbound for what is shown, inbound for what is answered, if left out.",
    "timestamp": "When it happened: ISO 8601 (UTC where no zone is named) or epoch milliseconds; "
    "between 1970-01-02 and one day after it is received. The broker's time if left out.",
    "conversionValue": f"In the tenant's currency, 0 to {MAX_CONVERSION_VALUE}, exact to six decimals; down to "
    f"-{MAX_CONVERSION_VALUE} for outcome types with allowsNegativeValue, such as refunds.",
    "recommendationId": "The recommendation that it answers.",
    "rank": "Rank in that recommendation, from 1.",
    "context": "Free-form object.",
    "outcomeDetails": "Free-form object.",
    "metadata": "Free-form object; fields that the contract does not know are kept here.",
    "decision": "What was decided and why.",
}


def build_event_schema(type_name: str) -> dict[str, Any]:
    """Build the JSON Schema of one event type.

    Args:
        type_name: A key of :data:`rapport.domain.events.EVENT_TYPES`.
    """
    described_struct = _replace_raw(EVENT_TYPES[type_name])
    _, components = msgspec.json.schema_components([described_struct], ref_template="{name}")
    schema: dict[str, Any] = components[described_struct.__name__]
    for name, described in schema["properties"].items():
        described.pop("default", None)
        described["description"] = _DESCRIPTIONS[name]
    return {"$schema": SCHEMA_DIALECT, "title": type_name, **{k: v for k, v in schema.items() if k != "title"}}


def build_asyncapi() -> dict[str, Any]:
    """Build the AsyncAPI 3.0 document of the topics."""
    messages = {
        name: {
            "name": name,
            "contentType": "application/json",
            "summary": (EVENT_TYPES[name].__doc__ or "").splitlines()[0],
            "payload": {
                "schemaFormat": "application/schema+json;version=draft-2020-12",
                "schema": build_event_schema(name),
            },
        }
        for name in EVENT_TYPES
    }
    letter = {
        "name": "dead-letter",
        "summary": "A message that could not be used: its key and value as they came, the reason in the headers.",
        "headers": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": [code.value for code in RejectionCode]},
                "detail": {"type": "string"},
                "source": {"type": "string"},
                "offset": {"type": "string"},
                "item": {"type": "string"},
            },
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rapport events",
            "version": "1.0.0",
            "description": "Key: tenantId:customerId. Value: one event, or an array of events of one partition.",
        },
        "channels": {
            TOPIC: {
                "address": TOPIC,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            },
            DEAD_LETTER_TOPIC: {
                "address": DEAD_LETTER_TOPIC,
                "messages": {"dead-letter": {"$ref": "#/components/messages/dead-letter"}},
            },
        },
        "operations": {
            "applyInteractions": {"action": "receive", "channel": {"$ref": f"#/channels/{TOPIC}"}},
            "setAside": {"action": "send", "channel": {"$ref": f"#/channels/{DEAD_LETTER_TOPIC}"}},
        },
        "components": {"messages": {**messages, "dead-letter": letter}},
    }


def _replace_raw(struct: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Define the same struct with free-form JSON as objects: msgspec cannot describe its own Raw."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(struct):
        if field.type is msgspec.Raw:
            fields.append((field.name, dict[str, Any] | None, None))
        elif field.required:
            fields.append((field.name, field.type))
        else:
            fields.append((field.name, field.type, field.default))
    return msgspec.defstruct(struct.__name__, fields, kw_only=True, rename="camel")
