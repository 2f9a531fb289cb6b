"""API keys on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from api.bodies import Body
from rapport.domain.api_keys import MAX_SCOPE_LENGTH, MAX_SCOPES, Role

WARNING: Final = "Store this key now: it is not kept and cannot be shown again."
Scope = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SCOPE_LENGTH)]


class NewKey(Body, frozen=True):
    """What a key is to be.

    Attributes:
        name: For people; ``key-`` and the time if not given.
        role: What it may do.
        expires_at: ISO 8601; from then on it is refused.
        scopes: Where it may be used; empty for everywhere.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"name": "web shop", "role": "editor", "scopes": ["respond"]}

    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    role: Role = Role.VIEWER
    expires_at: str | None = None
    scopes: Annotated[Sequence[Scope], msgspec.Meta(max_length=MAX_SCOPES)] = ()


class KeyView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as it is listed: how it begins, not what it is."""

    id: str
    name: str
    prefix: str
    role: Role
    scopes: Sequence[str]
    expires_at: str | None
    last_used_at: str | None
    created_at: str


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a tenant that were not revoked."""

    data: Sequence[KeyView]
    total: int


class CreatedKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that was just made; ``key`` is shown this once."""

    id: str
    name: str
    key: str
    prefix: str
    role: Role
    scopes: Sequence[str]
    expires_at: str | None
    created_at: str
    warning: str = WARNING
