"""Positions in the log, as clients see them: ``2:1042`` is offset 1042 of partition 2; several are joined by commas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.http.errors import invalid
from rapport.domain.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PARTITIONS: Final = 1_000


def format_position(offsets: Mapping[int, int]) -> str:
    """Write the last offset per partition."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(offsets.items()))


def parse_position(text: str) -> dict[int, int]:
    """Read what :func:`format_position` wrote; of a partition named twice the higher offset counts.

    Raises:
        ApiError: 400; the text is no position.
    """
    parts = text.split(",")
    if len(parts) > MAX_PARTITIONS:
        raise invalid(Fault(field="X-Min-Position", message=f"names more than {MAX_PARTITIONS} partitions"))
    offsets: dict[int, int] = {}
    for part in parts:
        partition, colon, offset = part.strip().partition(":")
        if not (colon and _is_number(partition) and _is_number(offset)):
            raise invalid(Fault(field="X-Min-Position", message=f"{part!r} is not partition:offset, as in 2:1042"))
        offsets[int(partition)] = max(int(offset), offsets.get(int(partition), 0))
    return offsets


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
