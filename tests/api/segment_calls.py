"""Requests about segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapport.storage.catalogue_changes import Author
from rapport.storage.customers import change_customers

if TYPE_CHECKING:
    from tests.fixtures.api import Caller


def keep(caller: Caller, **customers: dict[str, Any] | None) -> None:
    """Have the tenant keep attributes of customers."""
    change_customers(caller.store, caller.tenant_id, Author("tests"), customers, lambda _: dict(customers))


def define(caller: Caller, segment_id: str, *filters: dict[str, Any], **fields: Any) -> None:
    answer = caller.post("/segments", {"id": segment_id, "name": segment_id.title(), "filters": filters, **fields})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["customerCount"], answer.json()["lastRefreshedAt"]) == (None, None)


def tier(*wanted: str) -> dict[str, Any]:
    return {"field": "customer.tier", "operator": "in", "value": wanted}


def members(caller: Caller, segment_id: str, **parameters: Any) -> dict[str, str]:
    page = caller.read(f"/segments/{segment_id}/members", params=parameters)
    return {one["customerId"]: one["memberSince"] for one in page["data"]}
