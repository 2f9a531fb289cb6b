"""What is known of customers beyond their contacts. The one place that decisions learn it from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from zoneinfo import available_timezones


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCustomer:
    """A customer.

    Attributes:
        attributes: What formulas and conditions call ``customer.*``.
        segments: Ids or names.
        time_zone: IANA name, where it is known.
        has_consent: Whether the customer may be contacted.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    segments: frozenset[str] = frozenset()
    time_zone: str | None = None
    has_consent: bool = True


class CustomerSource:
    """Knows customers by what requests say of them.

    ``customer.*`` is what a request's ``attributes`` say; ``timeZone`` among them is the customer's time zone.
    """

    async def load(self, tenant_id: str, customer_id: str, given: Mapping[str, Any]) -> KnownCustomer:  # noqa: ARG002 - whose tables hold more will need them
        """One customer.

        Args:
            tenant_id: Whose.
            customer_id: Who.
            given: The attributes of the request.
        """
        zone = given.get("timeZone")
        return KnownCustomer(attributes=given, time_zone=zone if zone in _zones() else None)


@cache
def _zones() -> frozenset[object]:
    return frozenset(available_timezones())
