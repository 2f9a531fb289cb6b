"""Examples of explained decisions, for the API's description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_ID: Final = "0199a1b2-c3d4-7f1e-8d3c-4b000000002a"
_AT: Final = "2026-03-15T14:30:00.000Z"
SHORT_TRACE: Final[Mapping[str, Any]] = {
    "id": _ID,
    "requestId": _ID,
    "recommendationId": _ID,
    "customerId": "CUST001",
    "decisionFlowKey": "base",
    "decisionFlowVersion": 1,
    "pipeline": [
        {
            "stage": "qualify",
            "node": "qualify",
            "placementId": None,
            "candidates": 12,
            "passed": 8,
            "method": None,
            "topScore": None,
        }
    ],
    "result": {"count": 1, "topOffer": {"offerId": "off_abc123", "score": 0.9}},
    "candidateCount": 12,
    "afterQualification": 8,
    "afterContactPolicy": 5,
    "finalCount": 1,
    "totalDurationMs": 8.1,
    "createdAt": _AT,
}
_CAPPED: Final[Mapping[str, Any]] = {
    "stage": "contact_policy",
    "by": "three-a-day",
    "byName": "Each offer three times a day",
    "offerId": "off_gold",
    "creativeId": "cr_009",
    "reason": "cap reached: 3/3 impressions in calendar day (tenant) at offer off_gold",
    "detail": {"period": "calendar day (tenant)", "max": 3, "actual": 3},
}
FULL_TRACE: Final[Mapping[str, Any]] = {
    **SHORT_TRACE,
    "qualificationResults": [],
    "contactPolicyResults": [_CAPPED],
    "otherRemovals": [],
    "scoringResults": [{"offerId": "off_abc123", "creativeId": "cr_001", "score": 0.9}],
    "selectedOffers": [
        {
            "rank": 1,
            "offerId": "off_abc123",
            "offerName": "Platinum Card Upgrade",
            "categoryId": "cards",
            "categoryName": "Cards",
            "creativeId": "cr_001",
            "creativeName": "Email Hero Variant A",
            "channelId": "ch_email",
            "channelType": "email",
            "placementId": None,
            "score": 0.9,
            "propensity": 1.0,
            "content": {"subject": "Your upgrade"},
            "personalization": {},
            "properties": {},
        }
    ],
    "placementResults": [{"placementId": None, "channelId": None, "count": 1}],
    "channelCoupling": [],
    "experimentAssignment": [],
    "controlGroup": False,
    "degradedScoring": False,
    "failedModels": [],
    "problems": [],
    "trimmed": {},
    "request": {"customerId": "CUST001", "limit": 5},
    "catalogue": "42",
    "seed": 7,
    "watermark": {"lagMs": 120, "positions": {"2": 1042}},
    "isReplayable": True,
    "traceId": "9b2c1de04f1a4b7f8f0c2c3d4e5f6071",
    "software": {"rapport": "0.1.0", "python": "3.11.9"},
}
_RULE: Final[Mapping[str, Any]] = {
    "ruleId": "adults",
    "ruleName": "Adults only",
    "ruleType": "attribute_condition",
    "scope": "global",
    "status": "passed",
    "eligible": True,
    "isSoft": False,
    "reason": "",
    "detail": {},
}
_POLICY: Final[Mapping[str, Any]] = {
    "policyId": "three-a-day",
    "policyName": "Each offer three times a day",
    "ruleType": "frequency_cap",
    "scope": "offer off_gold",
    "status": "blocked",
    "blocked": True,
    "reason": _CAPPED["reason"],
    "detail": _CAPPED["detail"],
}
ELIGIBILITY: Final[Mapping[str, Any]] = {
    "customerId": "CUST001",
    "customer": {"tier": "gold"},
    "evaluatedAt": _AT,
    "recommendationId": None,
    "summary": {
        "totalOffers": 1,
        "eligibleCount": 0,
        "ineligibleCount": 1,
        "failedQualification": 0,
        "blockedByContactPolicy": 1,
        "blockedBySchedule": 0,
        "noCreatives": 0,
    },
    "offers": [
        {
            "offerId": "off_gold",
            "offerName": "Gold Card",
            "category": "Cards",
            "subCategory": None,
            "priority": 90,
            "eligible": False,
            "primaryReason": f"Failed: {_POLICY['policyName']}",
            "score": 0.9,
            "rank": None,
            "scheduleBlocked": False,
            "scheduleReason": None,
            "qualificationPassed": True,
            "failedRules": [],
            "passedRules": [_RULE],
            "allRuleResults": [_RULE],
            "contactPolicyBlocked": True,
            "blockedPolicies": [_POLICY],
            "allPolicyResults": [_POLICY],
            "hasCreatives": True,
            "creativeCount": 1,
        }
    ],
}
WHY_NOT: Final[Mapping[str, Any]] = {
    "customerId": "CUST001",
    "offerId": "off_gold",
    "offerName": "Gold Card",
    "offerStatus": "active",
    "creativeCount": 1,
    "evaluatedAt": _AT,
    "recommendationId": None,
    "verdict": "blocked",
    "summary": f"Blocked: {_POLICY['policyName']}",
    "objections": [_CAPPED["reason"]],
    "qualification": [_RULE],
    "contactPolicy": [_POLICY],
    "decision": None,
}
