"""``/api/v1/customers/{id}/metrics`` and ``/api/v1/behavioral-metrics/{key}/values``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, get
from litestar.params import FromPath, QueryParameter

from api.auth.principal import Principal, requires
from api.consents.schemas import CustomerId
from api.http.areas import Injected
from api.http.openapi_responses import answers
from api.http.route_options import READS
from api.http.times import iso
from api.metric_values.schemas import CustomerMetrics, MetricValue, MetricValues
from api.metric_values.service import MetricValueService
from rapport.domain.api_keys import Role

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
    """Values of behavioral metrics, computed from the history on request."""

    tags = ["Behavioral metrics"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "metrics", READS: True}

    @get(
        "/customers/{customer_id:str}/metrics",
        summary="Read a customer's behavioral metrics",
        responses=answers(200, CustomerMetrics, _OF_CUSTOMER, 400, 409),
    )
    async def of_customer(
        self,
        request: Request[Principal, Any, Any],
        metric_values: Injected[MetricValueService],
        customer_id: FromPath[str],
    ) -> CustomerMetrics:
        """Compute all active metrics. A customer without events has 0 for counts and sums, and null for the rest."""
        computed = await metric_values.compute_active(request.user.tenant_id, customer_id)
        values = computed.values[customer_id]
        return CustomerMetrics(
            customer_id=customer_id,
            values={definition.key: values.get(definition.key) for definition in computed.definitions},
            computed_at=iso(computed.computed_at_ms),
        )

    @get(
        "/behavioral-metrics/{entity_id:str}/values",
        summary="Read a behavioral metric of some customers",
        responses=answers(200, MetricValues, _OF_METRIC, 400, 404, 409),
    )
    async def of_metric(
        self,
        request: Request[Principal, Any, Any],
        metric_values: Injected[MetricValueService],
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
        """Compute a metric, named by its key or its id. One that is not active can be tried out here, too."""
        customers = list(dict.fromkeys(customer_id))
        computed = await metric_values.compute_one(request.user.tenant_id, entity_id, customers)
        (definition,) = computed.definitions
        return MetricValues(
            id=definition.id,
            key=definition.key,
            data=[MetricValue(customer_id=one, value=computed.values[one].get(definition.key)) for one in customers],
            computed_at=iso(computed.computed_at_ms),
        )
