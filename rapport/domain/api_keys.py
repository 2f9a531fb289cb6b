"""API keys: format, hashing, roles and scopes."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

KEY_PREFIX: Final = "krn_"
KEY_LENGTH: Final = len(KEY_PREFIX) + 40
SHOWN_LENGTH: Final = 12
"""Characters of a key that are stored in the clear, to tell keys apart."""
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
"""Areas that a key may be limited to; each route belongs to one."""
MAX_EXPIRY_MS: Final = 4_102_444_800_000
"""2100-01-01: a later expiry is a typing error, and times beyond the year 9999 cannot be stored."""


class Role(StrEnum):
    """Permission of a key; each role includes the ones before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Say whether this role includes another."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Stored API key, without the key itself.

    Attributes:
        key_hash: :func:`hash_key` of the key.
        prefix: First characters of the key.
        scopes: Areas in which it may be used; empty for all.
        expires_at_ms: End of its validity, exclusive; None for never.
        revoked_at_ms: Time of revocation; None while it is valid.
        last_used_at_ms: None if it never was used.
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
        """Say whether a hash is this key's, and the key valid now; takes the same time for any wrong hash."""
        is_same = hmac.compare_digest(self.key_hash, key_hash)
        has_expired = self.expires_at_ms is not None and self.expires_at_ms <= now_ms
        return is_same and not has_expired and self.revoked_at_ms is None


def hash_key(key: str, pepper: str) -> str:
    """Compute the HMAC-SHA256 of a key under the pepper, hexadecimal: the form that the database stores."""
    return hmac.digest(pepper.encode(), key.encode(), "sha256").hex()


def has_key_format(text: str) -> bool:
    """Say whether a text could be a key; other texts are refused without a query."""
    return len(text) == KEY_LENGTH and text.startswith(KEY_PREFIX) and text.isascii() and text[4:].isalnum()


def find_scope_fault(scopes: Collection[str]) -> str:
    """Return the fault of a new key's scopes; empty if there is none."""
    unknown = sorted(set(scopes) - set(SCOPES))
    return f"must be among {', '.join(SCOPES)}; {', '.join(map(repr, unknown))} would open nothing" if unknown else ""


def find_expiry_fault(expires_at_ms: int | None, now_ms: int) -> str:
    """Return the fault of a new key's expiry; empty if there is none, or if it never expires."""
    if expires_at_ms is None or now_ms < expires_at_ms <= MAX_EXPIRY_MS:
        return ""
    return "must be a time in the future, as 2027-01-31T00:00:00Z, and not after 2100-01-01; without one a key stays"
