"""Resolution of the names in a request to the catalogue's ids: placements by id or key, channels by id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rapport.domain.catalogue.inventory import Placement
    from rapport.domain.decisions.candidates import PlacementRequest, Request
    from rapport.domain.decisions.catalogue import Catalogue


class ResolvedRequest(NamedTuple):
    """Request in which placements and channels are given by their ids.

    Attributes:
        problems: Names that do not exist, or not in this combination. A request with problems must not be decided.
    """

    request: Request
    problems: tuple[str, ...] = ()


def resolve_request(catalogue: Catalogue, request: Request) -> ResolvedRequest:
    """Replace keys of placements by their ids, and fill in the channels of placements.

    Only active channels and placements can be named. A placement's key that exists on several channels means the one on
    the requested channel, else the one with the smallest id.
    """
    problems: list[str] = []
    if request.channel_id is not None and request.channel_id not in catalogue.channels:
        problems.append(f"there is no active channel {request.channel_id!r}")
    channel_id = request.channel_id
    if request.placement_id is not None:
        placement = _find_placement(catalogue, request.placement_id, request.channel_id, request.channel_type, problems)
        if placement is not None:
            request, channel_id = replace(request, placement_id=placement.id), placement.channel_id
    placements = [_resolve_placement(catalogue, request, wanted, problems) for wanted in request.placements]
    return ResolvedRequest(replace(request, channel_id=channel_id, placements=placements), tuple(problems))


def _resolve_placement(
    catalogue: Catalogue, request: Request, wanted: PlacementRequest, problems: list[str]
) -> PlacementRequest:
    channel_id = wanted.channel_id or request.channel_id
    placement = _find_placement(catalogue, wanted.placement_id, channel_id, request.channel_type, problems)
    return replace(wanted, placement_id=placement.id, channel_id=placement.channel_id) if placement else wanted


def _find_placement(
    catalogue: Catalogue, name: str, channel_id: str | None, channel_type: str | None, problems: list[str]
) -> Placement | None:
    for placement in _list_placements(catalogue, name):
        channel = catalogue.channels.get(placement.channel_id)
        if channel is None or (channel_id is not None and channel.id != channel_id):
            continue
        if channel_type is None or channel.channel_type == channel_type:
            return placement
    where = (
        f" on channel {channel_id!r}"
        if channel_id
        else f" on a channel of type {channel_type!r}"
        if channel_type
        else ""
    )
    problems.append(f"there is no active placement {name!r}{where}")
    return None


def _list_placements(catalogue: Catalogue, name: str) -> Iterator[Placement]:
    if name in catalogue.placements:
        yield catalogue.placements[name]
    with_key = (placement for placement in catalogue.placements.values() if placement.key == name)
    yield from sorted(with_key, key=lambda placement: placement.id)
