"""``/api/v1/recommend``: recommendations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, Request, Response, post
from litestar.params import RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.openapi_responses import answers
from api.recommend.schemas import Recommendation, RecommendBody
from api.recommend.service import Caller, RecommendService
from rapport.domain.api_keys import Role

_EXAMPLE: Final[Mapping[str, object]] = {
    "recommendationId": "0199a1b2-c3d4-7f1e-8d3c-4b000000002a",
    "customerId": "CUST001",
    "count": 1,
    "decisions": [
        {
            "offerId": "off_abc123",
            "offerName": "Platinum Card Upgrade",
            "categoryId": "cat_cards",
            "categoryName": "Credit Cards",
            "creativeId": "cr_001",
            "creativeName": "Email Hero Variant A",
            "channelId": "ch_email",
            "channelType": "email",
            "placementId": None,
            "score": 0.9,
            "rank": 1,
            "propensity": 1.0,
            "propensityKind": "exact",
            "content": {"subject": "Your rate: 14.99"},
            "personalization": {"personalized_rate": 14.99},
            "properties": {},
            "interactionId": "0199a1b2c3d40f1e2d3c4b000000002a00001",
            "offer": {
                "id": "off_abc123",
                "name": "Platinum Card Upgrade",
                "categoryId": "cat_cards",
                "categoryName": "Credit Cards",
                "subCategoryId": None,
                "priority": 90,
                "tags": [],
                "customFields": {"base_rate": 19.99},
            },
            "creative": {
                "id": "cr_001",
                "name": "Email Hero Variant A",
                "templateType": "email_html",
                "placementId": None,
                "abTestVariant": None,
            },
            "channel": {
                "id": "ch_email",
                "name": "Email",
                "channelType": "email",
                "impressionTracking": "explicit",
            },
        }
    ],
    "meta": {
        "decisionFlowKey": "base",
        "decisionFlowVersion": 1,
        "totalCandidates": 12,
        "catalogue": "42",
        "decidedAt": "2026-03-15T14:30:00.000Z",
        "dataLagMs": 310,
        "timing": {"factsMs": 7.1, "decideMs": 0.9, "writeMs": 2.2, "totalMs": 10.6},
        "warnings": [],
        "notShown": [
            {
                "stage": "contact_policy",
                "by": "cp_001",
                "byName": "Daily cap",
                "reason": "cap reached: 3/3 per day at scope offer off_def456",
                "offers": 1,
                "example": "off_def456",
                "isFault": False,
            }
        ],
        "emptyReason": None,
    },
    "experiments": [],
    "degradedScoring": False,
    "controlGroup": False,
    "placementResults": [{"placementId": None, "channelId": None, "count": 1}],
    "channelCoupling": [],
}


class RecommendController(Controller):
    """Recommendations of offers to a customer."""

    path = "/recommend"
    tags = ["Deciding"]
    guards = [requires(Role.EDITOR)]
    opt = {"scope": "recommend"}

    @post(
        dto=JsonBody[RecommendBody],
        return_dto=None,
        status_code=200,
        summary="Recommend offers to a customer",
        responses=answers(200, Recommendation, _EXAMPLE, 400, 404, 413, 415),
    )
    async def recommend(
        self,
        request: Request[Principal, Any, Any],
        recommendations: Injected[RecommendService],
        data: RequestBody[RecommendBody],
    ) -> Response[Recommendation]:
        """Run a decision flow for one customer.

        Every decision becomes a row `recommendation` of the history; on channels with implicit impression tracking it
        counts as an impression at once. On others an exposure is reserved until its impression is reported, or for a
        quarter of an hour, so that simultaneous requests keep caps. Where nothing is to be offered the answer is 200
        with count 0, and `meta.emptyReason` and `meta.notShown` say why. Older names are accepted: blueprintKey,
        decisionFlowId, maxOffers, trace.
        """
        caller = Caller(recommendations.client_addresses.find(request) or "", request.headers.get("user-agent", ""))
        done = await recommendations.recommend(request.user.tenant_id, data, caller)
        return Response(done.body, headers={"X-Position": done.position})
