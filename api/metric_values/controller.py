"""``/api/v1/customers/{id}/metrics`` and ``/api/v1/behavioral-metrics/{key}/values``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from litestar import Controller, Request, get
from litestar.params import FromPath, QueryParameter

from api.auth.principal import Principal, requires
from api.consents.schemas import CustomerId
from api.http.errors import ApiError
from api.http.openapi_responses import answers
from api.http.times import iso
from api.metric_values.schemas import CustomerMetrics, MetricValue, MetricValues
from api.runtime.freshness import READS
from api.services import FromServices, Services
from rapport.domain.api_keys import Role
from rapport.storage.metrics import read_metrics

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition

MAX_CUSTOMERS: Final = 200
_OF_CUSTOMER: Final[Mapping[str, object]] = {
    "customerId": "cust_42",
    "values": {"clicks-30d": 7, "average-order": None},
    "computedAt": "2026-03-15T14:30:00.000Z",
}
_OF_METRIC: Final[Mapping[str, object]] = {
    "id": "met_clicks",
    "key": "clicks-30d",
    "data": [{"customerId": "cust_42", "value": 7}],
    "computedAt": "2026-03-15T14:30:00.000Z",
}


class MetricValueController(Controller):
    """Numbers per customer, worked out of the history when they are asked for."""

    tags = ["Behavioral metrics"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "metrics", READS: True}

    @get(
        "/customers/{customer_id:str}/metrics",
        summary="Read a customer's behavioral metrics",
        responses=answers(200, CustomerMetrics, _OF_CUSTOMER, 400, 409),
    )
    async def of_customer(
        self, request: Request[Principal, Any, Any], services: FromServices, customer_id: FromPath[str]
    ) -> CustomerMetrics:
        """Of all active metrics. A customer who is not known has no events: counts and sums are 0, the rest is null."""
        catalogue = await services.catalogues.of(request.user.tenant_id)
        definitions = list(catalogue.metrics.values())
        now_ms = services.clock()
        members = {customer_id: await services.identities.members(request.user.tenant_id, customer_id)}
        found = await services.database.call(read_metrics, request.user.tenant_id, members, definitions, now_ms)
        return CustomerMetrics(
            customer_id=customer_id,
            values={one.key: found[customer_id].get(one.key) for one in definitions},
            computed_at=iso(now_ms),
        )

    @get(
        "/behavioral-metrics/{entity_id:str}/values",
        summary="Read a behavioral metric of some customers",
        responses=answers(200, MetricValues, _OF_METRIC, 400, 404, 409),
    )
    async def of_metric(
        self,
        request: Request[Principal, Any, Any],
        services: FromServices,
        entity_id: FromPath[str],
        customer_id: Annotated[
            list[CustomerId],
            QueryParameter(
                name="customerId",
                description=f"Of these customers; once for each, up to {MAX_CUSTOMERS}.",
                min_items=1,
                max_items=MAX_CUSTOMERS,
            ),
        ],
    ) -> MetricValues:
        """The metric is named by its key or its id. One that is not active can be tried out here, too."""
        customers = list(dict.fromkeys(customer_id))
        tenant_id = request.user.tenant_id
        definition = await _find(services, tenant_id, entity_id)
        now_ms = services.clock()
        merges = await services.identities.of(tenant_id)
        members = {one: merges.members(one) for one in customers}
        found = await services.database.call(read_metrics, tenant_id, members, [definition], now_ms)
        return MetricValues(
            id=definition.id,
            key=definition.key,
            data=[MetricValue(customer_id=one, value=found[one].get(definition.key)) for one in customers],
            computed_at=iso(now_ms),
        )


async def _find(services: Services, tenant_id: str, key_or_id: str) -> MetricDefinition:
    catalogue = await services.catalogues.stored(tenant_id)
    definitions = cast("Sequence[MetricDefinition]", catalogue.entities.get("metric", ()))
    for one in definitions:
        if key_or_id in (one.key, one.id):
            return one
    raise ApiError(404, f"There is no behavioral metric {key_or_id!r}.")
