"""Logs of the API: one line per request, by its route, without customers, contents or keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.fixtures.demo import RunningDemo

TRACE: Final = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"
REQUESTS: Final = f"""
ask() {{ curl -s -H "X-API-Key: $RAPPORT_API_KEY" -H "Content-Type: application/json" "$@" > /dev/null; }}
body='{{"customerId": "privatecustomer", "creativeId": "privatecreative", "channelId": "email", "outcome": "click",
       "idempotencyKey": "privatekey", "metadata": {{"card": "privatecard"}}}}'
ask "$RAPPORT_URL/api/v1/respond" -d "$body"
ask "$RAPPORT_URL/api/v1/respond" -d "${{body/click/dismiss}}"
ask "$RAPPORT_URL/api/v1/respond" -d "${{body/click/privateoutcome}}"
ask "$RAPPORT_URL/api/v1/respond" -d '{{"privatebody'
ask "$RAPPORT_URL/api/v1/customers/privatecustomer/metrics"
ask "$RAPPORT_URL/api/v1/privatepath"
curl -s "$RAPPORT_URL/api/v1/outcome-types" -H "X-API-Key: krn_privatewrongkey00000000000000000000000000" > /dev/null
ask "$RAPPORT_URL/api/v1/interaction-history?customerId=privatecustomer&cursor=privatecursor" \\
  -H "traceparent: 00-{TRACE}-b7ad6b7169203331-01"
"""


def test_logs_name_routes_and_traces_but_no_customers_keys_or_contents(demo: RunningDemo):
    log = demo.directory / ".rapport" / "demo" / "logs" / "api.log"
    done = demo.shell(REQUESTS)
    assert done.stderr.split() == ["201", "409", "400", "400", "200", "404", "401", "400"]
    wait_until(lambda: TRACE in log.read_text("utf-8"), "the last request is logged")
    text = log.read_text("utf-8")
    assert "private" not in text
    assert demo.key not in text
    assert demo.variables["RAPPORT_API_KEY_PEPPER"] not in text
    (line,) = [json.loads(line) for line in text.splitlines() if TRACE in line]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/interaction-history", 400)
    assert (line["tenant"], line["key"]) == ("demo", demo.key[:12])
