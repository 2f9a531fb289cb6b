"""Summaries on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The contacts of one customer in one period.

    Attributes:
        scope: offer: of one offer, creative and channel; channel: of all offers of a channel together.
        offer_id: Null where the events name none, and in scope channel.
        total_value: Sum of conversionValue over positive outcomes, less refunds.
        direction: Of the latest contact.
    """

    period_type: str
    period_key: str
    customer_id: str
    scope: Literal["offer", "channel"]
    offer_id: str | None
    creative_id: str | None
    channel_id: str | None
    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    total_value: float
    last_contact_at: str | None
    last_outcome_key: str | None
    direction: str | None


class SummaryList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Summaries of one customer.

    Attributes:
        total: How many rows this answer has.
        next_cursor: To be sent as ``cursor``; null when nothing follows.
        total_count: Number of rows of all pages, if it was requested.
    """

    data: Sequence[Summary]
    total: int
    next_cursor: str | None
    total_count: int | msgspec.UnsetType = msgspec.UNSET


class ReportRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Totals of one offer, creative, channel or customer.

    Attributes:
        impression: Events of outcome impression; likewise click, dismiss, accept, convert.
        total: These five together.
        ctr: Clicks per hundred impressions.
        cvr: Conversions per hundred impressions.
        positive: Responses classified positive; likewise negative and neutral.
        issue: The offer's category; ``group`` its sub-category.
    """

    id: str | None
    name: str | None
    impression: int
    click: int
    dismiss: int
    accept: int
    convert: int
    total: int
    ctr: float
    cvr: float
    positive: int
    negative: int
    neutral: int
    issue: str | None = None
    group: str | None = None
    status: str | None = None
    priority: int | None = None
    offer_name: str | None = None
    channel_name: str | None = None
    channel_type: str | None = None
    template_type: str | None = None
    ab_test_variant: str | None = None
    weight: float | None = None
    treatment_count: int | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Totals per group over the last days, the largest first."""

    group_by: str
    days: int
    summary: Sequence[ReportRow]
    total: int
    limit: int
    offset: int
