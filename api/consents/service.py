"""Reads and records consents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from api.auth.principal import author_of
from api.consents.schemas import ConsentsView, StatementBody, build_view
from api.http.errors import invalid
from api.http.parameters import read_instant
from rapport.domain.faults import Fault
from rapport.domain.placeholders import explain_placeholder
from rapport.domain.profiles.consent import ConsentSource, ConsentStatement, read_statuses, resolve_consent
from rapport.storage.consents import CustomerStatement, load_consents, load_statements, record_consents
from rapport.storage.customers import find_customer

if TYPE_CHECKING:
    from api.auth.principal import Principal
    from api.http.times import Clock
    from api.runtime.tenant_cache import TenantCache
    from rapport.domain.tenants import TenantSettings
    from rapport.storage.client import Store
    from rapport.storage.consents import RecordedStatement
    from rapport.storage.database import Database

CLOCK_SKEW_MS: Final = 60_000
"""So far ahead of ours the clocks of clients may be."""
OTHER_NAMES: Final = {"thirdParty": "third_party"}


class ConsentService:
    """Consents of every tenant's customers.

    Args:
        max_body_bytes: Of a body with many statements.
    """

    def __init__(self, database: Database, tenants: TenantCache, clock: Clock, max_body_bytes: int) -> None:
        self._database = database
        self._tenants = tenants
        self.clock = clock
        self.max_body_bytes = max_body_bytes

    async def load(self, tenant_id: str, customer_id: str) -> ConsentsView:
        """Load the consents of a customer, and what the customer may be contacted for by them."""
        tenant = await self._tenants.get(tenant_id)
        return await self._database.call(_read, tenant.tenant_id, tenant.settings, customer_id)

    async def load_statements(self, tenant_id: str, customer_id: str) -> Sequence[RecordedStatement]:
        """Load everything a customer has said, the latest first; a thousand statements."""
        return await self._database.call(load_statements, tenant_id, customer_id)

    async def record(self, principal: Principal, customer_id: str, given: Sequence[StatementBody]) -> None:
        """Record statements of one customer. One made now counts, even if a later time was recorded before.

        Raises:
            ApiError: 400 with every fault.
        """
        now_ms, faults = self.clock(), list[Fault]()
        if not 1 <= len(customer_id) <= 256:
            faults.append(Fault(field="customerId", message="must have 1 to 256 characters"))
        elif nobody := explain_placeholder(customer_id):
            faults.append(Fault(field="customerId", message=nobody))
        statements = []
        for number, one in enumerate(given):
            statement = read_statement(one, ConsentSource.API, now_ms, f"consents[{number}].", faults)
            if statement:
                statements.append((one.stated_at is None, statement))
        if faults:
            raise invalid(*faults)
        known = await self._database.call(load_consents, principal.tenant_id, [customer_id])
        latest_ms = {one.purpose: one.stated_at_ms for one in known.get(customer_id, [])}
        rows = [
            CustomerStatement(customer_id, _after(one, latest_ms.get(one.purpose, 0)) if is_now else one)
            for is_now, one in statements
        ]
        await self.import_statements(principal, rows)

    async def import_statements(self, principal: Principal, rows: Sequence[CustomerStatement]) -> None:
        """Record statements of many customers; of those about a purpose the latest counts."""
        await self._database.call(record_consents, principal.tenant_id, author_of(principal), rows)


def read_statement(
    given: StatementBody, source: ConsentSource, now_ms: int, path: str, faults: list[Fault]
) -> ConsentStatement | None:
    """Read a statement; None for a faulty one, whose faults are added to the list.

    Args:
        given: Body of the statement.
        source: Where it comes from, unless it says that.
        now_ms: Time of the statement, unless it has one.
        path: Of its fields.
        faults: Are added to.
    """
    at_ms = now_ms if given.stated_at is None else read_instant(f"{path}statedAt", given.stated_at, faults)
    if at_ms is None:
        return None
    if at_ms > now_ms + CLOCK_SKEW_MS:
        faults.append(Fault(field=f"{path}statedAt", message="must not lie in the future"))
        return None
    return ConsentStatement(
        purpose=OTHER_NAMES.get(given.purpose, given.purpose),
        status=given.status,
        source=given.source or source,
        stated_at_ms=at_ms,
    )


def _after(statement: ConsentStatement, latest_ms: int) -> ConsentStatement:
    """Return the statement, later than any before it."""
    return ConsentStatement(
        purpose=statement.purpose,
        status=statement.status,
        source=statement.source,
        stated_at_ms=max(statement.stated_at_ms, latest_ms + 1),
    )


def _read(store: Store, tenant_id: str, settings: TenantSettings, customer_id: str) -> ConsentsView:
    consents = load_consents(store, tenant_id, [customer_id]).get(customer_id, [])
    customer = find_customer(store, tenant_id, customer_id)
    attributes = customer.attributes if customer else {}
    falls_back = not consents and not settings.is_consent_record_canonical
    return ConsentsView(
        customer_id=customer_id,
        consents=[build_view(one) for one in consents],
        allowed=resolve_consent({one.purpose: one.status for one in consents}, attributes, settings),
        based_on="records" if consents else "attributes" if falls_back and read_statuses(attributes) else "setting",
    )
