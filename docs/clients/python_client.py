"""A client of Rapport's query API that needs Python alone.

Copy it, or run it: . .rapport/demo.env; python docs/clients/python_client.py
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LONGEST_WAIT_S = 30.0


class RapportError(Exception):
    """An answer that is no success.

    Args:
        status: The HTTP status.
        body: The error's body, as docs/api.md describes it.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {body.get('code')}: {body.get('detail')} (trace {body.get('traceId')})")
        self.status = status
        self.body = body


class Rapport:
    """Writes that count once and reads that include them.

    Args:
        url: Such as ``http://127.0.0.1:3000``.
        key: An API key.
        attempts: How often a request is sent at most.
        sleep: Waits so many seconds.
    """

    def __init__(self, url: str, key: str, *, attempts: int = 6, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url
        self._key = key
        self._attempts = attempts
        self._sleep = sleep
        self._written: dict[str, int] = {}

    def respond(self, **answer: object) -> dict[str, Any]:
        """Record what a customer did; fields as in docs/api.md.

        Every attempt carries the same idempotency key, so it counts once, also when an answer gets lost.
        """
        done: dict[str, Any] = self._ask(
            "POST", "/api/v1/respond", body={"idempotencyKey": str(uuid.uuid4()), **answer}
        )
        for place in filter(None, done["position"].split(",")):
            partition, _, offset = place.partition(":")
            self._written[partition] = max(int(offset), self._written.get(partition, -1))
        return done

    def history(self, **filters: object) -> Iterator[dict[str, Any]]:
        """Every interaction that fits the filters, newest first, page by page."""
        while True:
            page = self._ask("GET", "/api/v1/interaction-history", filters)
            yield from page["data"]
            if not page["pagination"]["hasMore"]:
                return
            filters["cursor"] = page["pagination"]["nextCursor"]

    def summaries(self, **filters: object) -> list[dict[str, Any]]:
        """Counts per period of one customer."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self._ask("GET", "/api/v1/interaction-summaries", filters)
            rows += page["data"]
            if not page["nextCursor"]:
                return rows
            filters["cursor"] = page["nextCursor"]

    def _ask(self, method: str, path: str, query: Mapping[str, object] | None = None, body: object = None) -> Any:  # noqa: ANN401 - whatever JSON the route answers
        request = urllib.request.Request(f"{self._url}{path}?{urllib.parse.urlencode(query or {})}", method=method)
        request.add_header("X-API-Key", self._key)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        elif self._written:  # a read waits until it includes what this client has written
            request.add_header("X-Min-Position", ",".join(f"{part}:{at}" for part, at in self._written.items()))
        for attempt in range(1, self._attempts + 1):
            backoff_s = min(0.2 * 2**attempt, LONGEST_WAIT_S) * random.uniform(0.5, 1)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                failure = RapportError(error.code, _body_of(error))
                if not _is_worth_a_retry(failure) or attempt == self._attempts:
                    raise failure from error
                self._sleep(float(error.headers.get("Retry-After") or backoff_s))
            except OSError:  # no connection, or it broke: nobody knows what became of the request
                if attempt == self._attempts:
                    raise
                self._sleep(backoff_s)
        raise ValueError("attempts must be at least 1")


def _body_of(error: urllib.error.HTTPError) -> Mapping[str, Any]:
    try:
        body = json.load(error)
    except ValueError:  # not of the API: a proxy in between
        return {}
    return body if isinstance(body, dict) else {}


def _is_worth_a_retry(error: RapportError) -> bool:
    code = error.body.get("code")
    return (error.status in {429, 502, 503, 504} and code != "PLAYGROUND_QUOTA_EXCEEDED") or code == "NOT_YET_APPLIED"


def main() -> None:
    """Record what a customer did, then read it."""
    rapport = Rapport(os.environ["RAPPORT_URL"], os.environ["RAPPORT_API_KEY"])
    customer = sys.argv[1] if len(sys.argv) > 1 else "python"
    about = {"customerId": customer, "creativeId": "newsletter", "channelId": "email"}
    for outcome in ("impression", "click", "convert"):
        rapport.respond(**about, outcome=outcome)
    for row in rapport.history(customerId=customer, limit=2):
        print(row["timestamp"], row["outcomeTypeKey"])
    for row in rapport.summaries(customerId=customer, periodType="alltime"):
        print(row["scope"], row["impressions"], row["positive"], row["converts"])


if __name__ == "__main__":
    main()
