"""API keys of the caller's tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.api_keys.controller import ApiKeyController
from api.api_keys.service import ApiKeyService
from api.http.areas import Area

if TYPE_CHECKING:
    from api.runtime.runtime import Runtime


def build_api_keys(runtime: Runtime) -> Area:
    """Build the area from the database of the process and the pepper."""
    keys = ApiKeyService(runtime.database, runtime.settings.api.key_pepper.reveal())
    return Area(controllers=[ApiKeyController], services={"api_keys": keys})
