"""``/api/v1/interaction-summaries`` of one customer, and ``/api/v1/interaction-summary`` over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final

from litestar import Controller, Request, get
from litestar.params import QueryParameter
from msgspec import UNSET

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.cursors import CursorParameter, Cursors
from api.http.errors import ApiError, invalid
from api.http.openapi_responses import answers
from api.http.parameters import check_choice, clamp
from api.http.route_options import READS
from api.http.times import iso
from api.summaries.report import GROUPS
from api.summaries.schemas import Report, Summary, SummaryList
from api.summaries.service import SummaryService
from rapport.domain.api_keys import Role
from rapport.domain.faults import Fault
from rapport.domain.periods import PeriodType
from rapport.storage.summaries import SummaryKey, SummaryQuery, SummaryRow

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
CURSORS: Final = Cursors[tuple[str, str, str, str, str, str]](tuple[str, str, str, str, str, str])
"""Keys of rows, as :class:`SummaryKey`."""
MAX_GROUPS: Final = 500
MAX_DAYS: Final = 366
_PERIOD_TYPES: Final = tuple(period_type.value for period_type in PeriodType)
_EXAMPLE: Final[Mapping[str, object]] = {
    "data": [
        {
            "periodType": "daily",
            "periodKey": "2026-04-30",
            "customerId": "cust_42",
            "scope": "offer",
            "offerId": "off_premium_card",
            "creativeId": "crv_email_a",
            "channelId": "ch_email",
            "impressions": 3,
            "positive": 1,
            "negative": 0,
            "neutral": 0,
            "converts": 0,
            "totalValue": 0,
            "lastContactAt": "2026-04-30T14:22:01.123Z",
            "lastOutcomeKey": "click",
            "direction": "outbound",
        }
    ],
    "total": 1,
    "nextCursor": None,
}
_REPORT: Final[Mapping[str, object]] = {
    "groupBy": "offer",
    "days": 30,
    "summary": [
        {
            "id": "off_premium_card",
            "name": "Premium Card",
            "impression": 1250,
            "click": 87,
            "dismiss": 45,
            "accept": 0,
            "convert": 32,
            "total": 1414,
            "ctr": 6.96,
            "cvr": 2.56,
            "positive": 119,
            "negative": 45,
            "neutral": 0,
            "issue": "Cards",
            "status": "active",
            "priority": 70,
        }
    ],
    "total": 1,
    "limit": 100,
    "offset": 0,
}


def _text(name: str, description: str, *choices: str) -> QueryParameter:
    states = {"enum": list(choices)} if choices else None
    return QueryParameter(name=name, description=description, max_length=512, schema_extra=states)


class SummaryController(Controller):
    """Windowed counts, exact to the event."""

    tags = ["Reading"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "summaries", READS: True}

    @get(
        "/interaction-summaries",
        summary="Read a customer's summaries",
        responses=answers(200, SummaryList, _EXAMPLE, 400, 409),
    )
    async def of_customer(
        self,
        request: Request[Principal, Any, Any],
        summaries: Injected[SummaryService],
        customer_id: Annotated[str | None, _text("customerId", "Whose summaries; required.")] = None,
        period_type: Annotated[str | None, _text("periodType", "All types if not given.", *_PERIOD_TYPES)] = None,
        offer_id: Annotated[str | None, _text("offerId", "Of this offer.")] = None,
        creative_id: Annotated[str | None, _text("creativeId", "Of this creative.")] = None,
        channel_id: Annotated[str | None, _text("channelId", "Of this channel.")] = None,
        from_: Annotated[str | None, _text("from", "Periods that end on or after this day, as 2026-04-01.")] = None,
        to: Annotated[str | None, _text("to", "Periods that begin on or before this day.")] = None,
        limit: Annotated[int, QueryParameter(description=f"Rows; brought into 1 to {MAX_LIMIT}.")] = DEFAULT_LIMIT,
        cursor: CursorParameter = None,
        total_count: Annotated[  # noqa: FBT002 - the framework calls by name
            bool, QueryParameter(name="totalCount", description="Whether to count the rows of all pages.")
        ] = False,
    ) -> SummaryList:
        """Read summaries by period type, then the latest period first. `from` and `to` do not concern alltime rows.

        Of merged customers the numbers are added up, under whichever of their ids.
        """
        if not customer_id:
            raise ApiError(
                400, "customerId is required", details=[Fault(field="customerId", message="customerId is required")]
            )
        faults: list[Fault] = []
        after = SummaryKey(*(CURSORS.read(cursor, faults) or ()))
        wanted = SummaryQuery(
            tenant_id=request.user.tenant_id,
            customer_id=customer_id,
            members=await summaries.find_members(request.user.tenant_id, customer_id),
            period_type=check_choice("periodType", period_type, _PERIOD_TYPES, faults),
            offer_id=offer_id or "",
            creative_id=creative_id or "",
            channel_id=channel_id or "",
            first_day=_day("from", from_, faults),
            last_day=_day("to", to, faults),
            after=after,
            limit=clamp(limit, 1, MAX_LIMIT),
        )
        if faults:
            raise invalid(*faults)
        found = await summaries.load(wanted)
        return SummaryList(
            data=[_build_summary(row, customer_id) for row in found.rows],
            total=len(found.rows),
            next_cursor=CURSORS.write(found.rows[-1].key) if found.has_more else None,
            total_count=found.matching if total_count else UNSET,
        )

    @get(
        "/interaction-summary",
        summary="Totals per offer, creative, channel or customer",
        responses=answers(200, Report, _REPORT, 400, 409),
    )
    async def report(
        self,
        request: Request[Principal, Any, Any],
        summaries: Injected[SummaryService],
        group_by: Annotated[
            str, _text("groupBy", "action is an older name of offer, treatment one of creative.", *GROUPS)
        ] = "offer",
        days: Annotated[int, QueryParameter(description="Over the last so many days.", ge=1, le=MAX_DAYS)] = 30,
        limit: Annotated[int, QueryParameter(description=f"Groups; brought into 1 to {MAX_GROUPS}.")] = 100,
        offset: Annotated[int, QueryParameter(description="After so many groups.", ge=0, le=1_000_000)] = 0,
    ) -> Report:
        """Report totals, the largest first. Today counts as the first day, by the tenant's calendar."""
        faults: list[Fault] = []
        group = GROUPS.get(check_choice("groupBy", group_by, tuple(GROUPS), faults), "")
        if faults:
            raise invalid(*faults)
        limit = clamp(limit, 1, MAX_GROUPS)
        rows, total = await summaries.report(request.user.tenant_id, group, days=days, limit=limit, offset=offset)
        return Report(
            group_by=group_by,
            days=days,
            summary=rows,
            total=total,
            limit=limit,
            offset=offset,
        )


def _day(name: str, text: str | None, faults: list[Fault]) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        faults.append(Fault(field=name, message="must be a day, as 2026-04-30"))
        return None


def _build_summary(row: SummaryRow, customer_id: str) -> Summary:
    return Summary(
        period_type=row.period_type,
        period_key=row.period_key,
        customer_id=customer_id,
        scope=row.scope,
        offer_id=row.offer or None,
        creative_id=row.creative or None,
        channel_id=row.channel or None,
        impressions=row.impressions,
        positive=row.positive,
        negative=row.negative,
        neutral=row.neutral,
        converts=row.converts,
        total_value=row.total_value,
        last_contact_at=iso(row.last_contact_ms),
        last_outcome_key=row.last_outcome,
        direction=row.last_direction,
    )
