"""Finds the subject of a response by the recommendation, the interaction or the creative that it names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from api.http.errors import ApiError, invalid
from api.respond.schemas import ResponseWarning
from api.runtime.catalogue_names import NO_ENTITIES, EntityNames
from rapport.domain.faults import Fault
from rapport.storage.errors import StorageError
from rapport.storage.recorded_events import find_interaction

if TYPE_CHECKING:
    from api.recommend.recent_decisions import RecentDecisions
    from api.respond.schemas import ResponseBody
    from api.runtime.catalogue_cache import CompiledCatalogues
    from rapport.storage.database import Database

log = structlog.get_logger(__name__)
_NAME_IT: Final = (
    "must be given with channelId, unless recommendationId and rank, or interactionId, say what the response is about"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Subject of a response; None where it is not known.

    Attributes:
        cautions: Warnings for the caller.
    """

    offer_id: str | None = None
    creative_id: str | None = None
    channel_id: str | None = None
    placement_id: str | None = None
    recommendation_id: str | None = None
    rank: int | None = None
    warnings: tuple[ResponseWarning, ...] = field(default_factory=tuple)

    def warn(self, code: str, message: str) -> Subject:
        """Return the same subject with one more warning."""
        return replace(self, warnings=(*self.warnings, ResponseWarning(code=code, message=message)))


def find_faults(answer: ResponseBody) -> list[Fault]:
    """Find the fields that a response lacks to have a subject."""
    has_recommendation = answer.recommendation_id is not None and answer.rank is not None
    if answer.rank is not None and answer.recommendation_id is None:
        return [Fault(field="recommendationId", message="must be given with rank")]
    if has_recommendation or answer.interaction_id is not None or answer.creative_id is not None:
        return []
    if answer.recommendation_id is not None:
        return [Fault(field="rank", message="must be given with recommendationId, unless creativeId is")]
    return [Fault(field="creativeId", message=_NAME_IT)]


class SubjectFinder:
    """Finds the subjects of responses.

    Args:
        recent: Recommendations of a moment ago.
    """

    def __init__(self, database: Database, catalogues: CompiledCatalogues, recent: RecentDecisions) -> None:
        self._database = database
        self._catalogues = catalogues
        self._recent = recent

    async def find(self, tenant_id: str, answer: ResponseBody, *, is_strict: bool) -> Subject:
        """Find the subject of a response.

        While storage is away the fields of the response count: a lost response is worse than an incomplete one.

        Args:
            tenant_id: Tenant of the catalogue and the recommendations.
            answer: Without the faults that :func:`find_faults` knows.
            is_strict: Whether unknown entities are refused.

        Raises:
            ApiError: 404 for something unknown if that is refused, 400 where the channel is missing.
        """
        given = Subject(
            offer_id=answer.offer_id,
            creative_id=answer.creative_id,
            channel_id=answer.channel_id,
            placement_id=answer.placement_id,
            recommendation_id=answer.recommendation_id,
            rank=answer.rank,
        )
        subject = await self._from_recommendation(tenant_id, answer, given)
        subject = await self._from_interaction(tenant_id, answer, subject)
        try:
            names = EntityNames(await self._catalogues.stored(tenant_id))
        except StorageError as error:
            log.warning("the catalogue cannot be looked up", error=str(error))
            subject = subject.warn("CATALOGUE_UNAVAILABLE", "The catalogue could not be looked up; recorded as given.")
            names = NO_ENTITIES
        else:
            subject = _checked(_from_creative(names, subject), names)
        if subject.creative_id and not subject.channel_id:
            raise invalid(
                Fault(field="channelId", message="is required with a creative that the catalogue does not know")
            )
        if is_strict and subject.warnings:
            raise ApiError(404, " ".join(warn.message for warn in subject.warnings))
        return subject

    async def _from_recommendation(self, tenant_id: str, answer: ResponseBody, given: Subject) -> Subject:
        if answer.recommendation_id is None or answer.rank is None:
            return given
        try:
            item = await self._recent.find_item(tenant_id, answer.recommendation_id, answer.rank)
        except StorageError as error:
            log.warning("the recommendation cannot be looked up", error=str(error))
            return given.warn("RECOMMENDATION_UNAVAILABLE", "The recommendation could not be looked up just now.")
        if item is None or item.customer_id != answer.customer_id:
            return given.warn(
                "RECOMMENDATION_NOT_FOUND",
                f"Recommendation {answer.recommendation_id} of this customer has no rank {answer.rank}.",
            )
        return _prefer(given, item.offer_id, item.creative_id, item.channel_id, item.placement_id)

    async def _from_interaction(self, tenant_id: str, answer: ResponseBody, given: Subject) -> Subject:
        if answer.interaction_id is None or given.offer_id is not None:
            return given
        try:
            found = await self._database.call(find_interaction, tenant_id, answer.interaction_id)
        except StorageError as error:
            log.warning("the interaction cannot be looked up", error=str(error))
            return given.warn("INTERACTION_UNAVAILABLE", "The interaction could not be looked up just now.")
        if found is None or found["customer_id"] != answer.customer_id:
            return given.warn("INTERACTION_NOT_FOUND", f"This customer has no interaction {answer.interaction_id}.")
        subject = _prefer(given, found["offer_id"], found["creative_id"], found["channel_id"], found["placement_id"])
        return replace(
            subject,
            recommendation_id=given.recommendation_id or found["recommendation_id"] or None,
            rank=given.rank or found["rank"] or None,
        )


def _prefer(
    given: Subject, offer_id: str | None, creative_id: str | None, channel_id: str | None, placement_id: str | None
) -> Subject:
    """Take the fields of what was recommended, where it has them, before the caller's."""
    return replace(
        given,
        offer_id=offer_id or given.offer_id,
        creative_id=creative_id or given.creative_id,
        channel_id=channel_id or given.channel_id,
        placement_id=placement_id or given.placement_id,
    )


def _from_creative(names: EntityNames, subject: Subject) -> Subject:
    """Take the channel of a creative in the catalogue, whatever the caller says, and its offer."""
    known = names.creative(subject.creative_id)
    if known is None:
        return subject
    creative = known.entity
    return replace(
        subject,
        channel_id=creative.channel_id or subject.channel_id,
        offer_id=subject.offer_id or creative.offer_id,
        placement_id=subject.placement_id or creative.placement_id,
    )


def _checked(subject: Subject, names: EntityNames) -> Subject:
    named = (("offer", subject.offer_id), ("creative", subject.creative_id), ("channel", subject.channel_id))
    for kind, own in named:
        if own and not names.knows(kind, own):
            code = f"{kind.upper()}_NOT_FOUND"
            subject = subject.warn(code, f"The catalogue knows no {kind} {own!r} (yet); recorded as given.")
    return subject
