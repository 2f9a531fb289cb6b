"""Whether a customer may be contacted, and how: by what was recorded, else by what the customer's attributes say.

As soon as there is any record of a customer, records alone count. Without any, attributes named ``consent_marketing``,
``consent_email`` … do, unless the tenant wants records only. A purpose that neither says anything about is decided by
the tenant: by default contact is allowed, and where consent is required it is not.
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
"""Those that mean something here; a tenant's own are kept and change nothing."""
PURPOSE_OF_CHANNEL: Final[Mapping[str, Purpose]] = {
    "email": "email",
    "sms": "sms",
    "push": "push",
    "whatsapp": "phone",
}
"""What a type of channel needs besides marketing; other types need no more."""
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
"""The texts that are consent in an attribute, as files and older systems write them; every other one is none."""
_OTHER_NAMES: Final = {"thirdparty": "third_party"}


class ConsentStatus(StrEnum):
    """What a customer has said; a pending consent is none yet."""

    GRANTED = "granted"
    PENDING = "pending"
    REVOKED = "revoked"


class ConsentSource(StrEnum):
    """Where a statement comes from."""

    MANUAL = "manual"
    API = "api"
    IMPORT = "import"
    BACKFILL = "backfill"


class ConsentStatement(msgspec.Struct, frozen=True, kw_only=True):
    """From a time on, a customer has or has not consented.

    Attributes:
        stated_at_ms: Since when it holds, epoch milliseconds.
    """

    purpose: Purpose
    status: ConsentStatus
    source: ConsentSource = ConsentSource.API
    stated_at_ms: int


def pick_later(one: ConsentStatement, other: ConsentStatement) -> ConsentStatement:
    """Which of two statements about one purpose counts: the later, and at the same time the stricter."""
    return max(one, other, key=lambda statement: (statement.stated_at_ms, _STRICTNESS[statement.status]))


def resolve_consent(
    recorded: Mapping[Purpose, ConsentStatus], attributes: Mapping[str, Any], settings: TenantSettings
) -> Mapping[Purpose, bool]:
    """Which purposes a customer may be contacted for.

    Args:
        recorded: The status of each purpose that there is a record of, known or not.
        attributes: Of the customer.
        settings: Of the tenant.
    """
    if recorded or settings.is_consent_record_canonical:
        said = {purpose: status is ConsentStatus.GRANTED for purpose, status in recorded.items()}
    else:
        said = {purpose: status is ConsentStatus.GRANTED for purpose, status in read_statuses(attributes).items()}
    return {purpose: said.get(purpose, not settings.requires_consent) for purpose in PURPOSES}


def read_statuses(attributes: Mapping[str, Any]) -> Mapping[Purpose, ConsentStatus]:
    """What attributes say of consent, where nothing is recorded: of several about one purpose, the strictest."""
    said: dict[Purpose, ConsentStatus] = {}
    for name, value in attributes.items():
        folded = name.casefold()
        if value is None or not folded.startswith(ATTRIBUTE_PREFIX):
            continue
        purpose = folded.removeprefix(ATTRIBUTE_PREFIX)
        purpose = _OTHER_NAMES.get(purpose, purpose)
        if purpose in PURPOSES:
            status = ConsentStatus.GRANTED if _is_consent(value) else ConsentStatus.REVOKED
            said[purpose] = pick_stricter(said.get(purpose, status), status)
    return said


def find_refusals(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes that refuse consent."""
    refused = (purpose for purpose, status in read_statuses(attributes).items() if status is ConsentStatus.REVOKED)
    return {ATTRIBUTE_PREFIX + purpose: attributes[ATTRIBUTE_PREFIX + purpose] for purpose in refused}


def pick_stricter(one: ConsentStatus, other: ConsentStatus) -> ConsentStatus:
    """Which of two statuses allows less."""
    return max(one, other, key=strictness_of)


def strictness_of(status: ConsentStatus) -> int:
    """How little a status allows; statuses sort by it."""
    return _STRICTNESS[status]


def find_withheld_purposes(
    recorded: Mapping[Purpose, ConsentStatus], attributes: Mapping[str, Any], settings: TenantSettings
) -> frozenset[Purpose]:
    """The purposes that :func:`resolve_consent` does not allow."""
    allowed = resolve_consent(recorded, attributes, settings)
    return frozenset(purpose for purpose, is_allowed in allowed.items() if not is_allowed)


def find_missing_purpose(channel_type: str | None, withheld_purposes: frozenset[Purpose]) -> Purpose | None:
    """The purpose for which consent is missing to contact somebody on a type of channel; None if none is.

    Where the type is not known the contact may come by any channel, so that it needs the consent of all.
    """
    if MARKETING in withheld_purposes:
        return MARKETING
    if channel_type is None:
        return next((purpose for purpose in PURPOSE_OF_CHANNEL.values() if purpose in withheld_purposes), None)
    needed = PURPOSE_OF_CHANNEL.get(channel_type)
    return needed if needed in withheld_purposes else None


def _is_consent(value: object) -> bool:
    """Whether a value of an attribute is consent: true, 1, or a text that says so in one of the words for it."""
    if isinstance(value, str):
        return value.strip().casefold().replace("-", "_").replace(" ", "_") in GRANTING_WORDS
    return isinstance(value, bool | int | float) and value == 1


_STRICTNESS: Final = {ConsentStatus.GRANTED: 0, ConsentStatus.PENDING: 1, ConsentStatus.REVOKED: 2}
