"""The example clients do what their comments say, against a running API and a gateway that loses answers."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.docs.gateway import LOST, gateway_to

if TYPE_CHECKING:
    from tests.fixtures.demo import RunningDemo

CLIENTS: Final = Path(__file__).parents[2] / "docs" / "clients"
PYTHON: Final = f"""
import json, sys
sys.path.insert(0, {str(CLIENTS)!r})
from python_client import Rapport, RapportError
url, key, customer = sys.argv[1:]
waits = []
rapport = Rapport(url, key, attempts=4, sleep=waits.append)
try:
    answer = {{"customerId": customer, "creativeId": "c", "channelId": "email", "outcome": "click"}}
    done = rapport.respond(**answer)
    rows = list(rapport.history(customerId=customer, limit=1))
    print(json.dumps([done["duplicate"], [row["outcomeTypeKey"] for row in rows], waits]))
except RapportError as error:
    print(json.dumps([error.status, error.body.get("code"), waits]))
"""
JAVASCRIPT: Final = f"""
import {{ Rapport }} from {json.dumps((CLIENTS / "javascript_client.mjs").as_uri())};
const [url, key, customer] = process.argv.slice(1);
const waits = [];
const rapport = new Rapport(url, key, {{ attempts: 4, sleep: async (ms) => waits.push(ms / 1000) }});
try {{
  const answer = {{ customerId: customer, creativeId: "c", channelId: "email", outcome: "click" }};
  const done = await rapport.respond(answer);
  const rows = [];
  for await (const row of rapport.history({{ customerId: customer, limit: 1 }})) rows.push(row.outcomeTypeKey);
  console.log(JSON.stringify([done.duplicate, rows, waits]));
}} catch (error) {{
  console.log(JSON.stringify([error.status, error.body.code ?? null, waits]));
}}
"""
RUNS: Final = {"python": ("python -c", PYTHON), "node": ("node --input-type=module -e", JAVASCRIPT)}


def run(demo: RunningDemo, language: str, url: str, key: str, customer: str) -> Any:
    command, program = RUNS[language]
    done = demo.shell(f'{command} "$1" "$2" "$3" "$4"', program, url, key, customer)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "program",
    [f"{sys.executable} {CLIENTS}/python_client.py", f"node {CLIENTS}/javascript_client.mjs"],
    ids=RUNS,
)
def test_a_client_runs_as_it_is_and_reads_its_own_writes(demo: RunningDemo, program: str):
    done = demo.shell(f"{program} {uuid.uuid4()}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:3]] == ["convert", "click", "impression"]
    assert lines[3:] == ["channel 1 2 1", "offer 1 2 1"]


@pytest.mark.parametrize("language", RUNS)
def test_a_response_whose_answer_was_lost_is_repeated_and_counts_once(demo: RunningDemo, language: str):
    with gateway_to(demo.url) as gateway:
        gateway.plan = [429, LOST, 503]
        duplicate, outcomes, waits = run(demo, language, gateway.url, demo.key, str(uuid.uuid4()))
    assert duplicate is True
    assert outcomes == ["click"]
    assert waits[:3] == [7, 7, 7]
    assert len(gateway.bodies) == 4
    assert len(set(gateway.bodies)) == 1
    assert json.loads(gateway.bodies[0])["idempotencyKey"]


@pytest.mark.parametrize("language", RUNS)
def test_a_client_reads_page_after_page(demo: RunningDemo, language: str):
    customer = str(uuid.uuid4())
    with gateway_to(demo.url) as gateway:
        for _ in range(3):
            run(demo, language, gateway.url, demo.key, customer)
        gateway.queries.clear()
        _, outcomes, _ = run(demo, language, gateway.url, demo.key, customer)
    assert outcomes == ["click"] * 4
    assert len({query for query in gateway.queries if "cursor=" in query}) == 3


@pytest.mark.parametrize("language", RUNS)
def test_a_client_gives_up_after_its_last_retry(demo: RunningDemo, language: str):
    with gateway_to(demo.url) as gateway:
        gateway.plan = [503] * 9
        assert run(demo, language, gateway.url, demo.key, "x") == [503, None, [7, 7, 7]]


@pytest.mark.parametrize("language", RUNS)
def test_a_permanent_error_is_not_retried(demo: RunningDemo, language: str):
    with gateway_to(demo.url) as gateway:
        assert run(demo, language, gateway.url, "krn_wrong", "x") == [401, "UNAUTHORIZED", []]
        assert len(gateway.queries) == 1
