"""What is configured about customers, as resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.catalogue.filters import key_filters
from api.catalogue.resource import Resource
from rapport.domain.api_keys import Role

PROFILE_RESOURCES: Final[Sequence[Resource]] = (
    Resource(
        kind="customer_schema",
        path="/schemas",
        noun="customer schema",
        plural="customer schemas",
        writer=Role.EDITOR,
        filters=key_filters,
        fields={
            "id": "sch_customers",
            "key": "customers",
            "name": "Customers",
            "fields": [
                {"name": "tier", "displayName": "Tier", "dataType": "text", "required": True, "isPredictor": True},
                {"name": "age", "dataType": "number"},
                {"name": "newsletter", "dataType": "boolean", "defaultValue": False},
            ],
            "additionalAttributes": False,
        },
        tag="Customers",
    ),
)
