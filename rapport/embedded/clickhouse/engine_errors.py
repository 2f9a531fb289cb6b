"""Errors of the embedded endpoint, with the words and numbers of ClickHouse's HTTP interface."""

from __future__ import annotations

import re
from typing import Final

_CODE = re.compile(r"Code: (\d+)\.")
_NAMES: Final = {
    36: "BAD_ARGUMENTS",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    78: "UNKNOWN_TYPE_OF_QUERY",
    115: "UNKNOWN_SETTING",
    164: "READONLY",
    194: "REQUIRED_PASSWORD",
    229: "QUERY_IS_TOO_LARGE",
    243: "NOT_ENOUGH_SPACE",
    271: "CANNOT_DECOMPRESS",
    358: "INTO_OUTFILE_NOT_ALLOWED",
    372: "SESSION_NOT_FOUND",
    373: "SESSION_IS_LOCKED",
    374: "INVALID_SESSION_TIMEOUT",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
    1002: "UNKNOWN_EXCEPTION",
}
_STATUS_OF_CODES: Final = {
    401: (194,),
    403: (192, 193, 497, 512, 516),
    # what the client wrote cannot be read: syntax, literals, types of values
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
    # a name that is not there: table, function, identifier, type, engine, database, setting, format, role
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    503: (76, 209, 439),
}
_STATUS: Final = {code: status for status, codes in _STATUS_OF_CODES.items() for code in codes}


class EngineError(Exception):
    """A failed query, with the error a ClickHouse server would send.

    Attributes:
        code: ClickHouse's error number.
        message: The error text, from ``Code: N. DB::Exception:`` on.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """HTTP status that ClickHouse answers this code with (its exceptionCodeToHTTPStatus)."""
        return _STATUS.get(self.code, 500)


def read_failure(text: str) -> EngineError:
    """Turn the text of an exception raised by chDB into an error.

    chDB prefixes some texts ("Streaming query failed: "); ClickHouse's own text starts at ``Code: ``.
    """
    found = _CODE.search(text)
    if found is None:
        return refuse(1002, text or "the engine failed without a message")
    return EngineError(int(found.group(1)), text[found.start() :].strip())


def refuse(code: int, reason: str) -> EngineError:
    """Return an error that the endpoint itself raises, worded as ClickHouse words its own.

    Args:
        code: One of ClickHouse's numbers.
        reason: The reason, without a full stop.
    """
    return EngineError(code, f"Code: {code}. DB::Exception: {reason}. ({_NAMES[code]})")
