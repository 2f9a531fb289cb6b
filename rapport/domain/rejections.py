"""Rejections of messages that cannot be used: values, not exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RejectionCode(StrEnum):
    """Stable reason for a dead letter; operators and producers match on it."""

    EMPTY = "empty_value"
    BAD_UTF8 = "bad_utf8"
    BAD_JSON = "bad_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    UNKNOWN_TYPE = "unknown_type"
    TOO_DEEP = "too_deep"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    TOO_LARGE = "too_large"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    INVALID_VALUE = "invalid_value"
    UNKNOWN_TENANT = "unknown_tenant"
    UNKNOWN_OUTCOME = "unknown_outcome"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    LOST_TO_RETENTION = "lost_to_retention"
    UNPROCESSABLE = "unprocessable"
    UNREADABLE_BATCH = "unreadable_batch"
    SKIPPED = "skipped_by_operator"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Message, or item of an array message, that cannot be used.

    Attributes:
        code: The stable reason.
        detail: One sentence for a person; says what would have been right.
        tenant_id: The tenant, if the message got far enough to name one, else ``""``.
    """

    code: RejectionCode
    detail: str
    tenant_id: str = ""
