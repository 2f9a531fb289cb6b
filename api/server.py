"""The API's processes: Granian serves the application that :func:`build` makes in each of them."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from api.app import create_app
from api.auth.rate_limit import parse_route_limits
from rapport.embedded.supervisor.child import die_with
from rapport.garbage import collect_rarely
from rapport.logs import configure_logs
from rapport.settings import SettingsError, from_env

if TYPE_CHECKING:
    from api.http.access_log import ObservedApp
    from rapport.settings import Settings

log = structlog.get_logger(__name__)
TURN_S: Final = 0.001
"""How long a thread that computes may keep the loop waiting for the interpreter; Python's own is five times that."""
KEPT_FILES: Final = 256
"""Open files of a process that are no connections of clients."""
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"


def build() -> ObservedApp:
    """Make the application of one worker process, from the environment.

    It dies with the process that started it: a worker left behind by a kill -9 would go on serving the port.
    """
    die_with(os.getppid())
    settings = from_env(os.environ)
    configure_logs(settings)
    app = create_app(settings)
    collect_rarely()
    sys.setswitchinterval(TURN_S)
    return app


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        SettingsError: The API cannot run with these settings.
    """
    check(settings)
    api = settings.api
    if api.trusted_tenant:
        log.warning(
            "DEVELOPMENT SWITCH: requests from this machine that name the trusted tenant in X-Tenant-Id need no key",
            tenant=api.trusted_tenant,
        )
    if api.workers > 1 and not settings.state_url.reveal():
        log.warning(
            "the processes do not know of each other: a tenant may ask that many times as often as its limit says,"
            " and simultaneous requests may exceed caps; set RAPPORT_STATE_URL",
            processes=api.workers,
        )
    shared = tempfile.mkdtemp(prefix="rapport-metrics-") if api.workers > 1 else ""
    if shared:
        os.environ[MULTIPROCESS_DIR] = shared
    try:
        Granian(
            "api.server:build",
            factory=True,
            address=api.host,
            port=api.port,
            interface=Interfaces.ASGI,
            workers=api.workers,
            log_enabled=False,
            respawn_failed_workers=True,
            workers_kill_timeout=20,
            backlog=2_048,
            # By default it is the backlog divided by the workers, in connections: idle ones would lock everybody out.
            backpressure=allowed_connections(api.max_connections),
            # HTTP/2 is the proxy's business; its detection would wait for ever for a client that says nothing.
            http=HTTPModes.http1,
            websockets=False,
            http1_settings=HTTP1Settings(header_read_timeout=int(api.idle_s * 1000)),
        ).serve()
    finally:
        if shared:
            shutil.rmtree(Path(shared), ignore_errors=True)


def allowed_connections(wanted: int) -> int:
    """Raise the limit of open files as far as the system lets us, and return how many connections fit below it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + KEPT_FILES:
        soft = wanted + KEPT_FILES if hard == resource.RLIM_INFINITY else min(hard, wanted + KEPT_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft == resource.RLIM_INFINITY else max(min(wanted, soft - KEPT_FILES), 16)
    if allowed < wanted:
        log.warning("the limit of open files allows fewer connections than wanted", allowed=allowed, wanted=wanted)
    return allowed


def check(settings: Settings) -> None:
    """Check the settings that only the API needs.

    Raises:
        SettingsError: Listing every fault.
    """
    faults = []
    if not settings.api.key_pepper.reveal():
        faults.append("RAPPORT_API_KEY_PEPPER must be set: API keys are stored as HMAC-SHA256 under it")
    try:
        parse_route_limits(settings.api.route_limits)
    except SettingsError as error:
        faults.append(str(error))
    if faults:
        raise SettingsError("\n".join(faults))
