"""Changes of customers: each is decided on the customer as it is when the change is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from api.auth.principal import author_of
from api.http.errors import ApiError, invalid
from rapport.domain.catalogue.customer_schema import CustomerSchema
from rapport.domain.customers.customer import Customer
from rapport.domain.faults import Fault
from rapport.domain.profiles.attributes import Attributes, AttributeSchema, complete, find_id_fault
from rapport.storage.customer_upserts import FaultyRowsError, UpsertOptions, UpsertResult, upsert_rows
from rapport.storage.customers import CurrentCustomers, change_customers, find_customer, load_history
from rapport.storage.schema_rows import read_schema_rows, read_stats

if TYPE_CHECKING:
    from api.auth.principal import Principal
    from api.runtime.catalogue_cache import CompiledCatalogues
    from rapport.domain.profiles.rows import CustomerRow
    from rapport.storage.client import Store
    from rapport.storage.database import Database
    from rapport.storage.schema_rows import FieldStats, SchemaRow


class CustomerChange(NamedTuple):
    """Change of one customer.

    Attributes:
        replaces: Whether ``given`` replaces all attributes, or changes some.
        expected: The version that the change builds upon; None for any.
    """

    customer_id: str
    given: Attributes
    replaces: bool
    expected: int | None


class CustomerService:
    """Customers of every tenant.

    Args:
        max_body_bytes: Of a body with many customers.
    """

    def __init__(self, database: Database, catalogues: CompiledCatalogues, max_body_bytes: int) -> None:
        self._database = database
        self._catalogues = catalogues
        self.max_body_bytes = max_body_bytes

    async def find(self, tenant_id: str, customer_id: str) -> Customer:
        """Load a customer.

        Raises:
            ApiError: 404; there is none, or the customer has ended.
        """
        found = await self._database.call(find_customer, tenant_id, customer_id)
        if found is None:
            raise unknown(customer_id)
        return found

    async def load_versions(
        self, tenant_id: str, customer_id: str, *, before_version: int, limit: int
    ) -> tuple[Sequence[Customer], int]:
        """Load versions of a customer, the newest first, and count all of them.

        Raises:
            ApiError: 404; there never was such a customer.
        """
        versions, total = await self._database.call(
            load_history, tenant_id, customer_id, before_version=before_version, limit=limit
        )
        if not total:
            raise unknown(customer_id)
        return versions, total

    async def save(self, principal: Principal, wanted: CustomerChange) -> tuple[Customer, bool]:
        """Replace or change a customer; see :func:`save`."""
        return await self._database.call(save, principal, await self.load_form(principal.tenant_id), wanted)

    async def end(self, principal: Principal, customer_id: str, expected: int | None) -> None:
        """End a customer; see :func:`end`."""
        await self._database.call(end, principal, customer_id, expected)

    async def load_form(self, tenant_id: str) -> AttributeSchema:
        """Return the rules that the tenant's schemas have for customers now."""
        return AttributeSchema.from_schemas(await self.load_schemas(tenant_id))

    async def load_schemas(self, tenant_id: str) -> Sequence[CustomerSchema]:
        """Load the tenant's schemas as they are now, active or not."""
        stored = await self._catalogues.refresh(tenant_id)
        return [one for one in stored.entities.get("customer_schema", ()) if isinstance(one, CustomerSchema)]

    async def store_rows(
        self, principal: Principal, form: AttributeSchema, rows: Sequence[CustomerRow], way: UpsertOptions
    ) -> UpsertResult:
        """Store rows of many customers.

        Raises:
            ApiError: 400; all or nothing was wanted, and something is wrong.
        """
        author = author_of(principal)
        try:
            return await self._database.call(upsert_rows, principal.tenant_id, author, form, rows, way)
        except FaultyRowsError as error:
            faults = (fault.at(index) for index, of_row in error.faults.items() for fault in of_row)
            raise invalid(*faults) from error

    async def list_rows(
        self, tenant_id: str, schema: CustomerSchema, *, limit: int, offset: int
    ) -> tuple[Sequence[SchemaRow], int]:
        """List customers who have at least one of a schema's attributes, by id, and count all of them."""
        names = [one.name for one in schema.fields]
        return await self._database.call(read_schema_rows, tenant_id, names, limit=limit, offset=offset)

    async def read_stats(self, tenant_id: str, schema: CustomerSchema) -> Mapping[str, FieldStats]:
        """Work out statistics of a schema's attributes, by name."""
        return await self._database.call(read_stats, tenant_id, [one.name for one in schema.fields])


def save(store: Store, principal: Principal, form: AttributeSchema, wanted: CustomerChange) -> tuple[Customer, bool]:
    """Replace or change a customer.

    Returns:
        The customer, and whether it is new. Where there is nothing to change it is as it was.

    Raises:
        ApiError: 400 with every fault, 404 for a change of an unknown customer, 409 if the version is not the newest.
    """
    customer_id = wanted.customer_id
    if fault := find_id_fault(customer_id):
        raise invalid(Fault(field="customerId", message=fault))
    known: Customer | None = None

    def decide(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
        nonlocal known
        known = _living(before[customer_id])
        if known is None and not wanted.replaces:
            raise unknown(customer_id)
        _expect(known, wanted.expected)
        attributes = complete(form, wanted.given, None if wanted.replaces or known is None else known.attributes)
        if isinstance(attributes, list):
            raise invalid(*attributes)
        return {customer_id: attributes}

    made = change_customers(store, principal.tenant_id, author_of(principal), [customer_id], decide)
    if known is not None and customer_id not in made:
        return known, False
    version = made[customer_id]
    (stored,), _ = load_history(store, principal.tenant_id, customer_id, before_version=version + 1, limit=1)
    return stored, known is None


def end(store: Store, principal: Principal, customer_id: str, expected: int | None) -> None:
    """End a customer; the versions stay.

    Raises:
        ApiError: 404, or 409 if the version is not the newest.
    """

    def decide(before: CurrentCustomers) -> Mapping[str, Attributes | None]:
        known = _living(before[customer_id])
        if known is None:
            raise unknown(customer_id)
        _expect(known, expected)
        return {customer_id: None}

    change_customers(store, principal.tenant_id, author_of(principal), [customer_id], decide)


def etag_of(customer: Customer) -> str:
    """Return the version as an ETag."""
    return f'"{customer.version}"'


def unknown(customer_id: str) -> ApiError:
    """Make the answer for a customer who does not exist."""
    return ApiError(404, f"There is no customer {customer_id[:256]!r}.")


def _living(known: Customer | None) -> Customer | None:
    return None if known is None or known.is_deleted else known


def _expect(known: Customer | None, expected: int | None) -> None:
    version = known.version if known else 0
    if expected is not None and expected != version:
        raise ApiError(
            409,
            f"The customer has changed since: the version is {version} now. Read it and change it again.",
            details=[Fault(field="version", message=f"is {version} now, not {expected}")],
            headers={"ETag": f'"{version}"'},
        )
