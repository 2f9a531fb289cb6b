"""Customers: their attributes, one by one, many at once, and as rows of a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.customers.bulk import CustomersController
from api.customers.controller import CustomerController
from api.customers.schema_data import SchemaDataController
from api.customers.service import CustomerService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_customers(runtime: Runtime) -> Area:
    """Build the area from the database and the catalogues of the process."""
    customers = CustomerService(runtime.database, runtime.catalogues, runtime.settings.api.max_bulk_bytes)
    return Area(
        controllers=[CustomerController, CustomersController, SchemaDataController],
        services={"customers": customers},
    )
