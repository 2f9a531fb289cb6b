"""What the tables say after the demo's events have been applied, and whether it is what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from rapport.datasets.totals import Totals
    from rapport.storage.client import Store

TOP_CUSTOMERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodTotals:
    """What the summaries of one period type add up to.

    Attributes:
        rows: Summaries: one per customer, period, offer, creative and channel.
        periods: Different period keys.
        contacts: Impressions and responses.
    """

    period_type: str
    rows: int
    customers: int
    periods: int
    contacts: int
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the demo shows.

    Attributes:
        events: Interactions in the history.
        customers: Different customers there.
        periods: By period type.
        top_customers: Rows of ``demo/top_customers``.
        example_id: One customer,
        example_rows: and the rows of ``demo/customer``.
    """

    events: int
    customers: int
    periods: Sequence[PeriodTotals]
    top_customers: Sequence[Mapping[str, Any]]
    example_id: str
    example_rows: Sequence[Mapping[str, Any]]


def read_findings(store: Store, tenant_id: str) -> Findings:
    """Read everything that the demo shows of a tenant.

    Raises:
        StorageError: The database does not answer.
    """
    tenant = {"tenant_id": tenant_id}
    accepted = store.rows("demo/accepted", tenant)[0]
    examples = store.rows("demo/example_customer", tenant)
    example_id = examples[0]["customer_id"] if examples else ""
    return Findings(
        events=accepted["events"],
        customers=accepted["customers"],
        periods=[PeriodTotals(**row) for row in store.rows("demo/periods", tenant)],
        top_customers=store.rows("demo/top_customers", tenant | {"limit": TOP_CUSTOMERS}),
        example_id=example_id,
        example_rows=store.rows("demo/customer", tenant | {"customer_id": example_id}),
    )


def find_faults(found: Findings, expected: Totals) -> list[str]:
    """Compare with what the data set holds, to the event and the cent.

    Returns:
        What is wrong, a sentence each; nothing if all is well.
    """
    checks: list[tuple[str, object, object]] = [
        ("accepted events", found.events, expected.events),
        ("customers in the history", found.customers, expected.customers),
        ("period types", [period.period_type for period in found.periods], ["daily", "weekly", "monthly", "alltime"]),
    ]
    for period in found.periods:
        checks += [
            (f"customers in {period.period_type} summaries", period.customers, expected.customers),
            (f"contacts in {period.period_type} summaries", period.contacts, expected.events),
            (f"total value in {period.period_type} summaries", period.value, expected.total_value),
        ]
    return [f"{what}: {is_value}, expected {should}" for what, is_value, should in checks if is_value != should]
