"""Findings of the demo: the tables' totals after its events were applied, compared with the data set."""

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
    """Totals of the summaries of one period type.

    Attributes:
        rows: Summaries: one per customer, period, offer, creative and channel.
        periods: Number of different period keys.
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
    """Contents of the tables that the demo shows.

    Attributes:
        events: Interactions in the history.
        customers: Number of different customers there.
        periods: Totals by period type.
        top_customers: Rows of ``demo/top_customers``.
        example_id: Customer of the example.
        example_rows: Rows of ``demo/customer`` for that customer.
    """

    events: int
    customers: int
    periods: Sequence[PeriodTotals]
    top_customers: Sequence[Mapping[str, Any]]
    example_id: str
    example_rows: Sequence[Mapping[str, Any]]


def read_findings(store: Store, tenant_id: str) -> Findings:
    """Read the tables' contents that the demo shows of a tenant.

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


def find_faults(findings: Findings, expected: Totals) -> list[str]:
    """Compare the findings with the data set, to the event and the cent.

    Returns:
        Deviations, a sentence each; empty if there are none.
    """
    checks: list[tuple[str, object, object]] = [
        ("accepted events", findings.events, expected.events),
        ("customers in the history", findings.customers, expected.customers),
        (
            "period types",
            [period.period_type for period in findings.periods],
            ["daily", "weekly", "monthly", "alltime"],
        ),
    ]
    for period in findings.periods:
        checks += [
            (f"customers in {period.period_type} summaries", period.customers, expected.customers),
            (f"contacts in {period.period_type} summaries", period.contacts, expected.events),
            (f"total value in {period.period_type} summaries", period.value, expected.total_value),
        ]
    return [f"{what}: {is_value}, expected {should}" for what, is_value, should in checks if is_value != should]
