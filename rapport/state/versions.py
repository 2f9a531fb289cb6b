"""Keys and script of the versions that processes share, see :mod:`rapport.domain.tenant_versions`."""

from __future__ import annotations

from typing import Final

from rapport.state.shared_state import name_of_tenant

# KEYS: the versions of a tenant. ARGV: the kind. The time in microseconds, so that versions grow after a restart too.
RAISE_VERSION: Final = """
local time, last = redis.call('TIME'), tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local version = math.max(time[1] * 1000000 + time[2], last + 1)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', version))
return string.format('%.0f', version)
"""


def make_versions_key(tenant_id: str) -> str:
    """Return the key of the versions of a tenant, a hash by kind; on the node that counts the tenant's requests."""
    return f"rapport:versions:{name_of_tenant(tenant_id)}"
