"""Hostile inputs. Everything here is data; tests decide where it goes."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HUGE: Final = 10**399
NESTED: Final = "[" * 100_000


def nested(depth: int, *, leaf: str = "1") -> bytes:
    """Nest JSON objects."""
    return b'{"a":' * depth + leaf.encode() + b"}" * depth


TEXTS: Final[Sequence[str]] = (
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "%2e%2e%2f",
    "a/b",
    "a%2Fb",
    "a\0b",
    "\r\nX-Injected: 1",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1/a}",
    "\u202egnp.exe",
    "\ud83d\ude00" * 50,
    "a" * 257,
    "a" * 20_000,
    "undefined",
    "null",
    "-1",
    "1e999",
    "9" * 400,
    "9" * 5_000,
    "NaN",
    "0x7fffffff",
    "2026-99-99",
    "1773585000",
    "\uff11\uff12",
    "[/red]",
)
"""Values of parameters, headers and fields."""

JSON_VALUES: Final[Sequence[bytes]] = (
    b"null",
    b"true",
    b"0",
    b"-1",
    b"-0.0",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"9" * 400,
    b"9" * 5_000,
    b"0." + b"1" * 5_000,
    b"[]",
    b"{}",
    b'""',
    b'"\\u0000"',
    b'"\\ud800"',
    nested(65),
    nested(970),
    nested(5_000),
    b"[" * 65 + b"]" * 65,
    b"[" + b"1," * 50_000 + b"1]",
    b'{"' + b'a":1,"'.join(str(number).encode() for number in range(20_000)) + b'":1}',
    *(json.dumps(text).encode("utf-8", "surrogatepass") for text in TEXTS),
)
"""Values of fields, as JSON."""

BODIES: Final[Sequence[bytes]] = (
    b"",
    b"\0",
    b"{",
    b"[",
    b'{"a"',
    b"\xff\xfe{\0}\0",
    b"\xef\xbb\xbf{}",
    b'{"customerId":"\xff"}',
    b'{"customerId":"a","customerId":"b"}',
    NESTED.encode(),
    nested(200_000),
    b"nul",
    b"[" + b"{}," * 9_999 + b"{}]",
    b"1" * 100_000,
    b'"' + b"\\" * 99_999,
)
"""Bodies that are nothing, or nothing that was asked for."""

HEADERS: Final[Sequence[Mapping[str, str]]] = (
    {"Accept": ",".join(f"a/b{number};q=0.{number}" for number in range(2_000))},
    {"Accept": "*/*;q=" + "9" * 1_000},
    {"Content-Type": "application/json; " + "a=b;" * 1_000},
    {"Content-Type": "text/csv"},
    {"Content-Type": "application/x-ndjson"},
    {"Content-Type": "multipart/form-data; boundary=" + "x" * 500},
    {"Content-Encoding": "gzip"},
    {"If-Match": "9" * 5_000},
    {"If-None-Match": '"' * 2_000},
    {"Range": "bytes=0-," * 500},
    {"X-Min-Position": ",".join(f"{number}:9" for number in range(2_000))},
    {"X-Min-Position": "0:" + "9" * 5_000},
    {"X-Max-Wait-Ms": "9" * 400},
    {"Idempotency-Key": "k" * 5_000},
    {"X-Forwarded-For": "1.2.3.4, " * 500},
    {"X-Tenant-Id": "neighbour"},
    {"Traceparent": "00-" + "f" * 5_000},
    {"Cookie": "; ".join(f"a{number}=b" for number in range(1_000))},
)
"""Headers beside a key."""

_DEFLATED: Final = zlib.compressobj(9, zlib.DEFLATED, 31)
GZIP_BOMB: Final = _DEFLATED.compress(b"[" + b" " * 200_000_000) + _DEFLATED.flush()
"""200 MB of blanks in 200 kB."""


def _messages(field: str, kind: str, values: Sequence[bytes]) -> list[bytes]:
    """Write a message for each value: valid but for the value in one field."""
    fields = {
        "event": b'"outcome":"convert","idempotencyKey":"%b-%d"',
        "decision": b'"type":"decision.made.v1","recommendationId":"%b-%d"',
    }[kind]
    return [
        b'{"tenantId":"attacker","customerId":"x",%b,"%b":%b}'
        % (fields % (field.encode(), number), field.encode(), value)
        for number, value in enumerate(values)
    ]


POISON: Final[Sequence[bytes | None]] = (
    None,
    *BODIES,
    *_messages("metadata", "event", JSON_VALUES),
    *_messages("timestamp", "event", JSON_VALUES),
    *_messages("conversionValue", "event", JSON_VALUES),
    *_messages("tenantId", "event", JSON_VALUES),
    *_messages("unknown", "event", JSON_VALUES),
    *_messages("decision", "decision", JSON_VALUES),
    *(
        message.replace(b"metadata-%d" % number, b"twin")
        for number, message in enumerate(_messages("metadata", "event", [nested(971), nested(971, leaf="2")] * 2))
    ),
    b'{"type":"decision.made.v1","tenantId":"attacker","customerId":"x","recommendationId":"u"}',
    b'{"type":"nothing.v9","tenantId":"attacker"}',
    b'[{"tenantId":"attacker"},7,null,[[]],"x"]',
)
"""Values of messages."""


def mutations(example: Any, values: Sequence[bytes]) -> list[bytes]:
    """Yield an example body with one field after another replaced by an unsuitable value."""
    if not isinstance(example, dict) or not example:
        return list(values)
    names = list(example)
    return [
        json.dumps({**example, names[number % len(names)]: "\1"}).encode().replace(b'"\\u0001"', value)
        for number, value in enumerate(values)
    ]
