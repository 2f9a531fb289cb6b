"""API keys on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from api.http.bodies import Body
from rapport.domain.api_keys import SCOPES, Role

WARNING: Final = "Store this key now: it is not kept and cannot be shown again."


class NewKey(Body, frozen=True):
    """Key to be made.

    Attributes:
        name: For people; ``key-`` and the time if not given.
        role: Role of the key.
        expires_at: ISO 8601, up to 2100-01-01; from then on it is refused.
        scopes: Where it may be used, such as respond; empty for everywhere. A key that is limited itself makes only
            keys with the same limits, or narrower ones.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"name": "web shop", "role": "editor", "scopes": ["respond"]}

    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    role: Role = Role.VIEWER
    expires_at: str | None = None
    scopes: Annotated[Sequence[str], msgspec.Meta(max_length=len(SCOPES))] = ()


class KeyView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """API key in a list: its prefix, without the rest."""

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
