"""Sections of packages, installed as a user installs them, and requested through a process of the API."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rapport.application.profiles import sections
from rapport.application.profiles.sections import discover_sections
from rapport.domain.api_keys import Role
from rapport.embedded.supervisor.ports import find_free_port
from tests.fixtures.api import PEPPER
from tests.fixtures.processes import ServerProcess, is_serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World
    from tests.fixtures.api import CallerFactory

EXAMPLE = Path(__file__).parents[3] / "examples" / "loyalty_section"
HANGING = """
import threading
from rapport.application.profiles.sections import profile_section

@profile_section("hanging")
async def hanging(context):
    threading.Event().wait()

@profile_section("failing")
def failing(context):
    return 1 / 0
"""
ENTRY_POINTS = "[rapport.profile_sections]\nhanging = troublesome:hanging\nfailing = troublesome:failing\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example package and one with faulty sections into a directory."""
    target = tmp_path_factory.mktemp("packages")
    argv = [sys.executable, "-m", "uv", "pip", "install", "--offline", "--no-deps", "--no-build-isolation"]
    subprocess.run([*argv, "--target", str(target), str(EXAMPLE)], check=True, capture_output=True)
    (target / "troublesome.py").write_text(HANGING, "utf-8")
    about = target / "troublesome-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: troublesome\nVersion: 1\n", "utf-8")
    (about / "entry_points.txt").write_text(ENTRY_POINTS, "utf-8")
    return target


@pytest.fixture
def url(api_world: World, installed: Path, tmp_path: Path) -> Iterator[str]:
    """Start a process of the API that finds these packages."""
    port = find_free_port()
    process = ServerProcess("API", tmp_path / "api.log")
    variables = {
        "PYTHONPATH": os.pathsep.join((str(installed), os.environ.get("PYTHONPATH", ""))),
        "RAPPORT_API_KEY_PEPPER": PEPPER,
        "RAPPORT_API_PORT": str(port),
        "RAPPORT_API_PROFILE_SECTION_S": "5",
    }
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "rapport", "api"]
    process.start(
        argv,
        lambda: asyncio.to_thread(is_serving, url),
        env=os.environ | api_world.env | variables,
        cwd=EXAMPLE.parents[1],
        seconds=60,
    )
    try:
        yield url
    finally:
        process.stop()


def test_an_installed_section_is_in_profiles_and_a_failing_one_affects_no_other(url: str, new_caller: CallerFactory):
    caller = new_caller()
    bought: dict[str, Any] = {"customerId": "ann", "outcome": "convert", "conversionValue": 300.5, "offerId": "loan"}
    caller.record(bought)
    caller.read("/interaction-history", params={"customerId": "ann"})

    def profile(query: str) -> dict[str, Any]:
        path = f"{url}/api/v1/customers/ann/unified-profile{query}"
        answer = httpx.get(path, headers={"X-API-Key": caller.keys[Role.VIEWER]}, timeout=30)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    card = [{"tier": "silver", "points": 300}]
    assert profile("?sections=loyalty")["sections"] == [{"name": "loyalty", "data": card}]
    whole = {one["name"]: one for one in profile("")["sections"]}
    assert whole["loyalty"]["data"] == card
    assert {name: one["error"]["code"] for name, one in whole.items() if "error" in one} == {
        "hanging": "TIMEOUT",
        "failing": "FAILED",
    }
    assert [one["offerId"] for one in whole["interactions"]["data"]] == ["loan"]
    structured = profile("?format=structured")
    assert structured["extensions"] == {"loyalty": card}
    assert {one["section"] for one in structured["errors"]} == {"hanging", "failing"}
    assert structured["interactions"]["totals"]["converts"] == 1


def test_sections_that_cannot_be_loaded_or_have_a_taken_name_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    text = "from rapport.application.profiles.sections import profile_section\n\n"
    text += "def of(name):\n    return profile_section(name)(lambda context: [])\n\n"
    text += "a, b, twin, consent, other = of('a'), of('b'), of('b'), of('consent'), 1\n"
    (tmp_path / "sections_of_a_test.py").write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    names = ("a", "b", "twin", "consent", "other", "missing")
    entries = [EntryPoint(name, f"sections_of_a_test:{name}", sections.GROUP) for name in names]
    monkeypatch.setattr(sections, "entry_points", lambda group: [one for one in entries if one.group == group])
    assert [one.name for one in discover_sections({"consent"})] == ["a", "b"]
