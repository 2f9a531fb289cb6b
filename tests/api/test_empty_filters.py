"""An empty filter is a fault, on every route: passed over, ``customerId=`` would be everybody's history."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from tests.fixtures.api import Caller


def test_every_parameter_of_every_route_must_have_a_value(caller: Caller):
    document = caller.client.get("/docs/openapi.json").json()
    tried = 0
    for path, item in document["paths"].items():
        filled = re.sub(r"\{\w+\}", "nobody", path)
        for method, operation in item.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "query":
                    continue
                for query in (f"{(name := parameter['name'])}=", name, f"{name}=x&{name}="):
                    answer = caller.client.request(
                        method.upper(), f"{filled}?{query}", headers={"X-API-Key": caller.keys[Role.ADMIN]}
                    )
                    assert answer.status_code == 400, (method, filled, query, answer.text)
                    assert name in {fault["field"] for fault in answer.json()["details"]}, answer.text
                tried += 1
    assert tried > 150


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/simulate", {"customerIds": []}, "customerIds"),
        ("/simulate", {"customerIds": [""]}, "customerIds"),
        ("/simulate", {"customerId": ""}, "customerId"),
        ("/recommend", {"customerId": ""}, "customerId"),
        ("/segments/overlap", {"segmentIds": []}, "segmentIds"),
        ("/dsar", {"requestType": "export", "subjectId": ""}, "subjectId"),
        ("/gdpr/erasure", {"customerId": ""}, "customerId"),
        (
            "/behavioral-metrics",
            {"key": "m", "name": "M", "filterConditions": {"outcome": []}},
            "filterConditions.outcome",
        ),
    ],
)
def test_a_body_does_not_mean_everybody_by_naming_nobody(caller: Caller, path: str, body: Any, field: str):
    answer = caller.post(path, body)
    assert answer.status_code == 400, answer.text
    assert [fault["field"] for fault in answer.json()["details"]] == [field]
