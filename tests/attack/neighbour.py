"""A well-behaved tenant beside a hostile one: its answers must be right and must come."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.attack.stack import NEIGHBOUR
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from tests.attack.stack import AttackedStack

CUSTOMER: Final = "regular"
PAUSE_S: Final = 0.02
_PURCHASES: Final[Sequence[Mapping[str, Any]]] = [
    {"customerId": CUSTOMER, "outcome": "convert", "offerId": "old", "creativeId": "old-web", "channelId": "web"}
    | {"conversionValue": 10 + number, "idempotencyKey": f"purchase-{number}", "timestamp": "2026-03-15T14:30:00Z"}
    for number in range(5)
]


@dataclass(slots=True)
class Observation:
    """Observations of the neighbour during some time.

    Attributes:
        seconds: Time of each answer, by route.
        wrong: Wrong answers, as text.
        unavailable: Number of requests without an answer, or answered "try again".
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    unavailable: int = 0

    @property
    def count(self) -> int:
        """Number of answers."""
        return sum(map(len, self.seconds.values()))

    def quantile(self, share: float, route: str | None = None) -> float:
        """Return a quantile of the answers' times in seconds, of one route or of all."""
        chosen = self.seconds.values() if route is None else [self.seconds.get(route, [])]
        times = sorted(itertools.chain.from_iterable(chosen))
        return times[min(int(len(times) * share), len(times) - 1)] if times else float("nan")


class Neighbour:
    """Client that sends requests all the time; a context manager. :meth:`observe` returns the latest observations."""

    def __init__(self, stack: AttackedStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._observation = Observation()
        self._thread = threading.Thread(target=self._run, name="neighbour", daemon=True)
        self._numbers = itertools.count()
        self.acknowledged = 0
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        with self._stack.client(NEIGHBOUR) as http:
            for purchase in _PURCHASES:
                assert http.post("/api/v1/respond", json=purchase).status_code == 201
            wait_until(lambda: self._is_history_right(http), "the neighbour's purchases are visible", seconds=60)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(60)

    def observe(self) -> Observation:
        """Return the observations since the last call, and begin new ones."""
        with self._lock:
            seen, self._observation = self._observation, Observation()
        if self.error is not None:
            raise self.error
        return seen

    def _run(self) -> None:
        try:
            with self._stack.client(NEIGHBOUR) as http:
                while not self._stop.is_set():
                    for route, check in self._visits(http).items():
                        self._visit(route, check)
                        time.sleep(PAUSE_S)
        except BaseException as error:  # noqa: BLE001 - shown by whoever observes next
            self.error = error

    def _visit(self, route: str, check: Any) -> None:
        begun = time.perf_counter()
        try:
            fault = check()
        except httpx.TransportError:
            fault = None
        seconds = time.perf_counter() - begun
        with self._lock:
            if fault is None:
                self._observation.unavailable += 1
            else:
                self._observation.seconds.setdefault(route, []).append(seconds)
                if fault:
                    self._observation.wrong.append(f"{route}: {fault}")

    def _visits(self, http: httpx.Client) -> Mapping[str, Any]:
        """Return requests by route; each returns the fault of its answer, "" for none, None for "try again"."""
        return {
            "live": lambda: _fault(http.get("/health/live"), lambda body: body == {"live": True}),
            "recommend": lambda: self._recommend(http),
            "history": lambda: _fault(self._get(http, "interaction-history"), _is_history),
            "summaries": lambda: _fault(self._get(http, "interaction-summaries", periodType="alltime"), _is_summary),
            "respond": lambda: self._respond(http),
        }

    def _recommend(self, http: httpx.Client) -> str | None:
        body = {"customerId": "shopper", "channel": "web", "limit": 1}
        answer = http.post("/api/v1/recommend", json=body)
        return _fault(answer, lambda body: [one["offerId"] for one in body["decisions"]] == ["gold"])

    def _respond(self, http: httpx.Client) -> str | None:
        key = f"visit-{next(self._numbers)}"
        event = {"customerId": "visitor", "outcome": "click", "creativeId": "gold-web", "channelId": "web"}
        answer = http.post("/api/v1/respond", json={**event, "idempotencyKey": key})
        fault = _fault(answer, lambda body: bool(body["interactionId"]), status=201)
        self.acknowledged += fault == ""
        return fault

    def _get(self, http: httpx.Client, route: str, **parameters: str) -> httpx.Response:
        return http.get(f"/api/v1/{route}", params={"customerId": CUSTOMER, **parameters})

    def _is_history_right(self, http: httpx.Client) -> bool:
        return not _fault(self._get(http, "interaction-history"), _is_history)


def _fault(answer: httpx.Response, is_right: Any, *, status: int = 200) -> str | None:
    if answer.status_code == 503 and "retry-after" in answer.headers:
        return None
    if answer.status_code != status:
        return f"status {answer.status_code}: {answer.text[:300]}"
    return "" if is_right(answer.json()) else f"wrong: {answer.text[:300]}"


def _is_history(body: Any) -> bool:
    values = [row["conversionValue"] for row in body["data"] if row["interactionType"] == "convert"]
    return sorted(values) == [10, 11, 12, 13, 14]


def _is_summary(body: Any) -> bool:
    return sum(row["totalValue"] for row in body["data"] if row["offerId"] == "old" and row["creativeId"]) == 60
