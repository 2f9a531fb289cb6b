"""Address of the state that processes share: the value of ``RAPPORT_STATE_URL``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote

StateMode = Literal["single", "sentinel", "cluster"]
PORT: Final = 6379
SENTINEL_PORT: Final = 26_379
_FORMS: Final = (
    "redis://host:port (or rediss, valkey, valkeys), unix:///path, redis+sentinel://host:port,host:port/service or "
    "redis+cluster://host:port,host:port"
)
_MODES: Final[dict[str, StateMode]] = {"": "single", "unix": "single", "sentinel": "sentinel", "cluster": "cluster"}
_TLS: Final = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateUrl:
    """Address of a Valkey or Redis.

    Attributes:
        mode: One server, or sentinels that know the current one, or the nodes of a cluster.
        hosts: Host and port of the server, of the sentinels, or of some nodes; empty with a socket.
        socket: Path of a Unix socket; empty without one.
        service: Name of the service that sentinels watch; empty in other modes.
        database: Number of the database; a cluster has one only.
        username: Of the servers; empty for the default user.
        password: Of the servers; empty without one.
        sentinel_password: Of the sentinels; empty without one.
        is_encrypted: Whether connections use TLS.
    """

    mode: StateMode
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    service: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)
    is_encrypted: bool = False


def parse_state_url(text: str) -> StateUrl:
    """Parse a URL; users and passwords may be percent-encoded.

    Raises:
        ValueError: Saying what would be right, and nothing of the URL, which may hold a password.
    """
    scheme, separator, rest = text.partition("://")
    family, _, kind = ("redis", "", "unix") if scheme == "unix" else scheme.partition("+")
    if not separator or family not in _TLS or kind not in _MODES:
        raise ValueError(f"must be {_FORMS}")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    login, _, places = netloc.rpartition("@")
    username, _, password = login.partition(":")
    mode = _MODES[kind]
    is_socket = kind == "unix"
    if is_socket and (places or not path):
        raise ValueError("must name a socket by its absolute path, as in unix:///run/valkey.sock")
    if mode == "sentinel" and (not path or "/" in path):
        raise ValueError(
            "must end in the name of the service that the sentinels watch, as in redis+sentinel://a,b/main"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    sentinel_password = options.pop("sentinel_password", "")
    if sentinel_password and mode != "sentinel":
        raise ValueError("has a sentinel_password, but no sentinels: begin with redis+sentinel://")
    return StateUrl(
        mode=mode,
        hosts=() if is_socket else _parse_hosts(places, mode),
        socket=slash + unquote(path) if is_socket else "",
        service=unquote(path) if mode == "sentinel" else "",
        database=_parse_database("" if is_socket or mode == "sentinel" else path, options, mode),
        username=unquote(username),
        password=unquote(password),
        sentinel_password=sentinel_password,
        is_encrypted=_TLS[family],
    )


def _parse_hosts(places: str, mode: StateMode) -> tuple[tuple[str, int], ...]:
    hosts = tuple(_parse_host(place, SENTINEL_PORT if mode == "sentinel" else PORT) for place in places.split(","))
    if mode == "single" and len(hosts) > 1:
        raise ValueError("names several hosts: begin with redis+sentinel:// or redis+cluster://")
    return hosts


def _parse_host(place: str, default_port: int) -> tuple[str, int]:
    """Parse ``host``, ``host:port`` or ``[IPv6 address]:port``."""
    name, separator, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not separator:
        name, port = place, str(default_port)
    name = name.removeprefix("[").removesuffix("]")
    if not name or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65_535:
        raise ValueError("must name each host as host:port")
    return name, int(port)


def _parse_database(path: str, options: dict[str, str], mode: StateMode) -> int:
    number = options.pop("db", path or "0")
    if options:
        raise ValueError("takes no options but db and sentinel_password, as in ?db=1")
    if not (number.isascii() and number.isdigit()) or int(number) > 65_535:
        raise ValueError("must number its database, as in redis://host:port/1")
    if mode == "cluster" and (int(number) or path):
        raise ValueError("must name no database: a cluster has one only")
    return int(number)
