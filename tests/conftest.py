"""Fixtures of all tests, and their order in the processes of pytest-xdist."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

settings.register_profile("rapport", deadline=None)  # a busy machine breaks no law
settings.load_profile("rapport")

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - pytest makes a directory of its own there
if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 4 << 30:
    # Every insert makes some ten files, and most of its time is a disk's file system looking for free inodes.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(SHARED_MEMORY))

pytest_plugins = [
    "tests.fixtures.redis_server",  # others import it
    "tests.fixtures.api",
    "tests.fixtures.broker",
    "tests.fixtures.clickhouse",
    "tests.fixtures.demo",
    "tests.fixtures.store",
]

LONG: Final = ("tests/docs", "tests/faults", "tests/kafka", "tests/e2e", "tests/cli", "tests/embedded", "tests/broker")
"""Folders whose files take long: they come first, so that no process is left with one of them at the end."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Collect without the garbage collector: CPython 3.11 fails to parse a module when it runs in between."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Begin with what takes long, once pytest-randomly has shuffled."""
    yield
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
