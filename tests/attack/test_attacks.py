"""Attacks on a running stack. No process may stop, no input may be lost silently, and no other tenant may suffer."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx
import pytest

from rapport.cli.environment import open_store
from rapport.storage.reconcile import reconcile
from tests.attack.corpus import BODIES, GZIP_BOMB, HEADERS, JSON_VALUES, POISON, TEXTS, mutations
from tests.attack.stack import ATTACKER
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.attack.figures import Figures
    from tests.attack.neighbour import Neighbour
    from tests.attack.stack import AttackedStack

pytestmark = pytest.mark.timeout(1_800)
METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
CLICK: Final = {"tenantId": ATTACKER, "outcome": "click", "creativeId": "gold-web", "channelId": "web"}

Request = tuple[str, str, dict[str, Any]]
"""Method, path, and what else httpx takes."""


def count(figures: Figures, request: pytest.FixtureRequest, tried: int) -> None:
    name = request.node.name
    figures.inputs[name] = figures.inputs.get(name, 0) + tried


def operations(stack: AttackedStack) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
    """List every operation of the API: its method, its path and its description."""
    document = httpx.get(f"{stack.url}/docs/openapi.json").json()
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def hostile_requests(
    operation: tuple[str, str, Mapping[str, Any]], examples: Sequence[Any], rng: random.Random, number: int
) -> Iterator[Request]:
    """List requests to one route: valid ones with an invalid part."""
    method, path, described = operation
    parameters = [one for one in described.get("parameters", ()) if "name" in one]
    bodies = [body for example in examples or [{}] for body in mutations(example, JSON_VALUES)]
    for _ in range(number):
        place = path
        for one in parameters:
            if one["in"] == "path":
                hostile = rng.choice(TEXTS).encode("utf-8", "replace")
                place = place.replace(f"{{{one['name']}}}", quote(hostile, safe="") or "x")
        query = {one["name"]: rng.choice(TEXTS)[:4_000] for one in parameters if one["in"] == "query"}
        options: dict[str, Any] = {"params": dict(rng.sample(sorted(query.items()), min(len(query), 2)))}
        options["headers"] = dict(rng.choice(HEADERS)) if rng.random() < 0.3 else {}
        if "requestBody" in described:
            options["content"] = rng.choice(BODIES if rng.random() < 0.2 else bodies)
            options["headers"].setdefault("Content-Type", "application/json")
        yield method.upper(), place, options


def list_examples(described: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Any]:
    """List the examples of an operation's body."""
    content = described.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = schemas.get(schema["$ref"].rpartition("/")[2], {})
    return list(schema.get("examples", ()))


def send(http: httpx.Client, request: Request) -> str:
    """Send a request; return the fault of the answer, "" for none."""
    method, path, options = request
    try:
        answer = http.request(method, path, **options)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        return ""  # refused on the level of HTTP
    except (httpx.InvalidURL, UnicodeEncodeError, httpx.LocalProtocolError):
        return ""  # never left
    except httpx.TimeoutException:
        return f"{method} {path[:80]}: no answer in time"
    if answer.status_code < 500 or answer.status_code == 503:
        return ""
    return f"{method} {path[:80]} {str(options)[:300]}: {answer.status_code} {answer.text[:200]}"


def test_invalid_input_on_every_route(
    stack: AttackedStack,
    neighbour: Neighbour,  # noqa: ARG001 - watched
    figures: Figures,
    request: pytest.FixtureRequest,
    seeded: random.Random,
    *,
    is_quick: bool,
):
    document = httpx.get(f"{stack.url}/docs/openapi.json").json()
    schemas = document["components"]["schemas"]
    found = operations(stack)
    assert len(found) > 100
    requests = [
        one
        for operation in found
        for one in hostile_requests(operation, list_examples(operation[2], schemas), seeded, 5 if is_quick else 80)
    ]
    beyond = ["/api/v1/" + quote(text.encode("utf-8", "replace"), safe="/") for text in TEXTS]
    requests += [(method.upper(), path, {}) for method in (*METHODS, "trace", "brew") for path in beyond]
    seeded.shuffle(requests)
    with stack.client(ATTACKER) as http, ThreadPoolExecutor(4) as pool:
        faults = [fault for fault in pool.map(lambda one: send(http, one), requests) if fault]
    count(figures, request, len(requests))
    assert not faults, f"{len(faults)} of {len(requests)}:\n" + "\n".join(faults[:10])
    assert stack.is_ready()


def _creative(text: str) -> Request:
    fields = {"id": "bomb", "name": "b", "offerId": "gold", "channelId": "web", "content": {"headline": text}}
    return "POST", "/api/v1/creatives", {"json": fields}


def _flow(condition: Mapping[str, Any]) -> Request:
    nodes = [{"id": "all", "type": "inventory"}, {"id": "few", "type": "filter", "config": {"conditions": [condition]}}]
    return "POST", "/api/v1/decision-flows", {"json": {"id": "bomb", "key": "bomb", "name": "b", "nodes": nodes}}


def bombs() -> Sequence[Request]:
    """List small requests that once cost much."""
    csv = {"Content-Type": "text/csv"}
    lines = {"Content-Type": "application/x-ndjson"}
    header = ",".join(("customerId", *(f"c{number}" for number in range(48_000))))
    huge = "9" * 400
    return [
        ("POST", "/api/v1/customers", {"content": f"{header}\na\n", "headers": csv}),
        ("POST", "/api/v1/customers", {"content": "customerId,a\n" + 'x,"' * 100_000, "headers": csv}),
        ("POST", "/api/v1/customers", {"content": "\n" * 2_000_000, "headers": lines}),
        ("POST", "/api/v1/interactions", {"content": b"[" * 2_000_000}),
        ("POST", "/api/v1/interactions", {"content": GZIP_BOMB, "headers": {"Content-Encoding": "gzip"}}),
        _creative("{{a}}" * 4_000),
        _creative("{{" * 40_000),
        _creative("{{ a | b " * 9_000),
        _creative("<" * 80_000),
        *(
            _flow({"field": "customer.name", "operator": "regex", "value": pattern})
            for pattern in ("^(a|a)*$", "(a+)+$", "(x+x+)+y", r"(\d|\d\d)*$", "a{1,1000}{1,1000}", "(?=a)*")
        ),
        _flow({"field": "customer.age", "operator": "gt", "value": 10**399}),
        ("PUT", "/api/v1/customers/heavy", {"content": f'{{"attributes":{{"age":{huge}}}}}'}),
        ("POST", "/api/v1/recommend", {"json": {"customerId": "heavy"}}),
        ("POST", "/api/v1/recommend", {"content": f'{{"customerId":"x","attributes":{{"age":{huge}}}}}'}),
        ("POST", "/api/v1/recommend", {"json": {"customerId": "x", "attributes": {"name": "a" * 40 + "!"}}}),
        (
            "POST",
            "/api/v1/segments",
            {
                "content": f'{{"id":"s","name":"s","filters":[{{"field":"customer.age",'
                f'"operator":"gt","value":{huge}}}]}}'
            },
        ),
        ("GET", "/api/v1/interaction-history?" + "&".join(f"a{number}=1" for number in range(8_000)), {}),
        ("GET", "/api/v1/offers?" + "&".join(["limit=1"] * 8_000), {}),
    ]


def test_bombs_cost_no_more_than_their_size(
    stack: AttackedStack,
    neighbour: Neighbour,
    figures: Figures,
    request: pytest.FixtureRequest,
    *,
    is_quick: bool,
):
    requests = bombs() * (1 if is_quick else 5)
    slow, faults = list[str](), list[str]()
    with stack.client(ATTACKER) as http:
        for one in requests:
            begun = time.perf_counter()
            faults.append(send(http, one))
            if (seconds := time.perf_counter() - begun) > 30:
                slow.append(f"{one[0]} {one[1][:60]} {str(one[2])[:80]}: {seconds:.1f} s")
    count(figures, request, len(requests))
    assert not any(faults), [fault for fault in faults if fault][:5]
    assert not slow, slow
    assert neighbour.error is None


def test_silent_and_slow_clients_in_large_numbers(
    stack: AttackedStack,
    neighbour: Neighbour,
    figures: Figures,
    request: pytest.FixtureRequest,
    *,
    is_quick: bool,
):
    """2,100 connections without a key that send no byte, half a header, or a body that never ends."""
    number = 2_100
    begins = (
        b"",
        b"POST /api/v1/interactions HTTP/1.1\r\nHost: a\r\nX-A: ",
        b"POST /api/v1/interactions HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n[",
        b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    with ExitStack() as opened:
        for index in range(number):
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", stack.api_port), timeout=30))
            connection.sendall(begins[index % len(begins)])
        neighbour.observe()
        time.sleep(5 if is_quick else 40)  # the attack itself: for so long the connections stay
    count(figures, request, number)
    assert stack.is_ready()


def test_many_large_bodies_at_once(
    stack: AttackedStack,
    neighbour: Neighbour,  # noqa: ARG001 - watched
    figures: Figures,
    request: pytest.FixtureRequest,
    *,
    is_quick: bool,
):
    body = b"[" + b'{"customerId":"x"},' * 480_000 + b"{}]"
    number = 12 if is_quick else 60

    async def post_all() -> list[int]:
        headers = {"X-API-Key": stack.keys[ATTACKER], "Content-Type": "application/json"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=120) as http:
            posts = [http.post("/api/v1/interactions", content=body) for _ in range(number)]
            answers = await asyncio.gather(*posts, return_exceptions=True)
        return [answer.status_code for answer in answers if isinstance(answer, httpx.Response)]

    statuses = asyncio.run(post_all())
    count(figures, request, number)
    assert set(statuses) <= {400, 413, 503}, statuses
    assert stack.is_ready()


def test_poison_in_the_topic(
    stack: AttackedStack,
    neighbour: Neighbour,  # noqa: ARG001 - watched
    figures: Figures,
    request: pytest.FixtureRequest,
    seeded: random.Random,
    *,
    is_quick: bool,
):
    """Bytes that are no events become dead letters, and the events between them are applied."""
    rounds = 1 if is_quick else 8
    noise = [seeded.randbytes(seeded.randrange(1, 3_000)) for _ in range(100 * rounds)]
    values = [*POISON * rounds, *noise]
    seeded.shuffle(values)
    world, good = stack.world, 0
    messages: list[tuple[bytes | None, bytes | None, int | None]] = []
    for index, value in enumerate(values):
        event = {**CLICK, "customerId": f"between-{index % 7}", "idempotencyKey": f"good-{time.time_ns()}-{index}"}
        messages += [(b"k", value, index % 3), (b"k", json.dumps(event).encode(), index % 3)]
        good += 1
    places = world.produce_raw(messages)
    ends = {partition: max(o for p, o in places if p == partition) + 1 for partition, _ in places}
    wait_until(
        lambda: all(world.applied().get(partition, 0) >= end for partition, end in ends.items()),
        "everything is applied",
        seconds=300,
    )
    assert stack.worker.exit_code is None, stack.worker.output[-3_000:]
    applied = "SELECT count() FROM interactions WHERE tenant_id = 'attacker' AND idempotency_key LIKE 'good-%'"
    assert column(stack, applied) == [good]
    count(figures, request, len(values))


def test_a_hot_customer(
    stack: AttackedStack,
    neighbour: Neighbour,
    figures: Figures,
    request: pytest.FixtureRequest,
    *,
    is_quick: bool,
):
    total = 20_000 if is_quick else 300_000
    world = stack.world
    events = [{**CLICK, "customerId": "hot", "offerId": "gold", "idempotencyKey": f"hot-{n}"} for n in range(total)]
    chunks = [json.dumps(events[start : start + 1_000]).encode() for start in range(0, total, 1_000)]
    world.produce_raw([(b"hot", chunk, None) for chunk in chunks])
    asked = "SELECT count() FROM interactions WHERE tenant_id = 'attacker' AND customer_id = 'hot'"
    wait_until(lambda: column(stack, asked) == [total], "the hot customer's events are applied", seconds=300)
    neighbour.observe()
    visits: list[Request] = [
        ("GET", "/api/v1/interaction-history?customerId=hot&limit=1", {}),
        ("GET", "/api/v1/interaction-history?customerId=hot&limit=50", {}),
        ("POST", "/api/v1/recommend", {"json": {"customerId": "hot", "channel": "web"}}),
        ("GET", "/api/v1/customers/hot/profile", {}),
        ("GET", "/api/v1/interaction-summaries?customerId=hot", {}),
    ]
    rounds = 10 if is_quick else 60
    with stack.client(ATTACKER) as http, ThreadPoolExecutor(4) as pool:
        faults = [fault for fault in pool.map(lambda one: send(http, one), visits * rounds) if fault]
    assert not faults, faults[:5]
    count(figures, request, total + len(visits) * rounds)


@pytest.mark.faults
def test_processes_killed_while_many_write(
    stack: AttackedStack,
    neighbour: Neighbour,
    figures: Figures,
    request: pytest.FixtureRequest,
    seeded: random.Random,
    *,
    is_quick: bool,
):
    """Every acknowledged event is there, once, after any process was killed; the neighbour's too."""
    acknowledged = set[str]()
    is_over = False

    def write(writer: int) -> None:
        with stack.client(ATTACKER) as http:
            for index in range(1_000_000):
                if is_over:
                    return
                keys = [f"bulk-{writer}-{index}-{number}" for number in range(200)]
                events = [{**CLICK, "customerId": f"b{hash(key) % 500}", "idempotencyKey": key} for key in keys]
                try:
                    answer = http.post("/api/v1/interactions", json=events)
                except httpx.TransportError:
                    continue
                if answer.status_code == 201:
                    acknowledged.update(keys)

    victims = ["worker", "api", "clickhouse"] * (1 if is_quick else 5)
    seeded.shuffle(victims)
    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        for victim in victims:
            time.sleep(seeded.uniform(0.5, 2))  # somewhere in the middle of the writing
            kill_and_restart(stack, victim)
            figures.faults += 1
        is_over = True
        for writer in writers:
            writer.result()
    wait_until(stack.is_ready, "the API serves again", seconds=60)
    assert acknowledged
    bulk = "SELECT idempotency_key FROM interactions WHERE tenant_id = 'attacker' AND idempotency_key LIKE 'bulk-%'"
    wait_until(lambda: acknowledged <= set(column(stack, bulk)), "what was acknowledged is stored", seconds=120)
    stored = column(stack, bulk)
    assert len(stored) == len(set(stored))
    visits = "SELECT count() FROM interactions WHERE tenant_id = 'neighbour' AND idempotency_key LIKE 'visit-%'"
    due = neighbour.acknowledged
    wait_until(lambda: column(stack, visits)[0] >= due, "what the neighbour was told is stored", seconds=60)
    with open_store(stack.world.settings) as store:
        assert reconcile(store).is_clean
    count(figures, request, len(acknowledged))


def kill_and_restart(stack: AttackedStack, victim: str) -> None:
    """Kill a process with SIGKILL and start it again."""
    if victim == "worker":
        stack.worker.send(signal.SIGKILL)
        stack.worker.wait_dead()
        stack.start_worker()
    elif victim == "api":
        stack.api.kill()
        stack.start_api()
    else:
        stack.endpoint.kill()
        stack.endpoint.start()


def column(stack: AttackedStack, sql: str) -> list[Any]:
    """Return the first column of a query's result."""
    return [row[0] for row in stack.world.sql(sql).rows()]
