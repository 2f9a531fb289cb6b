"""The commands of the README and the documents work as they stand there, against a running demo."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.docs.blocks import Block, bash_blocks, differences, last_json

if TYPE_CHECKING:
    from tests.fixtures.demo import RunningDemo

ROOT: Final = Path(__file__).parents[2]
NOT_HERE: Final = re.compile(r"^(make|[A-Z_]+=.* (docker|rapport api)) ", re.MULTILINE)
"""The tests run these themselves, or they need Docker."""
ABOUT: Final = {"Writing", "Reading", "Configuration", "API keys", "Operation"}
"""The groups of routes that docs/api.md is about."""
OF_ITS_OWN: Final = "export CLICKHOUSE_DATABASE=elsewhere; rapport migrate"
"""For what would stop the demo's worker."""


def list_blocks(page: Path) -> list[Block]:
    return [block for block in bash_blocks(page) if not NOT_HERE.search(block.script)]


PAGES: Final = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if list_blocks(page)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_work(demo: RunningDemo, page: Path) -> None:
    for block in list_blocks(page):
        prepared = OF_ITS_OWN if re.search("rapport topic (recreated|skip)", block.script) else ""
        done = demo.shell(f"{prepared}\n{block.script}")
        said = f"{block.script}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, said
        assert done.stdout.strip(), f"{block.script}\nprinted nothing"
        statuses = [int(line) for line in done.stderr.splitlines() if re.fullmatch(r"\d{3}", line)]
        assert len(statuses) == len(block.statuses), said
        for status, announced in zip(statuses, block.statuses, strict=True):
            assert status == announced or (announced is None and 200 <= status < 300), said
        if block.answer:
            assert list(differences(json.loads(block.answer), last_json(done.stdout))) == [], said


def test_every_route_described_in_api_md_is_called_there(demo: RunningDemo) -> None:
    described = json.loads(demo.shell('curl -s "$RAPPORT_URL/docs/openapi.json"').stdout)
    asked = {request for block in list_blocks(ROOT / "docs" / "api.md") for request in block.requests}
    for template, methods in described["paths"].items():
        path = re.compile(re.sub(r"\{\w+\}", r"[^/]+", template))
        for method, operation in methods.items():
            if set(operation["tags"]) & ABOUT:
                assert any(verb == method.upper() and path.fullmatch(at) for verb, at in asked), f"{method} {template}"


def test_the_commands_of_the_readme_and_the_api_page_are_tested() -> None:
    assert {"README.md", "api.md", "events.md", "operations.md"} <= {page.name for page in PAGES}
    assert sum(len(list_blocks(page)) for page in PAGES) >= 25


def test_an_undocumented_answer_is_noticed() -> None:
    documented = {"id": "x", "rank": 1, "value": 1.5, "names": [{"name": "y"}], "offer": None}
    assert list(differences(documented, {**documented, "more": 1, "value": 2, "offer": {}})) == []
    assert list(differences(documented, {"id": 7, "rank": True, "value": "1.5", "names": [], "offer": None})) == [
        "$.id is 7, documented as 'x'",
        "$.rank is True, documented as 1",
        "$.value is '1.5', documented as 1.5",
        "$.names is empty",
    ]
    assert list(differences({"a": [{"b": 1}]}, {"a": [{"c": 1}]})) == ["$.a[0].b is missing"]
