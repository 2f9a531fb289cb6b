"""Cursors of pages of summaries: opaque text for clients."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

import msgspec

from rapport.storage.summaries import SummaryKey


def encode_cursor(key: SummaryKey) -> str:
    """Write the last row of a page."""
    return urlsafe_b64encode(msgspec.json.encode(tuple(key))).decode().rstrip("=")


def decode_cursor(text: str) -> SummaryKey | None:
    """Read what :func:`encode_cursor` wrote; None for anything else."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return SummaryKey(*msgspec.json.decode(raw, type=tuple[str, str, str, str, str, str]))
    except (Error, ValueError, msgspec.DecodeError):
        return None
