"""What all tests share: fixtures, and how tests are spread over the processes of pytest-xdist."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import pytest
from hypothesis import settings

settings.register_profile("rapport", deadline=None)  # a busy machine breaks no law
settings.load_profile("rapport")

pytest_plugins = [
    "tests.fixtures.api",
    "tests.fixtures.broker",
    "tests.fixtures.clickhouse",
    "tests.fixtures.demo",
    "tests.fixtures.redis_server",
    "tests.fixtures.store",
]

LONG: Final = ("tests/docs", "tests/faults", "tests/kafka", "tests/e2e", "tests/cli", "tests/embedded", "tests/broker")
"""Folders whose files take long: they come first, so that no process is left with one of them at the end."""


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Keep the tests of a file in one process, and all that use the demo in another: each starts what it needs once."""
    for item in items:  # before pytest-xdist looks
        path = item.nodeid.partition("::")[0]
        group = "demo" if "demo" in getattr(item, "fixturenames", ()) else path
        item.add_marker(pytest.mark.xdist_group(group))
    yield
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))  # after pytest-randomly has shuffled
