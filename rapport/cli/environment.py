"""Settings, logs and the database connection of a command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from rapport.logs import configure_logs
from rapport.settings import Settings, from_env
from rapport.state.change_announcer import make_change_announcer
from rapport.storage.client import connect

if TYPE_CHECKING:
    from rapport.storage.client import Store

STATEMENT_TIMEOUT_S: Final = 3_600.0


class CliError(Exception):
    """Failure of a command; the text says why and names a command or value that would work."""


def read_settings() -> Settings:
    """Read the settings from the environment and set up logs accordingly.

    Raises:
        SettingsError: Lists every fault.
    """
    settings = from_env(os.environ)
    configure_logs(settings)
    return settings


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Connect to ClickHouse for the length of a command, which may read whole tables: answers may take an hour.

    Raises:
        StorageError: The server does not answer or refuses.
    """
    patient = max(settings.clickhouse.timeout_s, STATEMENT_TIMEOUT_S)
    announcer = make_change_announcer(settings.state_url)
    store = connect(msgspec.structs.replace(settings.clickhouse, timeout_s=patient), announcer=announcer)
    try:
        yield store
    finally:
        store.close()
        if announcer is not None:
            announcer.close()
