"""Bodies that come packed, or with a byte order mark, are read as if they came plain; bombs gain nothing."""

from __future__ import annotations

import gzip
import json
import uuid
import zlib
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.api import Caller

MARK: Final = b"\xef\xbb\xbf"
NDJSON: Final = {"Content-Type": "application/x-ndjson"}
JSON: Final = {"Content-Type": "application/json"}


def event(**fields: Any) -> bytes:
    return json.dumps({"customerId": "c", "outcome": "click", "idempotencyKey": uuid.uuid4().hex, **fields}).encode()


def recorded(caller: Caller, body: bytes, headers: Mapping[str, str]) -> Any:
    answer = caller.post("/interactions", content=body, headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip", lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:])),
    ],
)
def test_a_packed_body_is_read_as_it_was(caller: Caller, encoding: str, pack: Any):
    lines = b"\n".join(event(metadata={"note": uuid.uuid4().hex * 20}) for _ in range(300))
    assert len(lines) > 200_000
    status, said = recorded(caller, pack(lines), {**NDJSON, "Content-Encoding": encoding})
    assert (status, said["accepted"]) == (201, 300)
    answer = caller.post(
        "/respond",
        content=pack(event(creativeId="cr", channelId="web")),
        headers={**JSON, "Content-Encoding": encoding},
    )
    assert answer.status_code == 201


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x" * 300])
def test_another_encoding_is_415_and_says_what_is_taken(caller: Caller, encoding: str):
    answer = caller.post("/respond", content=event(), headers={**JSON, "Content-Encoding": encoding})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")


@pytest.mark.parametrize(
    "body",
    [gzip.compress(event())[:-9], event(), b"\x1f\x8b", gzip.compress(event()) + b"rest", zlib.compress(event())],
    ids=["cut off", "plain", "head only", "something behind", "deflate"],
)
def test_what_is_not_packed_as_it_says_is_400(caller: Caller, body: bytes):
    answer = caller.post("/respond", content=body, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "gzip" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/respond", "/interactions", "/customers", "/consents", "/offers", "/api-keys"])
def test_a_bomb_is_given_up_at_the_bound(caller: Caller, path: str):
    bomb = gzip.compress(b'{"customerId": "' + b"c" * 60_000_000 + b'"}')
    assert len(bomb) < 100_000
    answer = caller.post(path, content=bomb, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 413


def test_the_bound_of_bodies_holds_for_what_they_unpack_to(caller: Caller):
    noise = b"".join(uuid.uuid4().hex.encode() for _ in range(40_000))
    body = gzip.compress(b'{"customerId": "' + noise + b'"}')
    assert len(body) < 1 << 20 < len(noise)
    assert caller.post("/respond", content=body, headers={**JSON, "Content-Encoding": "gzip"}).status_code == 413


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, MARK + b"[" + event() + b"," + event() + b"]"),
        (NDJSON, MARK + event() + b"\r\n" + event()),
        ({**NDJSON, "Content-Encoding": "gzip"}, gzip.compress(MARK + event() + b"\n" + event())),
    ],
)
def test_a_byte_order_mark_costs_no_row(caller: Caller, headers: Mapping[str, str], body: bytes):
    status, said = recorded(caller, body, headers)
    assert (status, said["accepted"], said["rejected"]) == (201, 2, 0)


@pytest.mark.parametrize("path", ["/respond", "/outcome-types", "/categories"])
def test_a_byte_order_mark_before_one_object_is_passed_over(caller: Caller, path: str):
    fields = {"key": "cheered", "name": "Cheered", "classification": "positive"} if path == "/outcome-types" else {}
    body = (
        event(creativeId="cr", channelId="web")
        if path == "/respond"
        else json.dumps(fields or {"name": "Cards"}).encode()
    )
    assert caller.post(path, content=MARK + body, headers=JSON).status_code == 201
    assert caller.post(path, content=MARK + MARK + body, headers=JSON).status_code == 400


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("path", ["/respond", "/interactions", "/customers"])
def test_utf_16_is_named_and_utf_8_asked_for(caller: Caller, path: str, encoding: str):
    answer = caller.post(path, content=event().decode().encode(encoding), headers=JSON)
    assert answer.status_code == 400
    assert "send it as UTF-8" in answer.json()["detail"]
