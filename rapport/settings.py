"""Settings of Rapport, read from the environment in one place and only by process entry points."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from rapport.domain.events import DEAD_LETTER_TOPIC, TOPIC
from rapport.domain.profiles.clv import ClvRules
from rapport.state_url import parse_state_url

T = TypeVar("T", bound=msgspec.Struct)
MIN_PEPPER_LENGTH = 16
MAX_REFRESH_S = 5.0
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


class SettingsError(ValueError):
    """Faults in the environment, all of them at once, one a line."""


class Secret:
    """Text that does not print."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Kafka connection, topics and client options."""

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
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "zstd"
    """Compression of produced messages; any compression can be read."""
    session_timeout_s: float = 6.0
    rebalance_timeout_s: float = 4.0
    """Short on purpose: the embedded broker waits half of it at each join."""


class ClickHouseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """ClickHouse connection."""

    url: str = "http://127.0.0.1:8123"
    """May name a user and a password, which then take precedence over those below."""
    user: str = "default"
    password: Secret = Secret("")
    database: str = "rapport"
    timeout_s: float = 30.0
    insert_quorum: int = 0
    """On a replicated cluster: how many replicas acknowledge a write; reads are then sequentially consistent."""


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Batches, refreshes and reports of a stream worker."""

    consumer: Literal["lean", "stock"] = "lean"
    batch_max_events: int = 20_000
    batch_max_bytes: int = 32 * 1024 * 1024
    batch_max_age_ms: int = 500
    block_events: int = 65_536
    """Events of a source's log that summary rows count together. All workers must have the same number; change it only
    after every worker has stopped in an orderly way."""
    dedup_horizon_hours: int = 168
    claim_timeout_s: float = 60.0
    claim_memory_mb: int = 256
    """Megabytes for the keys of claims, two for each million events within the horizon and two days; with more events a
    batch looks up all its keys in ClickHouse."""
    refresh_s: float = 3.0
    """Seconds between refreshes of tenants, outcome types and repair requests."""
    journeys_s: float = 1.0
    """Seconds between checks for new entries into journeys and for due enrolments."""
    host: str = "127.0.0.1"
    port: int = 9180
    """Serves /metrics and /health/*; 0 takes a free port."""
    fail_at: str = ""
    """For fault tests only: the step at which the process kills itself (see pipeline.faults)."""


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Network, authentication, limits and caches of the API."""

    host: str = "127.0.0.1"
    port: int = 3000
    workers: int = 1
    """Processes that share the port."""
    key_pepper: Secret = Secret("")
    """Keys are stored as HMAC-SHA256 under it; without it every request is refused. At least 16 characters."""
    trusted_tenant: str = ""
    """For development, on loopback only: requests that name this tenant in X-Tenant-Id need no key."""
    trusted_proxies: str = ""
    """Networks, as CIDRs with commas between, whose X-Forwarded-For is trusted. Without any, no visitor is recognised
    by address and browser."""
    route_limits: str = ""
    """Limits below the tenant's, such as ``POST /api/v1/respond=600; GET /api/v1/interaction-history=60`` a minute."""
    max_body_bytes: int = 1_048_576
    max_bulk_bytes: int = 10_485_760
    body_budget_bytes: int = 67_108_864
    """Most bytes of bodies that a process holds at the same time; a tenant's at most half of them."""
    body_s: float = 30.0
    """Longest time for a body to arrive."""
    idle_s: float = 30.0
    """Longest time that a connection may stay without a complete head of a request."""
    max_connections: int = 10_000
    """Most connections of each process; fewer where the system allows fewer open files."""
    kafka_timeout_s: float = 5.0
    """Longest wait of a write for Kafka's acknowledgement before it answers 503."""
    loader: bool = True
    """Reads that arrive together share one query (request coalescing)."""
    loader_max_batch: int = 128
    reservation_s: float = 900.0
    """Lifetime of a reservation until its impression is reported; then it lapses."""
    key_cache_s: float = 10.0
    """Lifetime of a cached key; revocation takes effect within it."""
    segment_refresh_s: float = 300.0
    """Oldest age of an active segment's members before they are computed again."""
    clv_max_age_s: float = 86_400.0
    """Oldest age of customers' lifetime values before they are computed again."""
    profile_section_s: float = 2.0
    """Longest wait of a unified profile for each of its sections."""
    profile_retention_days: float = 30.0
    """Days without a read or change after which a contact profile expires; 0 for never."""


class JobSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Lease, metrics and health of the process that runs the background jobs."""

    host: str = "127.0.0.1"
    port: int = 9170
    """Serves /metrics and /health/*; 0 takes a free port."""
    lease_s: float = 15.0
    """Silence of the process that runs the jobs after which another takes over."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a Rapport process."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    worker: WorkerSettings = WorkerSettings()
    api: ApiSettings = ApiSettings()
    jobs: JobSettings = JobSettings()
    clv: ClvRules = ClvRules()
    state_url: Secret = Secret("")
    """Valkey or Redis, with the state that processes share and the customer states of decisions; empty for none."""
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def from_env(env: Mapping[str, str]) -> Settings:
    """Build the settings from environment variables.

    Raises:
        SettingsError: With every variable that is wrong, and what would have been right.
    """
    faults: list[str] = []
    settings = Settings(
        kafka=_read_section(KafkaSettings, "KAFKA_", env, faults),
        clickhouse=_read_section(ClickHouseSettings, "CLICKHOUSE_", env, faults),
        worker=_read_section(WorkerSettings, "RAPPORT_WORKER_", env, faults),
        api=_read_section(ApiSettings, "RAPPORT_API_", env, faults),
        jobs=_read_section(JobSettings, "RAPPORT_JOBS_", env, faults),
        clv=_read_section(ClvRules, "RAPPORT_CLV_", env, faults),
        state_url=_read_value("RAPPORT_STATE_URL", env, Settings, "state_url", faults),
        log_format=_read_value("RAPPORT_LOG_FORMAT", env, Settings, "log_format", faults),
        log_level=_read_value("RAPPORT_LOG_LEVEL", env, Settings, "log_level", faults),
    )
    faults += _find_contradictions(settings)
    if "RAPPORT_API_SHARED_STATE" in env:  # ignored, it would quietly give each process its own state
        faults.append("RAPPORT_API_SHARED_STATE is called RAPPORT_STATE_URL; for memory, leave it out")
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _read_section(struct: type[T], prefix: str, env: Mapping[str, str], faults: list[str]) -> T:
    names = [field.name for field in msgspec.structs.fields(struct)]
    return struct(**{name: _read_value(prefix + name.upper(), env, struct, name, faults) for name in names})


def _read_value(
    variable: str, env: Mapping[str, str], struct: type[msgspec.Struct], name: str, faults: list[str]
) -> Any:  # noqa: ANN401 - the type is the field's own
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


def _find_contradictions(settings: Settings) -> list[str]:
    worker, kafka, clickhouse, api = settings.worker, settings.kafka, settings.clickhouse, settings.api
    checks = [
        (_is_http_url(clickhouse.url), "CLICKHOUSE_URL must be http(s)://host:port"),
        (clickhouse.timeout_s > 0, "CLICKHOUSE_TIMEOUT_S must be above 0"),
        (kafka.partitions >= 1, "KAFKA_PARTITIONS must be at least 1"),
        (worker.batch_max_events >= 1, "RAPPORT_WORKER_BATCH_MAX_EVENTS must be at least 1"),
        (worker.batch_max_bytes >= 1, "RAPPORT_WORKER_BATCH_MAX_BYTES must be at least 1"),
        (worker.block_events >= 1, "RAPPORT_WORKER_BLOCK_EVENTS must be at least 1"),
        (worker.batch_max_age_ms >= 0, "RAPPORT_WORKER_BATCH_MAX_AGE_MS must be at least 0"),
        (
            1 <= worker.dedup_horizon_hours <= 168,
            "RAPPORT_WORKER_DEDUP_HORIZON_HOURS must lie between 1 and 168: claims are kept for nine days",
        ),
        (worker.claim_timeout_s > 0, "RAPPORT_WORKER_CLAIM_TIMEOUT_S must be above 0"),
        (worker.claim_memory_mb >= 0, "RAPPORT_WORKER_CLAIM_MEMORY_MB must be at least 0"),
        (
            0 < worker.refresh_s <= MAX_REFRESH_S,
            f"RAPPORT_WORKER_REFRESH_S must lie above 0 and not above {MAX_REFRESH_S:g}: so soon outcome types change",
        ),
        (worker.journeys_s > 0, "RAPPORT_WORKER_JOURNEYS_S must be above 0"),
        (0 <= worker.port <= 65_535, "RAPPORT_WORKER_PORT must lie between 0 and 65535"),
        (0 <= api.port <= 65_535, "RAPPORT_API_PORT must lie between 0 and 65535"),
        (0 <= settings.jobs.port <= 65_535, "RAPPORT_JOBS_PORT must lie between 0 and 65535"),
        (0.5 <= settings.jobs.lease_s <= 600, "RAPPORT_JOBS_LEASE_S must lie between 0.5 and 600"),
        (1 <= api.workers <= 64, "RAPPORT_API_WORKERS must lie between 1 and 64"),
        (
            not api.key_pepper.reveal() or len(api.key_pepper.reveal()) >= MIN_PEPPER_LENGTH,
            f"RAPPORT_API_KEY_PEPPER must have at least {MIN_PEPPER_LENGTH} characters",
        ),
        (
            not api.trusted_tenant or api.host in LOOPBACK_HOSTS,
            f"RAPPORT_API_TRUSTED_TENANT is for RAPPORT_API_HOST={' or '.join(LOOPBACK_HOSTS)}: it asks for no key",
        ),
        (_are_networks(api.trusted_proxies), "RAPPORT_API_TRUSTED_PROXIES must be CIDRs such as 10.0.0.0/8, fd00::/8"),
        (api.max_body_bytes >= 1_024, "RAPPORT_API_MAX_BODY_BYTES must be at least 1024"),
        (api.max_bulk_bytes >= api.max_body_bytes, "RAPPORT_API_MAX_BULK_BYTES must not lie below MAX_BODY_BYTES"),
        (
            api.body_budget_bytes >= 4 * api.max_bulk_bytes,
            "RAPPORT_API_BODY_BUDGET_BYTES must be at least four times MAX_BULK_BYTES: a tenant gets half of it",
        ),
        (0 < api.body_s <= 600, "RAPPORT_API_BODY_S must lie above 0 and not above 600"),
        (0.1 <= api.idle_s <= 600, "RAPPORT_API_IDLE_S must lie between 0.1 and 600"),
        (16 <= api.max_connections <= 1_000_000, "RAPPORT_API_MAX_CONNECTIONS must lie between 16 and 1000000"),
        (api.kafka_timeout_s > 0, "RAPPORT_API_KAFKA_TIMEOUT_S must be above 0"),
        (0 < api.reservation_s <= 86_400, "RAPPORT_API_RESERVATION_S must lie above 0 and not above 86400"),
        (1 <= api.loader_max_batch <= 1_000, "RAPPORT_API_LOADER_MAX_BATCH must lie between 1 and 1000"),
        (
            0 <= api.profile_retention_days <= 36_500,
            "RAPPORT_API_PROFILE_RETENTION_DAYS must lie between 0 and 36500",
        ),
        (api.clv_max_age_s >= 0, "RAPPORT_API_CLV_MAX_AGE_S must not lie below 0"),
        (0 < api.profile_section_s <= 30, "RAPPORT_API_PROFILE_SECTION_S must lie above 0 and not above 30"),
        (settings.clv.is_sound, "RAPPORT_CLV_ weights and days must not lie below 0, nor all weights or months be 0"),
        (api.segment_refresh_s >= 5, "RAPPORT_API_SEGMENT_REFRESH_S must be at least 5"),
        (0 < api.key_cache_s <= 15, "RAPPORT_API_KEY_CACHE_S must lie above 0 and not above 15"),
        (
            0 < kafka.rebalance_timeout_s < kafka.session_timeout_s,
            "KAFKA_REBALANCE_TIMEOUT_S must lie above 0 and below KAFKA_SESSION_TIMEOUT_S",
        ),
    ]
    return [message for holds, message in checks if not holds] + _find_state_faults(settings.state_url)


def _find_state_faults(url: Secret) -> list[str]:
    try:
        if url.reveal():
            parse_state_url(url.reveal())
    except ValueError as error:
        return [f"RAPPORT_STATE_URL {error}"]
    return []


def parse_networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Parse networks as CIDRs, or single addresses, with commas between.

    Raises:
        ValueError: One of them is none, or has bits set beyond its length.
    """
    return [ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()]


def _are_networks(text: str) -> bool:
    try:
        parse_networks(text)
    except ValueError:
        return False
    return True


def _is_http_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
