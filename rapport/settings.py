"""Every setting of Rapport, read from the environment in one place and only by process entry points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from rapport.domain.events import DEAD_LETTER_TOPIC, TOPIC

T = TypeVar("T", bound=msgspec.Struct)


class SettingsError(ValueError):
    """Faults in the environment, all of them at once, one a line."""


class Secret:
    """A value that does not print."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach Kafka and what the topics are called."""

    bootstrap: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str = ""
    sasl_password: Secret = Secret("")
    ssl_cafile: str = ""
    topic: str = TOPIC
    dead_letter_topic: str = DEAD_LETTER_TOPIC
    partitions: int = 4
    replication_factor: int = 1
    create_topics: bool = True
    """Off where an operator creates topics; a worker then waits for the source topic to appear."""
    group_id: str = "rapport"
    idempotent_producer: bool = True
    """Off for the embedded broker, which does not know producer ids; the idempotency keys guard against repeats."""
    session_timeout_s: float = 6.0
    rebalance_timeout_s: float = 4.0
    """Short on purpose: the embedded broker waits half of it at each join."""


class ClickHouseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach ClickHouse."""

    url: str = "http://127.0.0.1:8123"
    user: str = "default"
    password: Secret = Secret("")
    database: str = "rapport"
    timeout_s: float = 30.0
    insert_quorum: int = 0
    """On a replicated cluster: how many replicas acknowledge a write; reads are then sequentially consistent."""


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream worker batches and reports."""

    consumer: Literal["lean", "stock"] = "lean"
    batch_max_events: int = 20_000
    batch_max_bytes: int = 32 * 1024 * 1024
    batch_max_age_ms: int = 100
    dedup_horizon_hours: int = 168
    claim_timeout_s: float = 60.0
    refresh_s: float = 3.0
    """How often tenants, outcome types and repair requests are looked up."""
    host: str = "127.0.0.1"
    port: int = 9180
    """Serves /metrics and /health/*; 0 takes a free port."""
    fail_at: str = ""
    """For fault tests only: the step at which the process kills itself (see pipeline.faults)."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a Rapport process can be told."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    worker: WorkerSettings = WorkerSettings()
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def from_env(env: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables.

    Raises:
        SettingsError: Listing every variable that is wrong, and what would have been right.
    """
    faults: list[str] = []
    settings = Settings(
        kafka=_section(KafkaSettings, "KAFKA_", env, faults),
        clickhouse=_section(ClickHouseSettings, "CLICKHOUSE_", env, faults),
        worker=_section(WorkerSettings, "RAPPORT_WORKER_", env, faults),
        log_format=_value("RAPPORT_LOG_FORMAT", env, Settings, "log_format", faults),
        log_level=_value("RAPPORT_LOG_LEVEL", env, Settings, "log_level", faults),
    )
    faults += _contradictions(settings)
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _section(struct: type[T], prefix: str, env: Mapping[str, str], faults: list[str]) -> T:
    names = [field.name for field in msgspec.structs.fields(struct)]
    return struct(**{name: _value(prefix + name.upper(), env, struct, name, faults) for name in names})


def _value(variable: str, env: Mapping[str, str], struct: type[msgspec.Struct], name: str, faults: list[str]) -> Any:  # noqa: ANN401 - the type is the field's own
    field = next(f for f in msgspec.structs.fields(struct) if f.name == name)
    if variable not in env:
        return field.default
    text = env[variable]
    if field.type is Secret:
        return Secret(text)
    try:
        return msgspec.convert(text, field.type, strict=False)
    except msgspec.ValidationError as error:
        faults.append(f"{variable}={text!r}: {error}")
        return field.default


def _contradictions(settings: Settings) -> list[str]:
    worker, kafka, clickhouse = settings.worker, settings.kafka, settings.clickhouse
    checks = [
        (_is_http_url(clickhouse.url), "CLICKHOUSE_URL must be http(s)://host:port"),
        (clickhouse.timeout_s > 0, "CLICKHOUSE_TIMEOUT_S must be above 0"),
        (kafka.partitions >= 1, "KAFKA_PARTITIONS must be at least 1"),
        (worker.batch_max_events >= 1, "RAPPORT_WORKER_BATCH_MAX_EVENTS must be at least 1"),
        (worker.batch_max_bytes >= 1, "RAPPORT_WORKER_BATCH_MAX_BYTES must be at least 1"),
        (worker.batch_max_age_ms >= 0, "RAPPORT_WORKER_BATCH_MAX_AGE_MS must be at least 0"),
        (
            1 <= worker.dedup_horizon_hours <= 168,
            "RAPPORT_WORKER_DEDUP_HORIZON_HOURS must lie between 1 and 168: claims are kept for nine days",
        ),
        (worker.claim_timeout_s > 0, "RAPPORT_WORKER_CLAIM_TIMEOUT_S must be above 0"),
        (worker.refresh_s > 0, "RAPPORT_WORKER_REFRESH_S must be above 0"),
        (0 <= worker.port <= 65_535, "RAPPORT_WORKER_PORT must lie between 0 and 65535"),
        (
            0 < kafka.rebalance_timeout_s < kafka.session_timeout_s,
            "KAFKA_REBALANCE_TIMEOUT_S must lie above 0 and below KAFKA_SESSION_TIMEOUT_S",
        ),
    ]
    return [message for holds, message in checks if not holds]


def _is_http_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
