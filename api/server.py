"""The API's processes: Granian serves the application that :func:`build` makes in each of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from granian import Granian
from granian.constants import Interfaces

from api.app import create_app
from api.limits import parse_route_limits
from rapport.garbage import collect_rarely
from rapport.logs import configure_logs
from rapport.settings import SettingsError, from_env

if TYPE_CHECKING:
    from api.observation import Observed
    from rapport.settings import Settings

log = structlog.get_logger(__name__)
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"


def build() -> Observed:
    """Make the application of one worker process, from the environment."""
    settings = from_env(os.environ)
    configure_logs(settings)
    app = create_app(settings)
    collect_rarely()
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
    if api.workers > 1 and api.shared_state == "memory":
        log.warning(
            "the processes do not know of each other: a tenant may ask that many times as often as its limit says,"
            " and simultaneous requests may exceed caps; set RAPPORT_API_SHARED_STATE",
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
        ).serve()
    finally:
        if shared:
            shutil.rmtree(Path(shared), ignore_errors=True)


def check(settings: Settings) -> None:
    """Check what only the API needs.

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
