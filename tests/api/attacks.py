"""Requests that cost a server far more than they cost their sender: the corpus of the law in ``test_neighbours.py``.

Add to it what you think of: an attack is a name, what the tenant has to have first, and the request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A request, and the requests before it.

    Attributes:
        body: Made when it is needed: some are large.
        before: Entities of the catalogue that are stored first: kind and fields.
    """

    name: str
    path: str
    root: str = "/api/v1"
    method: str = "POST"
    media_type: str = JSON
    body: Callable[[], bytes] = lambda: b""
    headers: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[tuple[str, Mapping[str, Any]]] = ()


def _json(value: Any) -> Callable[[], bytes]:
    return lambda: json.dumps(value() if callable(value) else value).encode()


def _text(make: Callable[[], str]) -> Callable[[], bytes]:
    def body() -> bytes:
        return make().encode()

    return body


def _repeated(first: str, piece: str, times: int, last: str) -> Callable[[], bytes]:
    return _text(lambda: first + piece * times + last)


def _table(rows: int, columns: int) -> Callable[[], bytes]:
    names = ",".join(f"c{n}" for n in range(columns))
    cells = ",".join("x" * columns)
    return _text(lambda: f"customerId,{names}\n" + "".join(f"k{n},{cells}\n" for n in range(rows)))


def _flow(*nodes: Mapping[str, Any]) -> dict[str, Any]:
    ends = [{"id": "score", "type": "score"}, {"id": "response", "type": "response"}]
    return {"draft": [{"id": "inventory", "type": "inventory"}, {"id": "m", "type": "match_creatives"}, *nodes, *ends]}


def _filter(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": "filter", "type": "filter", "config": {"conditions": list(conditions)}}


WEB: Final = ("channel", {"id": "web", "name": "Web", "channelType": "web"})
CARDS: Final = ("category", {"id": "cards", "name": "Cards"})


def _shop(offers: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Return a catalogue of so many offers, each with a creative on the web."""
    entities: list[tuple[str, Mapping[str, Any]]] = [WEB, CARDS]
    for n in range(offers):
        content = {"t": "For {customer.name|you}"}
        entities += [
            ("offer", {"id": f"o{n}", "name": f"O{n}", "categoryId": "cards"}),
            ("creative", {"id": f"c{n}", "name": f"C{n}", "offerId": f"o{n}", "channelId": "web", "content": content}),
        ]
    return entities


BACKTRACKING: Final = _filter({"field": "attributes.a", "operator": "regex", "value": "^(a|a)*$"})
LETTERS: Final = "a" * 999 + "!"
TEMPLATES: Final = {
    "placeholders": "<p>{{name|x}}" * 6_000,
    "unclosed tags": "<a {x}<b " * 9_000,
    "one attribute": "<a href='" + "{x}" * 900 + "'>",
}

ATTACKS: Final[tuple[Attack, ...]] = (
    Attack(
        name="a CSV header of 48,000 columns",
        path="/customers",
        media_type=CSV,
        body=_text(lambda: "customerId," + ",".join(f"c{n}" for n in range(48_000)) + "\n"),
    ),
    Attack(
        name="a CSV header of two million equal columns",
        path="/customers",
        media_type=CSV,
        body=_repeated("customerId", ",a", 2_000_000, "\n"),
    ),
    Attack(
        name="2,400 CSV rows of 200 columns",
        path="/customers",
        media_type=CSV,
        body=_table(2_400, 200),
    ),
    Attack(
        name="10,000 CSV rows of 49 columns",
        path="/customers",
        media_type=CSV,
        body=_table(10_000, 49),
    ),
    Attack(
        name="10,000 CSV rows of 200 columns",
        path="/customers",
        media_type=CSV,
        body=_table(10_000, 200),
    ),
    Attack(
        name="a million short CSV rows",
        path="/customers",
        media_type=CSV,
        body=_repeated("customerId,a\n", "x\n", 5_000_000, ""),
    ),
    Attack(
        name="a CSV cell of 10 MB",
        path="/consents",
        media_type=CSV,
        body=_repeated('customerId,purpose,status\n"', "a\n", 5_000_000, ""),
    ),
    Attack(
        name="one line of 10 MB",
        path="/interactions",
        media_type=NDJSON,
        body=_repeated('{"a":"', "x", 10_400_000, '"}'),
    ),
    Attack(
        name="five million empty lines",
        path="/interactions",
        media_type=NDJSON,
        body=_repeated("", "\n", 10_400_000, ""),
    ),
    Attack(name="5 million items in an array", path="/interactions", body=_repeated("[0", ",0", 5_200_000, "]")),
    Attack(
        name="9,999 events in an array",
        path="/interactions",
        body=_json(
            lambda: [
                {"customerId": f"c{n}", "outcome": "click", "idempotencyKey": f"k{n}", "metadata": {"a": "x" * 800}}
                for n in range(9_999)
            ]
        ),
    ),
    Attack(
        name="9,999 customers with 20 attributes",
        path="/customers",
        body=_json(
            lambda: [
                {"customerId": f"c{n}", "attributes": {f"a{m}": "x" * 20 for m in range(20)}} for n in range(9_999)
            ]
        ),
    ),
    Attack(
        name="9,999 statements of consent",
        path="/consents",
        body=_json(
            lambda: [
                {"customerId": f"c{n}", "purpose": "email", "status": "granted", "statedAt": "2026-03-15T14:30:00Z"}
                for n in range(9_999)
            ]
        ),
    ),
    Attack(
        name="100,000 unknown fields",
        path="/api-keys",
        body=_json(lambda: {f"f{n}": 1 for n in range(80_000)}),
    ),
    Attack(
        name="100,000 unknown fields of an offer",
        path="/offers",
        body=_json(lambda: {"name": "x", **{f"f{n}": 1 for n in range(80_000)}}),
    ),
    Attack(
        name="100,000 attributes",
        path="/customers/c",
        method="PUT",
        body=_json(lambda: {"attributes": {f"f{n}": 1 for n in range(80_000)}}),
    ),
    Attack(
        name="100,000 request attributes",
        path="/recommend",
        body=_json(lambda: {"customerId": "c", "attributes": {f"f{n}": 1 for n in range(80_000)}}),
    ),
    Attack(name="a list nested a million deep", path="/offers", body=_repeated("", "[", 1_000_000, "")),
    Attack(name="ten million brackets", path="/interactions", body=_repeated("", "[", 10_400_000, "")),
    Attack(
        name="a deep item beside 100,000 objects",
        path="/customers",
        body=_text(lambda: "[" + "[" * 80 + "]" * 80 + ',{"a":{}}' * 100_000 + "]"),
    ),
    Attack(name="five million closed brackets", path="/interactions", body=_repeated("[", "[]", 5_200_000, "]")),
    Attack(
        name="a condition of 100,000 values",
        path="/segments",
        body=_json(
            lambda: {
                "name": "s",
                "filters": [{"field": "customer.a", "operator": "in", "value": [f"v{n}" for n in range(80_000)]}],
            }
        ),
    ),
    Attack(
        name="10,000 conditions in a rule",
        path="/qualification-rules",
        body=_json(
            lambda: {
                "name": "r",
                "ruleType": "composite",
                "scope": "global",
                "config": {"all": [{"attribute": "a", "operator": "eq", "value": n} for n in range(10_000)]},
            }
        ),
    ),
    Attack(
        name="10,000 nodes with one id",
        path="/decision-flows",
        body=_json(
            lambda: {"name": "f", "key": "f", "draft": [{"id": f"n{n}", "type": "qualify"} for n in range(20_000)]}
        ),
    ),
    Attack(
        name="20,000 contradicting conditions in a flow",
        path="/decision-flows",
        body=_json(
            lambda: {
                "name": "f",
                "key": "f",
                **_flow(_filter(*({"field": "offer.a", "operator": "regex", "value": "a"} for _ in range(10_000)))),
            }
        ),
    ),
    Attack(
        name="10,000 personalization variables",
        path="/creatives",
        before=_shop(1),
        body=_json(
            lambda: {
                "name": "c",
                "offerId": "o0",
                "channelId": "web",
                "content": {"t": "x"},
                "personalization": [{"variable": f"v{n}", "source": "customer.a"} for n in range(18_000)],
            }
        ),
    ),
    Attack(
        name="10,000 custom fields",
        path="/categories",
        body=_json(
            lambda: {
                "name": "c",
                "customFields": [{"key": f"k{n}", "label": "l", "type": "text"} for n in range(15_000)],
            }
        ),
    ),
    Attack(
        name="1,000 computed fields",
        path="/categories",
        body=_json(
            lambda: {
                "name": "c",
                "customFields": [
                    {"key": f"k{n}", "label": "l", "type": "computed", "formula": "1" + "+1" * 450} for n in range(900)
                ],
            }
        ),
    ),
    *(
        Attack(
            name=f"a formula: {name}",
            path="/categories",
            body=_json(
                {"name": "c", "customFields": [{"key": "k", "label": "l", "type": "computed", "formula": formula}]}
            ),
        )
        for name, formula in {
            "long": "1" + "+1" * 400_000,
            "deep": "(" * 400_000,
            "unary": "-" * 900_000 + "1",
            "quotes": '"' * 900_001,
            "escapes": '"' + "\\u0041" * 150_000,
            "nested ifs": "if(1," * 180_000,
            "not": "not " * 220_000 + "1",
        }.items()
    ),
    *(
        Attack(
            name=f"a creative: {name}",
            path="/creatives",
            before=_shop(1),
            body=_json({"name": "c", "offerId": "o0", "channelId": "web", "content": {"html": template}}),
        )
        for name, template in TEMPLATES.items()
    ),
    Attack(
        name="a backtracking pattern in a dry run",
        path="/simulate",
        before=[*_shop(50), ("decision_flow", {"id": "f", "name": "f", "key": "f", **_flow(BACKTRACKING)})],
        body=_json({"customerId": "c", "decisionFlowKey": "f", "draft": True, "attributes": {"a": LETTERS}}),
    ),
    Attack(
        name="a decision over 1,000 offers with its trace",
        path="/recommend",
        before=_shop(1_000),
        body=_json({"customerId": "c", "channelId": "web", "limit": 50, "debug": True}),
    ),
    Attack(
        name="a dry run of 1,000 customers over 500 offers",
        path="/simulate",
        before=_shop(500),
        body=_json(lambda: {"customerIds": [f"c{n}" for n in range(1_000)], "channelId": "web"}),
    ),
    Attack(
        name="eligibility over 1,000 offers",
        path="/customers/c/eligibility",
        method="GET",
        before=_shop(1_000),
    ),
    Attack(name="the linter over 1,000 offers", path="/catalog/lint", method="GET", before=_shop(1_000)),
    Attack(name="a page of 1,000 offers", path="/offers?limit=1000", method="GET", before=_shop(1_000)),
    Attack(name="20,000 query parameters", path="/interaction-history?" + "a=1&" * 15_000, method="GET"),
    Attack(
        name="15,000 different query parameters",
        path="/offers?" + "&".join(f"a{n}" for n in range(9_000)),
        method="GET",
    ),
    Attack(name="30,000 percent signs", path="/interaction-history?customerId=" + "%" * 60_000, method="GET"),
    Attack(name="a path of 60,000 slashes", path="/" * 60_000, method="GET"),
    Attack(name="a list of 20,000 ids", path="/interaction-summaries?customerIds=" + "a," * 30_000, method="GET"),
    Attack(name="20,000 things to sort by", path="/offers?sort=" + "name," * 10_000, method="GET"),
    Attack(name="a cookie of 300 kB", path="/offers", method="GET", headers={"Cookie": "a=" + "\\1;" * 100_000}),
    Attack(
        name="20,000 media types",
        root="/new/v2.0",
        path="/profiles",
        method="GET",
        headers={"Accept": "a/b;q=0.1," * 30_000},
    ),
    Attack(name="a key of 300 kB", path="/offers", method="GET", headers={"Authorization": "Bearer " + "x" * 300_000}),
    Attack(name="20,000 entity tags", path="/offers/x", method="GET", headers={"If-None-Match": '"a",' * 60_000}),
    Attack(
        name="20,000 positions",
        path="/interaction-history",
        method="GET",
        headers={"X-Min-Position": ",".join(f"{n}:1" for n in range(30_000))},
    ),
    Attack(
        name="a language of 300 kB", path="/offers", method="GET", headers={"Accept-Language": "en;q=0.1," * 30_000}
    ),
    Attack(
        name="a content type of 300 kB",
        path="/offers",
        media_type="application/json;" + "a=b;" * 70_000,
        body=_json({"name": "x"}),
    ),
    Attack(name="a traceparent of 300 kB", path="/offers", method="GET", headers={"traceparent": "0" * 300_000}),
)
