"""Unified profiles as the documentation shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from api.clv.controller import EXAMPLE as VALUE
from api.http.openapi_responses import answers
from api.suppressions.controller import EXAMPLE as SUPPRESSION
from api.unified_profile.schemas import StructuredProfile, UnifiedProfile

if TYPE_CHECKING:
    from typing import Any

_INTERACTION: Final = {
    "id": "0199a1b2c3d40f1e2d3c4b000000002a00000",
    "offerId": "off_001",
    "channelId": "ch_001",
    "interactionType": "impression",
    "timestamp": "2026-03-28T10:30:00.000Z",
}
_LISTED: Final[Mapping[str, Any]] = {
    "customerId": "CUST001",
    "tenantId": "my-tenant",
    "sections": [
        {
            "name": "identities",
            "data": [
                {"type": "email", "value": "john@example.com", "confidence": 1.0},
                {"type": "phone", "value": "+1234567890", "confidence": 0.95},
            ],
        },
        {"name": "interactions", "data": [_INTERACTION]},
        {
            "name": "segments",
            "data": [{"segmentId": "seg_001", "segmentName": "High Value", "memberSince": "2026-01-15T00:00:00.000Z"}],
        },
        {
            "name": "experiments",
            "data": [
                {
                    "experimentId": "exp_models",
                    "experimentName": "Models, spring",
                    "variant": "__champion__",
                    "assignedAt": "2026-03-01T09:00:00.000Z",
                    "lastDecidedAt": "2026-03-28T10:30:00.000Z",
                }
            ],
        },
        {
            "name": "consent",
            "data": [
                {
                    "purpose": "email",
                    "status": "granted",
                    "source": "api",
                    "grantedAt": "2026-01-15T00:00:00.000Z",
                    "revokedAt": None,
                }
            ],
        },
        {
            "name": "journeys",
            "data": [
                {
                    "enrollmentId": "enr_8f1c2d3e4a5b6c7d",
                    "journeyId": "jo_welcome",
                    "journeyName": "Welcome",
                    "status": "active",
                    "currentStep": "wait-a-week",
                    "enrolledAt": "2026-03-25T08:00:00.000Z",
                    "completedAt": None,
                }
            ],
        },
        {
            "name": "loyalty",
            "data": [],
            "error": {"code": "TIMEOUT", "message": "It was not there within 2 s."},
        },
    ],
    "computedAt": "2026-03-30T12:00:00.000Z",
}
_STRUCTURED: Final[Mapping[str, Any]] = {
    "customerId": "CUST001",
    "tenantId": "my-tenant",
    "demographics": {
        "attributes": {"age": 34, "city": "Sofia"},
        "updatedAt": "2026-03-01T08:00:00.000Z",
        "contactProfiles": [{"id": "65f1c0ffee65f1c0ffee65f1", "firstname": "John", "email": "john@example.com"}],
    },
    "interactions": {
        "totals": {
            "impressions": 20,
            "positive": 4,
            "negative": 0,
            "neutral": 0,
            "converts": 1,
            "totalValue": 360.0,
            "lastContactAt": "2026-03-28T10:30:00.000Z",
        },
        "recent": [_INTERACTION],
    },
    "clv": VALUE,
    "metrics": {"clicks-30d": 3, "average-order": None},
    "suppressions": [SUPPRESSION],
    "extensions": {"loyalty": [{"tier": "gold", "points": 1200}]},
    "errors": [],
    "computedAt": "2026-03-30T12:00:00.000Z",
}
_ONE_OF_BOTH: Final[Any] = UnifiedProfile | StructuredProfile
ANSWERS: Final[Mapping[int, ResponseSpec]] = {
    **answers(200, UnifiedProfile, _LISTED, 400, 404, 409),
    200: ResponseSpec(
        data_container=_ONE_OF_BOTH,
        examples=[
            Example(summary="Sections", value=msgspec.convert(_LISTED, UnifiedProfile)),
            Example(summary="Structured", value=msgspec.convert(_STRUCTURED, StructuredProfile)),
        ],
        generate_examples=False,
        description="Done.",
    ),
}
