"""API keys: what they look like, how they are recognised, what they may do."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

KEY_PREFIX: Final = "krn_"
KEY_LENGTH: Final = len(KEY_PREFIX) + 40
SHOWN_LENGTH: Final = 12
"""How much of a key is kept in the clear, to tell keys apart."""
SCOPES: Final = (
    "api-keys",
    "audit",
    "catalogue",
    "contact-profiles",
    "customers",
    "experiments",
    "history",
    "interactions",
    "jobs",
    "journeys",
    "metrics",
    "outcome-types",
    "privacy",
    "recommend",
    "respond",
    "segments",
    "summaries",
    "traces",
)
"""The areas that a key may be limited to; each route belongs to one."""
MAX_EXPIRY_MS: Final = 4_102_444_800_000
"""2100-01-01: what is later is a mistake, and times beyond the year 9999 cannot be written."""


class Role(StrEnum):
    """What a key may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether this role may do what another may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored: without the key itself.

    Attributes:
        key_hash: :func:`hash_key` of it.
        prefix: How it begins.
        scopes: Where it may be used; empty for everywhere.
        expires_at_ms: From then on it is refused; None for never.
        revoked_at_ms: Likewise; None while it is valid.
        last_used_at_ms: None if it never was.
    """

    key_id: str
    tenant_id: str
    name: str
    key_hash: str
    prefix: str
    role: Role
    scopes: tuple[str, ...]
    expires_at_ms: int | None
    created_at_ms: int
    revoked_at_ms: int | None = None
    last_used_at_ms: int | None = None

    def is_valid(self, key_hash: str, now_ms: int) -> bool:
        """Whether a key with this hash is this one, and may be used now. Takes the same time for any wrong hash."""
        is_same = hmac.compare_digest(self.key_hash, key_hash)
        has_expired = self.expires_at_ms is not None and self.expires_at_ms <= now_ms
        return is_same and not has_expired and self.revoked_at_ms is None


def hash_key(key: str, pepper: str) -> str:
    """HMAC-SHA256 of a key under the pepper, hexadecimal: what the database may know."""
    return hmac.digest(pepper.encode(), key.encode(), "sha256").hex()


def has_key_format(text: str) -> bool:
    """Whether a text could be a key at all; what could not is refused without asking the database."""
    return len(text) == KEY_LENGTH and text.startswith(KEY_PREFIX) and text.isascii() and text[4:].isalnum()


def find_scope_fault(scopes: Collection[str]) -> str:
    """Say what is wrong with the scopes of a key that is to be made; empty if nothing is."""
    unknown = sorted(set(scopes) - set(SCOPES))
    return f"must be among {', '.join(SCOPES)}; {', '.join(map(repr, unknown))} would open nothing" if unknown else ""


def find_expiry_fault(expires_at_ms: int | None, now_ms: int) -> str:
    """Say what is wrong with the expiry of a key that is to be made; empty if nothing is, or if it has none."""
    if expires_at_ms is None or now_ms < expires_at_ms <= MAX_EXPIRY_MS:
        return ""
    return "must be a time in the future, as 2027-01-31T00:00:00Z, and not after 2100-01-01; without one a key stays"
