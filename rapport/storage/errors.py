"""Errors of the store, divided by whether the call may be tried again."""

from __future__ import annotations

from typing import Final

TRANSIENT_CODES: Final = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE
        159,  # TIMEOUT_EXCEEDED
        198,  # DNS_ERROR
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        254,  # PARTITION IS BEING FETCHED
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        499,  # S3_ERROR
        999,  # KEEPER_EXCEPTION
    }
)

_NO_SPACE: Final = ("No space left on device", "Disk quota exceeded")
"""A full disk has different codes, depending on the call that met it, but always the system's text."""


def is_transient(code: int, message: str) -> bool:
    """Return whether a call that failed with this may succeed later; False for unknown codes."""
    return code in TRANSIENT_CODES or any(text in message for text in _NO_SPACE)


_LIMITS_OF_ONE_QUERY: Final = frozenset({159, 241})  # TIMEOUT_EXCEEDED, MEMORY_LIMIT_EXCEEDED


class StorageError(Exception):
    """A fault of the store. Never shown to a caller of the API: the text may hold SQL or hosts.

    Attributes:
        code: ClickHouse's error code, 0 where the server was not reached.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class TransientStorageError(StorageError):
    """The store is unavailable, slow or overloaded: the same call may succeed later."""


class TerminalStorageError(StorageError):
    """The call can never succeed as it is, or the code is unknown: do not repeat it."""


def is_away(error: Exception) -> bool:
    """Return whether an error says that the store is unavailable to all, not only that one query hit its limits."""
    return isinstance(error, TransientStorageError) and error.code not in _LIMITS_OF_ONE_QUERY
