from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.catalogue.customer_schema import CustomerSchema, SchemaField
from rapport.domain.catalogue.values import Status
from rapport.domain.profiles.attribute_sources import AttributeSources

FIELDS = [
    SchemaField(name="income"),
    SchemaField(name="device", source="request"),
    SchemaField(name="city", source="either"),
]
SOURCES = AttributeSources.from_schemas([CustomerSchema(id="s", key="s", name="S", fields=FIELDS)], read=["vip"])


@pytest.mark.parametrize(
    ("stored", "sent", "in_force", "ignored"),
    [
        ({"income": 1}, {"income": 9}, {"income": 1}, ("income",)),
        ({}, {"income": 9}, {}, ("income",)),
        ({"income": 1}, {"income": 1}, {"income": 1}, ()),
        ({"device": "pc"}, {}, {}, ()),
        ({"device": "pc"}, {"device": "tv"}, {"device": "tv"}, ()),
        ({"city": "Bonn"}, {}, {"city": "Bonn"}, ()),
        ({"city": "Bonn"}, {"city": "Rome"}, {"city": "Rome"}, ()),
        ({}, {"vip": True}, {}, ("vip",)),  # no schema names it, but a rule asks for it
        ({}, {"page": "home"}, {}, ()),  # nothing asks for it as the customer's
        ({"page": "home"}, {"page": "cart"}, {"page": "home"}, ("page",)),
        ({"timeZone": "Asia/Tokyo"}, {"timeZone": "UTC"}, {"timeZone": "UTC"}, ()),
    ],
)
def test_each_attribute_comes_from_its_source(
    stored: dict[str, Any], sent: dict[str, Any], in_force: dict[str, Any], ignored: tuple[str, ...]
):
    assert SOURCES.merge(stored, sent) == (in_force, ignored)


def test_inactive_schemas_declare_no_sources():
    draft = CustomerSchema(id="s", key="s", name="S", fields=FIELDS, status=Status.DRAFT)
    assert AttributeSources.from_schemas([draft]).merge({}, {"device": "tv"}) == ({}, ())
