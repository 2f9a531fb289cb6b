"""Versions of what processes keep in memory of a tenant: a higher one means that it has changed."""

from __future__ import annotations

from typing import Final, Literal, get_args

VersionKind = Literal["catalogue", "keys", "merges"]
VERSION_KINDS: Final[tuple[VersionKind, ...]] = get_args(VersionKind)
