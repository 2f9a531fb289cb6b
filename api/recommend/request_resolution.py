"""Resolves bodies of requests by the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from api.http.errors import ApiError, invalid
from api.recommend.anonymous_id import ANONYMOUS, anonymous_id
from api.recommend.schemas import MAX_LIMIT
from rapport.domain.decisions.candidates import PlacementRequest, Request
from rapport.domain.decisions.request_resolution import resolve_request
from rapport.domain.events import NO_OBJECT
from rapport.domain.faults import Fault
from rapport.domain.numbers import BEYOND, find_inexact
from rapport.domain.placeholders import explain_placeholder, is_placeholder

if TYPE_CHECKING:
    from api.recommend.schemas import RecommendBody, WantedPlacement
    from rapport.domain.catalogue.strategy import DecisionFlow
    from rapport.domain.decisions.catalogue import Catalogue

MAX_CONTEXT_BYTES: Final = 8_192
MAX_ATTRIBUTES_BYTES: Final = 65_536
_ONE_OFF: Final = (
    "nothing tells this visitor from others, so its customerId is used once and caps do not hold from one request to"
    " the next: send customerId or sessionId, or have a trusted proxy say the visitor's address"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRequest:
    """Request whose names were resolved.

    Attributes:
        context: As JSON, for the rows in the history.
        problems: Names that do not exist, or not together; the decision then has no items.
    """

    request: Request
    flow: DecisionFlow
    context: msgspec.Raw
    problems: Sequence[str] = ()


def name_customer(tenant_id: str, body: RecommendBody, address: str, user_agent: str) -> tuple[str, Sequence[str]]:
    """Return the customer of a body and warnings for the caller; an anonymous visitor gets an id."""
    if body.customer_id and not is_placeholder(body.customer_id):
        return body.customer_id, ()
    warnings = []
    if body.customer_id and body.customer_id != ANONYMOUS:
        warnings.append(f"customerId {explain_placeholder(body.customer_id)}; the visitor is taken for anonymous")
    session_id = body.session_id or ""
    if not (session_id or address):
        warnings.append(_ONE_OFF)
    return anonymous_id(tenant_id, session_id, address, user_agent), warnings


def resolve_body(
    body: RecommendBody, customer_id: str, catalogue: Catalogue, flow: DecisionFlow | None = None
) -> ResolvedRequest:
    """Resolve the names of a body by the catalogue.

    Args:
        body: Of the request.
        customer_id: Id of the customer.
        catalogue: In which its names are found.
        flow: To be run instead of the one it names.

    Raises:
        ApiError: 400 with every fault; 404 for a flow that does not exist or is not published.
    """
    context = _check_free_form(body)
    channel_id, channel_type, problems = _find_channel(body, catalogue)
    request = Request(
        customer_id=customer_id,
        channel_id=channel_id,
        channel_type=channel_type,
        placement_id=body.placement,
        limit=body.limit,
        placements=[_placement(wanted, catalogue) for wanted in body.placements],
        deduplicate=body.deduplicate,
        attributes={name: value for name, value in body.attributes.items() if name != "propensityScores"},
        context={**body.context, **_extras(body)},
        segments=frozenset(body.segments),
        excluded_offers=frozenset(body.exclude_offers),
        excluded_creatives=frozenset(body.exclude_creatives),
        propensities=_propensities(body.attributes),
        levers=body.levers,
    )
    resolved = resolve_request(catalogue, request)
    return ResolvedRequest(
        request=resolved.request,
        flow=flow or _find_flow(body.decision_flow_key, resolved.request, catalogue),
        context=context,
        problems=(*problems, *resolved.problems),
    )


def _check_free_form(body: RecommendBody) -> msgspec.Raw:
    """Check free-form fields, which are stored as they came; the context comes back as JSON."""
    faults: list[Fault] = []
    context = _encoded("context", body.context, MAX_CONTEXT_BYTES, faults)
    _encoded("attributes", body.attributes, MAX_ATTRIBUTES_BYTES, faults)
    if not faults:  # there may be too many to be looked at one by one
        faults += [Fault(field=path, message=BEYOND) for path in find_inexact(body.attributes, "attributes")]
    scores = body.attributes.get("propensityScores", {})
    if not isinstance(scores, Mapping) or not all(_is_score(score) for score in scores.values()):
        faults.append(Fault(field="attributes.propensityScores", message="must be numbers from 0 to 1 by offer id"))
    if faults:
        raise invalid(*faults)
    return msgspec.Raw(context) if body.context else NO_OBJECT


def _encoded(name: str, value: Mapping[str, Any], most: int, faults: list[Fault]) -> bytes:
    text = msgspec.json.encode(value)
    if len(text) > most:
        faults.append(Fault(field=name, message=f"holds {len(text):,} bytes; {most:,} are allowed"))
    return text


def _is_score(score: object) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1


def _propensities(attributes: Mapping[str, Any]) -> Mapping[str, float]:
    return {offer_id: float(score) for offer_id, score in attributes.get("propensityScores", {}).items()}


def _extras(body: RecommendBody) -> dict[str, Any]:
    """List fields that conditions name ``request.locale`` and the like."""
    named = {"locale": body.locale, "currency": body.currency, "sessionId": body.session_id}
    return {name: value for name, value in named.items() if value is not None}


def _find_flow(key: str | None, request: Request, catalogue: Catalogue) -> DecisionFlow:
    if key is not None and key not in catalogue.flows:
        key = next((flow.key for flow in catalogue.flows.values() if flow.id == key), key)
    flow = catalogue.choose_flow(key, _routed_channel(catalogue, request), request.placement_id)
    if flow is None:
        raise ApiError(404, f"There is no active, published decision flow {key!r}.")
    return flow


def _routed_channel(catalogue: Catalogue, request: Request) -> str | None:
    """Return the channel for routes: a type stands for its channel where there is one only."""
    if request.channel_id is not None or request.channel_type is None:
        return request.channel_id
    of_type = [one.id for one in catalogue.channels.values() if one.channel_type == request.channel_type]
    return of_type[0] if len(of_type) == 1 else None


def _find_channel(body: RecommendBody, catalogue: Catalogue) -> tuple[str | None, str | None, list[str]]:
    """Return the id and the type of the requested channel, and its faults."""
    named, channels = body.channel, catalogue.channels.values()
    if named is None or any(one.channel_type == named for one in channels):
        return body.channel_id, named, []
    matching = [one.id for one in channels if one.id == named or one.name.casefold() == named.casefold()]
    if len(matching) == 1 and body.channel_id in (None, matching[0]):
        return matching[0], None, []
    return body.channel_id, None, [f"there is no one active channel of type, id or name {named!r}"]


def _placement(wanted: WantedPlacement, catalogue: Catalogue) -> PlacementRequest:
    """Resolve a placement; by default it takes as many offers as it has slots."""
    limit = wanted.limit
    if limit is None:
        named = (one for one in catalogue.placements.values() if wanted.placement in (one.id, one.key))
        limit = max((one.max_slots for one in named), default=1)
    return PlacementRequest(placement_id=wanted.placement, channel_id=wanted.channel_id, limit=min(limit, MAX_LIMIT))
