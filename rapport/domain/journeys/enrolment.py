"""Enrolments: the states of customers in journeys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from rapport.domain.json_limits import MAX_DEPTH, UNREADABLE, is_too_deep
from rapport.domain.times import LATEST_MS


class EnrolmentStatus(StrEnum):
    """Status of an enrolment.

    Attributes:
        COMPLETED: The end was reached.
        EXITED: A user took the customer out, or the journey has ended.
        EXPIRED: It took longer than the journey allows.
        FAILED: A step cannot be executed.
    """

    ACTIVE = "active"
    COMPLETED = "completed"
    EXITED = "exited"
    EXPIRED = "expired"
    FAILED = "failed"


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """State of a customer in a journey.

    Attributes:
        version: Version of this state; ascends by one with each change that is written.
        journey_version: Version of the journey, which the customer stays with.
        step: Present step; the last one if the enrolment has ended.
        entered_at_ms: Time when the customer came to the step.
        due_at_ms: Time when the enrolment must be advanced next.
        visits: Number of visits by step.
        entry: The event by which the customer entered: outcome, offerId, creativeId, channelId, value, timestamp.
        results: Chosen offers of decisions, by the names under which they are stored.
        pending: Attributes that the update of this step writes, computed once, so that a retry writes the same.
        setbacks: Unexpected failures of the step in a row.
        reason: Reason of the end, where it needs one; of an active enrolment, the latest failure.
    """

    id: str
    journey_id: str
    journey_version: int
    customer_id: str
    version: int = 1
    status: EnrolmentStatus = EnrolmentStatus.ACTIVE
    step: str
    entered_at_ms: int
    due_at_ms: int
    enrolled_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None = None
    visits: Mapping[str, int] = {}
    entry: Mapping[str, Any] = {}
    results: Mapping[str, Sequence[Mapping[str, Any]]] = {}
    pending: Mapping[str, Any] | None = None
    setbacks: int = 0
    reason: str = ""


def make_enrolment_id(tenant_id: str, journey_id: str, customer_id: str, entry: str) -> str:
    """Make the id of an enrolment; the same for the same entry.

    Args:
        tenant_id: Tenant of the journey.
        journey_id: Journey of the enrolment.
        customer_id: Canonical id of the customer.
        entry: Tells entries apart; empty where there can be only one.
    """
    text = f"{tenant_id}\0{journey_id}\0{customer_id}\0{entry}"
    return f"enr_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def decode_enrolment(state: str, columns: Mapping[str, Any]) -> Enrolment:
    """Decode a stored state; of an unreadable one, ``entry`` holds the text and the columns give the rest.

    Args:
        state: JSON, perhaps from before there were limits.
        columns: Columns of its row, named as in table ``journey_enrolment_versions``, times as epoch milliseconds.
    """
    try:
        if not is_too_deep(state.encode(), 2 * MAX_DEPTH):
            return _decode(state)
    except msgspec.DecodeError:
        pass
    return Enrolment(
        id=columns["enrolment_id"],
        journey_id=columns["journey_id"],
        journey_version=columns["journey_version"],
        customer_id=columns["customer_id"],
        version=columns["version"],
        status=EnrolmentStatus(columns["status"]),
        step=columns["step"],
        entered_at_ms=columns["enrolled_at_ms"],
        due_at_ms=columns["due_at_ms"],
        enrolled_at_ms=columns["enrolled_at_ms"],
        expires_at_ms=LATEST_MS,
        ended_at_ms=columns["ended_at_ms"],
        entry={UNREADABLE: state},
    )


_decode: Final = msgspec.json.Decoder(Enrolment).decode
