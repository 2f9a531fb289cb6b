"""What a request names, found in the catalogue: placements by id or key, channels by id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rapport.domain.catalogue.inventory import Placement
    from rapport.domain.decisions.candidates import PlacementRequest, Request
    from rapport.domain.decisions.catalogue import Catalogue


class ResolvedRequest(NamedTuple):
    """A request by ids.

    Attributes:
        problems: What it names and what does not exist, or not together; such a request must not be decided.
    """

    request: Request
    problems: tuple[str, ...] = ()


def resolve_request(catalogue: Catalogue, request: Request) -> ResolvedRequest:
    """Replace keys of placements by their ids, and fill in the channels of placements.

    Args:
        catalogue: Only active channels and placements can be named.
        request: Placements are named by id or by key; a key that several channels have means the one on the channel
            that is asked for, else the one with the smallest id.
    """
    problems: list[str] = []
    if request.channel_id is not None and request.channel_id not in catalogue.channels:
        problems.append(f"there is no active channel {request.channel_id!r}")
    channel_id = request.channel_id
    if request.placement_id is not None:
        found = _find_placement(catalogue, request.placement_id, request.channel_id, request.channel_type, problems)
        if found is not None:
            request, channel_id = replace(request, placement_id=found.id), found.channel_id
    placements = [_resolve_placement(catalogue, request, one, problems) for one in request.placements]
    return ResolvedRequest(replace(request, channel_id=channel_id, placements=placements), tuple(problems))


def _resolve_placement(
    catalogue: Catalogue, request: Request, wanted: PlacementRequest, problems: list[str]
) -> PlacementRequest:
    channel_id = wanted.channel_id or request.channel_id
    found = _find_placement(catalogue, wanted.placement_id, channel_id, request.channel_type, problems)
    return replace(wanted, placement_id=found.id, channel_id=found.channel_id) if found else wanted


def _find_placement(
    catalogue: Catalogue, name: str, channel_id: str | None, channel_type: str | None, problems: list[str]
) -> Placement | None:
    named = list(_list_placements(catalogue, name))
    for placement in named:
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
    yield from sorted((one for one in catalogue.placements.values() if one.key == name), key=lambda one: one.id)
