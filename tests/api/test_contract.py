"""The running API against its own OpenAPI document: schemathesis, with every check, over a real connection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from api.catalogue.resources import RESOURCES
from rapport.domain.api_keys import Role
from tests.fixtures.api_process import running_api_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.world import World
    from tests.fixtures.api import CallerFactory

ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
SEED: Final = 20_260_430
SECONDS: Final = 900.0


@pytest.fixture(scope="module")
def api_url(api_world: World) -> Iterator[str]:
    """The address of an API in a process of its own, as in production."""
    with running_api_process(api_world, RAPPORT_API_ROUTE_LIMITS="POST /api/v1/dsar=1000000") as url:
        yield url


SAME: Final = (
    rf"^/api/v1({'|'.join(one.path for one in RESOURCES if one.path != '/offers')})(/{{entity_id}}(/versions)?)?$"
)
"""Routes that are made by the same code as those of offers."""


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--phases=examples,fuzzing", f"--exclude-path-regex={SAME}", "--max-examples=5"], id="quick"),
        pytest.param(["--phases=examples,coverage,fuzzing", "--max-examples=20"], id="whole", marks=pytest.mark.slow),
    ],
)
def test_the_api_is_what_its_document_says(
    api_url: str, new_caller: CallerFactory, tmp_path: Path, options: Sequence[str]
):
    caller = new_caller(requests_per_minute=10_000_000)
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            f"--config-file={CONFIG}",
            "run",
            f"{api_url}/docs/openapi.json",
            f"--header=X-API-Key: {caller.keys[Role.ADMIN]}",
            "--checks=all",
            f"--seed={SEED}",
            "--workers=1",  # more threads meet a fault of CPython 3.11: AST constructor recursion depth mismatch
            "--warnings=off",
            "--continue-on-failure",
            "--no-shrink",
            "--no-color",
            *options,
        ],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-30_000:]
