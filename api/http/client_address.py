"""Client address of a request, for authentication and anonymous visitors."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from rapport.settings import parse_networks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.connection import ASGIConnection

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORWARDING: Final = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "fly-client-ip",
        "forwarded",
        "forwarded-for",
        "true-client-ip",
        "via",
        "wl-proxy-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-original-host",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-ip",
    }
)
"""Headers of proxies, beside those that begin with ``x-forwarded``."""


class ClientAddresses:
    """Finds the address of the visitor for whom a request was sent.

    Args:
        trusted_proxies: The networks, as ``RAPPORT_API_TRUSTED_PROXIES`` has them, whose ``X-Forwarded-For`` is
            believed: reverse proxies, and applications that ask on behalf of their visitors.
    """

    def __init__(self, trusted_proxies: str) -> None:
        self._networks = parse_networks(trusted_proxies)

    def find(self, request: ASGIConnection[Any, Any, Any, Any]) -> str | None:
        """Return the visitor's address, or None where no trusted proxy tells it.

        Who holds an API key is an application as a rule, so the address it connects from is not the visitor's. Of
        several addresses in ``X-Forwarded-For`` the last one counts that is no trusted proxy's: what stands before
        it, anybody may have written.
        """
        peer = request.client and _address(request.client.host)
        if not peer or not self._is_trusted(peer):
            return None
        found = None
        for text in reversed(",".join(request.headers.getall("x-forwarded-for", [])).split(",")):
            found = _address(text)
            if found is None or not self._is_trusted(found):
                break
        return None if found is None else str(found)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Return whether a proxy has passed a request on, by the names of its headers (in lower case)."""
    return any(name in _FORWARDING or name.startswith("x-forwarded") for name in headers)


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(text: str) -> Address | None:
    """Read an address as proxies write it, with or without a port; IPv4 in IPv6 is IPv4."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
