"""Beside ``/api/v1/segments``: members of segments, refreshes, and overlaps."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Annotated, Any, Final

from litestar import Controller, Request, get, post
from litestar.params import FromPath, QueryParameter, RequestBody
from msgspec import Meta

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.cursors import CursorParameter, Cursors
from api.http.errors import invalid
from api.http.openapi_responses import answers
from api.http.parameters import clamp
from api.http.times import iso
from api.segments.schemas import (
    MemberPagination,
    OverlapBody,
    OverlapReport,
    RefreshedSegment,
    SegmentMember,
    SegmentMembers,
)
from api.segments.service import SegmentService
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1_000
_CURSORS: Final = Cursors[str](Annotated[str, Meta(min_length=1, max_length=256)])
"""Customers' ids."""
_REFRESHED: Final[Mapping[str, object]] = {
    "id": "seg_001",
    "name": "High Value",
    "version": 3,
    "customerCount": 1204,
    "lastRefreshedAt": "2026-03-15T14:30:00.000Z",
}
_MEMBERS: Final[Mapping[str, object]] = {
    "data": [{"customerId": "cust_42", "memberSince": "2026-01-15T00:00:00.000Z"}],
    "pagination": {"total": 1204, "limit": 1, "hasMore": True, "nextCursor": "cust_42"},
}
_OVERLAP: Final[Mapping[str, object]] = {
    "segments": [{"id": "seg_001", "name": "High Value", "size": 1204}, {"id": "seg_002", "name": "New", "size": 310}],
    "overlaps": [{"segments": ["seg_001", "seg_002"], "count": 124, "percent": 40.0}],
    "totalUniqueCustomers": 1390,
    "overlapWarnings": ["High Value and New share 40 % of the smaller of the two"],
}
_Asking = Request[Principal, Any, Any]


class SegmentMemberController(Controller):
    """Members of segments. Those of active segments are refreshed every few minutes."""

    path = "/segments"
    tags = ["Segments"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "segments"}

    @get(
        "/{entity_id:str}/members",
        summary="List the customers in a segment",
        responses=answers(200, SegmentMembers, _MEMBERS, 404),
    )
    async def members(
        self,
        request: _Asking,
        segments: Injected[SegmentService],
        entity_id: FromPath[str],
        limit: Annotated[
            int, QueryParameter(description=f"Rows of a page; brought into 1 to {MAX_LIMIT}.")
        ] = DEFAULT_LIMIT,
        cursor: CursorParameter = None,
    ) -> SegmentMembers:
        """List members by customer id, as of the latest refresh."""
        faults: list[Fault] = []
        wanted, after = clamp(limit, 1, MAX_LIMIT), _CURSORS.read(cursor, faults)
        if faults:
            raise invalid(*faults)
        found, refresh = await segments.list_members(
            request.user.tenant_id, entity_id, after=after or "", limit=wanted + 1
        )
        shown, following = _CURSORS.cut(found, wanted, attrgetter("customer_id"))
        return SegmentMembers(
            data=[SegmentMember(customer_id=one.customer_id, member_since=iso(one.member_since_ms)) for one in shown],
            pagination=MemberPagination(
                total=refresh.customer_count if refresh else None,
                limit=wanted,
                has_more=following is not None,
                next_cursor=following,
            ),
        )

    @post(
        ["/{entity_id:str}", "/{entity_id:str}/refresh"],
        status_code=200,
        guards=[requires(Role.EDITOR)],
        summary="Work out now who is in a segment",
        responses=answers(200, RefreshedSegment, _REFRESHED, 404),
    )
    async def refresh(
        self,
        request: _Asking,
        segments: Injected[SegmentService],
        entity_id: FromPath[str],
        action: Annotated[str | None, QueryParameter(description="Only `refresh`.")] = None,
    ) -> RefreshedSegment:
        """Refresh a segment of any status; those that are not active are refreshed only so."""
        if action not in (None, "refresh"):
            raise invalid(Fault(field="action", message="must be refresh"))
        segment, done = await segments.refresh(request.user.tenant_id, entity_id)
        return RefreshedSegment(
            id=segment.id,
            name=segment.name,
            version=done.version,
            customer_count=done.customer_count,
            last_refreshed_at=iso(done.refreshed_at_ms),
        )

    @post(
        "/overlap",
        dto=JsonBody[OverlapBody],
        return_dto=None,
        status_code=200,
        summary="Compare segments by the customers they have in common",
        responses=answers(200, OverlapReport, _OVERLAP, 413, 415),
    )
    async def overlap(
        self, request: _Asking, segments: Injected[SegmentService], data: RequestBody[OverlapBody]
    ) -> OverlapReport:
        """Compare by a sample of the customers in any of them, which is the same at each request."""
        if len(set(data.segment_ids)) < len(data.segment_ids):
            raise invalid(Fault(field="segmentIds", message="names a segment twice"))
        return await segments.compare(request.user.tenant_id, data.segment_ids, data.sample_size)
