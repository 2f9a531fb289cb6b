"""Resolve the consent of a customer: recorded statements first, else the customer's attributes.

As soon as there is any record of a customer, records alone count. Without any, attributes named ``consent_marketing``,
``consent_email`` … do, unless the tenant accepts records only. A purpose that neither states is decided by the tenant's
settings: by default contact is allowed, and where consent is required it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from rapport.domain.tenants import TenantSettings

Purpose: TypeAlias = str
MARKETING: Final = "marketing"
PURPOSES: Final = (MARKETING, "email", "sms", "push", "phone", "third_party")
"""Purposes with an effect; a tenant's own purposes are stored and change nothing."""
PURPOSE_OF_CHANNEL: Final[Mapping[str, Purpose]] = {
    "email": "email",
    "sms": "sms",
    "push": "push",
    "whatsapp": "phone",
}
"""Purpose that a channel type needs besides marketing; other types need none."""
ATTRIBUTE_PREFIX: Final = "consent_"
GRANTING_WORDS: Final = (
    "true",
    "t",
    "yes",
    "y",
    "1",
    "on",
    "granted",
    "given",
    "accepted",
    "agreed",
    "allowed",
    "consented",
    "opt_in",
    "opted_in",
    "subscribed",
)
"""Attribute texts that grant consent, as files and older systems write them; any other text refuses it."""
_OTHER_NAMES: Final = {"thirdparty": "third_party"}


class ConsentStatus(StrEnum):
    """Status of a consent; a pending one does not allow contact yet."""

    GRANTED = "granted"
    PENDING = "pending"
    REVOKED = "revoked"


class ConsentSource(StrEnum):
    """Origin of a consent statement."""

    MANUAL = "manual"
    API = "api"
    IMPORT = "import"
    BACKFILL = "backfill"


class ConsentStatement(msgspec.Struct, frozen=True, kw_only=True):
    """Statement that a customer consents, or does not, from a time on.

    Attributes:
        stated_at_ms: Start of its effect, epoch milliseconds.
    """

    purpose: Purpose
    status: ConsentStatus
    source: ConsentSource = ConsentSource.API
    stated_at_ms: int


def pick_later(first: ConsentStatement, second: ConsentStatement) -> ConsentStatement:
    """Return the later of two statements about one purpose; of two at the same time, the stricter."""
    return max(first, second, key=lambda statement: (statement.stated_at_ms, _STRICTNESS[statement.status]))


def resolve_consent(
    recorded: Mapping[Purpose, ConsentStatus], attributes: Mapping[str, Any], settings: TenantSettings
) -> Mapping[Purpose, bool]:
    """Decide for each purpose whether the customer may be contacted.

    Args:
        recorded: Recorded status by purpose, of the tenant's own purposes too.
        attributes: Attributes of the customer.
        settings: Settings of the tenant.
    """
    if recorded or settings.is_consent_record_canonical:
        allowed = {purpose: status is ConsentStatus.GRANTED for purpose, status in recorded.items()}
    else:
        allowed = {purpose: status is ConsentStatus.GRANTED for purpose, status in read_statuses(attributes).items()}
    return {purpose: allowed.get(purpose, not settings.requires_consent) for purpose in PURPOSES}


def read_statuses(attributes: Mapping[str, Any]) -> Mapping[Purpose, ConsentStatus]:
    """Read consent from attributes, used where nothing is recorded; the strictest of several about one purpose."""
    statuses: dict[Purpose, ConsentStatus] = {}
    for name, value in attributes.items():
        folded = name.casefold()
        if value is None or not folded.startswith(ATTRIBUTE_PREFIX):
            continue
        purpose = folded.removeprefix(ATTRIBUTE_PREFIX)
        purpose = _OTHER_NAMES.get(purpose, purpose)
        if purpose in PURPOSES:
            status = ConsentStatus.GRANTED if _is_granting(value) else ConsentStatus.REVOKED
            statuses[purpose] = pick_stricter(statuses.get(purpose, status), status)
    return statuses


def find_refusals(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes that refuse consent."""
    refused = (purpose for purpose, status in read_statuses(attributes).items() if status is ConsentStatus.REVOKED)
    return {ATTRIBUTE_PREFIX + purpose: attributes[ATTRIBUTE_PREFIX + purpose] for purpose in refused}


def pick_stricter(first: ConsentStatus, second: ConsentStatus) -> ConsentStatus:
    """Return the status that allows less."""
    return max(first, second, key=strictness_of)


def strictness_of(status: ConsentStatus) -> int:
    """Return the rank of a status; the stricter, the higher."""
    return _STRICTNESS[status]


def find_withheld_purposes(
    recorded: Mapping[Purpose, ConsentStatus], attributes: Mapping[str, Any], settings: TenantSettings
) -> frozenset[Purpose]:
    """Return the purposes that :func:`resolve_consent` does not allow."""
    allowed = resolve_consent(recorded, attributes, settings)
    return frozenset(purpose for purpose, is_allowed in allowed.items() if not is_allowed)


def find_missing_purpose(channel_type: str | None, withheld_purposes: frozenset[Purpose]) -> Purpose | None:
    """Return the purpose whose consent is missing for a contact by a channel type; None if none is.

    A contact by an unknown channel type may come by any channel, so that it needs the consent of all.
    """
    if MARKETING in withheld_purposes:
        return MARKETING
    if channel_type is None:
        return next((purpose for purpose in PURPOSE_OF_CHANNEL.values() if purpose in withheld_purposes), None)
    needed = PURPOSE_OF_CHANNEL.get(channel_type)
    return needed if needed in withheld_purposes else None


def _is_granting(value: object) -> bool:
    """Say whether an attribute's value grants consent: true, 1, or one of the granting words."""
    if isinstance(value, str):
        return value.strip().casefold().replace("-", "_").replace(" ", "_") in GRANTING_WORDS
    return isinstance(value, bool | int | float) and value == 1


_STRICTNESS: Final = {ConsentStatus.GRANTED: 0, ConsentStatus.PENDING: 1, ConsentStatus.REVOKED: 2}
