"""Reads pages of history and joins the names."""

from __future__ import annotations

import asyncio
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from api.history.schemas import Interaction, InteractionPage, NamedChannel, NamedCreative, NamedOffer
from api.http.cursors import CursorPagination, Cursors
from api.http.times import iso
from api.runtime.catalogue_names import EntityNames
from rapport.domain.json_limits import decode_stored_object
from rapport.storage.history import HistoryFilter, HistoryPageQuery, count_interactions, read_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.loader import Loader
    from rapport.storage.database import Database
    from rapport.storage.history import HistoryPage

CURSORS: Final = Cursors[str](Annotated[str, Meta(pattern=r"\A[0-9a-f]{1,64}\Z")])
"""Ids of interactions."""


class HistoryService:
    """Pages of the history.

    Args:
        pages: Loads pages of single customers.
    """

    def __init__(
        self,
        database: Database,
        catalogues: CompiledCatalogues,
        identities: IdentityCache,
        pages: Loader[HistoryPageQuery, HistoryPage],
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._identities = identities
        self._pages = pages

    async def find_members(self, tenant_id: str, customer_id: str | None) -> tuple[str, ...]:
        """Return all ids of a person, the canonical one first; none without a customer."""
        return await self._identities.members(tenant_id, customer_id) if customer_id else ()

    async def load_page(self, wanted: HistoryFilter, cursor: str, limit: int) -> InteractionPage:
        """Load one page, the total of all pages, and the names of entities on the page."""
        read = self._read_customer if wanted.customer_id else self._read_tenant
        (rows, total), stored = await asyncio.gather(
            read(wanted, cursor, limit + 1), self._catalogues.stored(wanted.tenant_id)
        )
        names = EntityNames(stored)
        shown, following = CURSORS.cut(rows, limit, itemgetter("id"))
        return InteractionPage(
            data=[build_interaction(row, names) for row in shown],
            pagination=CursorPagination(
                total=total, limit=limit, has_more=following is not None, next_cursor=following
            ),
        )

    async def _read_customer(
        self, wanted: HistoryFilter, cursor: str, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], int]:
        page = await self._pages.load(HistoryPageQuery(filters=wanted, cursor=cursor, limit=limit))
        if page.rows or not cursor:
            return page.rows, page.total
        return (), await self._database.call(count_interactions, wanted)  # behind the last page nothing is counted

    async def _read_tenant(
        self, wanted: HistoryFilter, cursor: str, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], int]:
        rows, total = await asyncio.gather(
            self._database.call(read_page, wanted, cursor, limit),
            self._database.call(count_interactions, wanted),
        )
        return rows, total


def build_interaction(row: Mapping[str, Any], names: EntityNames) -> Interaction:
    """Build an interaction from a row of the history, with names."""
    value = row["conversion_value"]
    return Interaction(
        id=row["id"],
        tenant_id=row["tenant_id"],
        customer_id=row["customer_id"],
        offer_id=row["offer_id"],
        creative_id=row["creative_id"],
        channel_id=row["channel_id"],
        placement_id=row["placement_id"],
        interaction_type=row["outcome"],
        outcome_type_key=row["outcome"],
        direction=row["direction"],
        timestamp=iso(round(row["occurred_at"].timestamp() * 1000)),
        conversion_value=None if value is None else float(value),
        recommendation_id=row["recommendation_id"],
        rank=row["rank"],
        idempotency_key=row["idempotency_key"],
        context=_object(row["context"]),
        response=_object(row["metadata"]),
        outcome=_object(row["outcome_details"]),
        offer=_offer(row["offer_id"], names),
        creative=_creative(row["creative_id"], names),
    )


def _object(text: str) -> Mapping[str, Any]:
    return decode_stored_object(text) if text else {}


def _offer(offer_id: str | None, names: EntityNames) -> NamedOffer | None:
    known = names.offer(offer_id)
    return NamedOffer(id=known.entity.id, name=known.entity.name, status=known.status) if known else None


def _creative(creative_id: str | None, names: EntityNames) -> NamedCreative | None:
    known = names.creative(creative_id)
    if known is None:
        return None
    channel = names.channel(known.entity.channel_id)
    return NamedCreative(
        id=known.entity.id,
        name=known.entity.name,
        channel=NamedChannel(id=channel.entity.id, name=channel.entity.name) if channel else None,
    )
