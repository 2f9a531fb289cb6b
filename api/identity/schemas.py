"""Bodies and answers of requests about identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from api.http.bodies import Body

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Confidence = Annotated[float, msgspec.Meta(ge=0, le=1)]
Action = Literal["resolve", "link", "merge", "unmerge"]


class GivenIdentifier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Identifier with its type: email, phone, device … `customer_id` is an id itself."""

    type: Name
    value: Name


class IdentityBody(Body, frozen=True):
    """Action on identities; the fields it needs depend on the action.

    Attributes:
        identifier: Of `resolve`: whose is it?
        canonical_id: Of `link`: whose the identifiers are.
        identifiers: Of `link`; up to 100.
        confidence: Of `link`: that they are the customer's.
        source_id: Of `merge` and `unmerge`: who is the same person as the target.
        target_id: Of `merge`, and of `unmerge` where it is needed to tell merges apart.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"action": "merge", "sourceId": "web-7", "targetId": "CUST001"}

    action: Action
    identifier: GivenIdentifier | None = None
    canonical_id: Name | None = None
    identifiers: Annotated[Sequence[GivenIdentifier], msgspec.Meta(max_length=100)] = ()
    confidence: Confidence = 1.0
    source_id: Name | None = None
    target_id: Name | None = None


class IdentityAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`resolve` answers canonicalId, the others success; `merge` also the id of the merge."""

    canonical_id: str | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    merge_id: str | UnsetType = UNSET


class IdentifierView(msgspec.Struct, frozen=True, kw_only=True):
    """Identifier of a person."""

    type: str
    value: str
    confidence: float


class ClusterView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One person: the id that stands for it, and all its names."""

    canonical_id: str
    identifiers: Sequence[IdentifierView]


class IdentityView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Identity of a customer."""

    customer_id: str
    cluster: ClusterView


EXAMPLE: Final[Mapping[str, object]] = {
    "customerId": "web-7",
    "cluster": {
        "canonicalId": "CUST001",
        "identifiers": [
            {"type": "customer_id", "value": "CUST001", "confidence": 1.0},
            {"type": "customer_id", "value": "web-7", "confidence": 1.0},
            {"type": "email", "value": "ann@example.com", "confidence": 0.95},
        ],
    },
}
