"""Limits of every JSON text that comes in, by whichever way: accepted text can be stored, compared and shown.

* valid UTF-8, and JSON;
* nested at most :data:`MAX_DEPTH` deep;
* every number is one that the product can write back: finite as a double, and whole numbers (those without a point or
  an exponent) from -2^63 to 2^64 - 1.

Of the usual text a count of brackets proves the depth, one pass looks for long numbers, and the decoder checks the
rest. Everything is linear in the text, and nothing depends on how deep the caller's own stack is: the same bytes get
the same answer in every thread and process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec

from rapport.domain.rejections import RejectionCode

MAX_DEPTH: Final = 64
"""Objects and lists within each other, the outermost counted."""
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1
MAX_INTEGER_DIGITS: Final = 20
"""Most digits of a number between these two, without a sign."""
UNREADABLE: Final = "_unreadable"
_LOCATED_BYTES: Final = 16_384
"""Bytes from the beginning of a text in which the place of a fault is searched, token by token."""
_PATH_CHARACTERS: Final = 100
_MAX_CUT_BRACKETS: Final = 500_000
"""Most brackets of an array that is cut token by token: these take about a second."""
_COUNTED_AT_ONCE: Final = 16_384
"""Brackets after which another thread may run: counting them takes a millisecond."""

_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_WIDE: Final = b"0" * 19
"""Shorter whole numbers are within 64 bits."""
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_TOKEN: Final = re.compile(_STRING + rb'|[\[\]{},:]|[^\s"\[\]{},:]++', re.DOTALL)
_STRUCTURE: Final = re.compile(_STRING + rb"|[\[\]{},]", re.DOTALL)
_WIDE_NUMBER: Final = re.compile(
    rb'(?:[^"0-9]++|' + _STRING + rb"|[0-9.eE+-]{1,18}+(?![0-9.eE+-]))*+([0-9][0-9.eE+-]*+)", re.DOTALL
)
"""Matches up to the next number of more than 18 characters; no step is ever taken back, so that it is linear."""
_decode: Final = msgspec.json.Decoder().decode
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class JsonFault(NamedTuple):
    """Reason why a JSON text is not accepted.

    Attributes:
        code: The code of the stream's dead letters.
        field: Path of the value, ``items[2].price``; empty for the text as a whole, or far inside a long one.
        message: States what is wrong and what would be right, to follow the field's name.
    """

    code: RejectionCode
    field: str
    message: str

    def described(self, whole: str) -> str:
        """Return the fault as one sentence; ``whole`` names the text as a whole."""
        between = "." if self.field and not self.field.startswith("[") else ""
        return f"{whole}{between}{self.field} {self.message}."


def decode_json(text: bytes | msgspec.Raw, levels: int = MAX_DEPTH) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Decode a text that may be nested at most so many levels deep.

    Returns:
        Its value, or a :class:`JsonFault`.
    """
    text = bytes(text)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return JsonFault(RejectionCode.BAD_UTF8, "", f"is not UTF-8: byte {error.start} is invalid")
    if is_too_deep(text, levels):
        return _make_depth_fault(text)
    try:
        value = _decode(text)
    except msgspec.ValidationError:  # of any JSON, only numbers can fail to be a value
        return _find_number_fault(text)
    except msgspec.DecodeError as error:
        return JsonFault(RejectionCode.BAD_JSON, "", f"is not JSON: {error}")
    if _WIDE in text.translate(_DIGITS) and not all(map(_is_number, _find_wide_numbers(text))):
        return _find_number_fault(text)
    return value


def find_json_fault(text: bytes | msgspec.Raw) -> JsonFault | None:
    """Return the fault of a text; None if it is accepted."""
    value = decode_json(text)
    return value if isinstance(value, JsonFault) else None


def decode_stored(text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Decode a stored text, perhaps from before the limits; return the text itself if it cannot be decoded."""
    if is_too_deep(text.encode(), 2 * MAX_DEPTH):
        return text
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return text


def decode_stored_object(text: str) -> dict[str, Any]:
    """Decode the stored text of an object; if it is none, the text becomes the member :data:`UNREADABLE`."""
    value = decode_stored(text)
    return value if isinstance(value, dict) else {UNREADABLE: text}


def find_value_fault(value: object, field: str = "", depth: int = 0) -> JsonFault | None:
    """Check a value that is to become JSON, of a file or a table, against the same limits; None if it keeps them."""
    if isinstance(value, str | bool) or value is None:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return JsonFault(RejectionCode.NUMBER_OUT_OF_RANGE, field, _explain_number(str(value)))
    if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        shown = str(value) if value.bit_length() < 1_000 else f"a whole number of {value.bit_length():,} bits"
        return JsonFault(RejectionCode.NUMBER_OUT_OF_RANGE, field, _explain_number(shown))
    members: Iterator[tuple[str, object]] = iter(())
    if isinstance(value, Mapping):
        members = ((f"{field}.{name}" if field else str(name), inner) for name, inner in value.items())
    elif isinstance(value, list | tuple):
        members = ((f"{field}[{index}]", inner) for index, inner in enumerate(value))
    else:
        return None
    if depth == MAX_DEPTH:
        return JsonFault(RejectionCode.TOO_DEEP, _shorten(field), _TOO_DEEP)
    return next((fault for name, inner in members if (fault := find_value_fault(inner, name, depth + 1))), None)


def is_too_deep(text: bytes, levels: int = MAX_DEPTH) -> bool:
    """Say whether brackets outside of strings nest deeper than so many levels, in any bytes, JSON or not."""
    if len(text) <= 2 * levels or text.count(b"[") + text.count(b"{") <= levels:
        return False
    bare = text.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in text else text
    steps = b"".join(bare.split(b'"')[::2]).translate(_STEPS, _NO_BRACKETS)
    depth, signed = 0, memoryview(steps).cast("b")
    for at in range(0, len(signed), _COUNTED_AT_ONCE):
        depths = list(accumulate(signed[at : at + _COUNTED_AT_ONCE], initial=depth))
        if max(depths) > levels:
            return True
        depth = depths[-1]
    return False


def split_array(text: bytes) -> list[bytes] | JsonFault:
    """Split an array into the texts of its items.

    Items that are too deep to be decoded do no harm to the others, unless the array has more than
    :data:`_MAX_CUT_BRACKETS` brackets.
    """
    try:
        return [bytes(item) for item in _decode_items(text)]
    except msgspec.ValidationError:
        return JsonFault(RejectionCode.NOT_AN_OBJECT, "", "must be a JSON array")
    except (msgspec.DecodeError, RecursionError) as error:
        if not is_too_deep(text, MAX_DEPTH + 2):
            return JsonFault(RejectionCode.BAD_JSON, "", f"is not JSON: {error}")
    if text.count(b"[") + text.count(b"{") > _MAX_CUT_BRACKETS:
        return _make_depth_fault(text)
    texts = _cut_at_commas(text)
    if texts is None:
        return JsonFault(RejectionCode.BAD_JSON, "", "is not JSON: its brackets do not enclose it")
    deep = [is_too_deep(item, MAX_DEPTH + 1) for item in texts]
    others = split_array(b"[%b]" % b",".join(b"0" if skip else item for item, skip in zip(texts, deep, strict=True)))
    return others if isinstance(others, JsonFault) else texts


def _cut_at_commas(text: bytes) -> list[bytes] | None:
    """Cut an array, which need not be JSON, at its commas; None if brackets do not enclose the text."""
    pieces: list[bytes] = []
    depth, start = 0, 0
    for match in _STRUCTURE.finditer(text):
        token = match.group()
        depth += (token in b"[{") - (token in b"]}")
        if not pieces and not start and depth == 1:
            start = match.end()
        elif depth == 0 or (depth == 1 and token == b","):
            pieces.append(text[start : match.start()].strip())
            start = match.end()
        if depth == 0:
            return None if text[start:].strip() else pieces
    return None


def _make_depth_fault(text: bytes) -> JsonFault:
    path = next((path for depth, path, _ in _tokenize(text) if depth > MAX_DEPTH), "")
    return JsonFault(RejectionCode.TOO_DEEP, _shorten(path), _TOO_DEEP)


def _find_number_fault(text: bytes) -> JsonFault:
    for _, path, token in _tokenize(text):
        if token[:1] in b"-0123456789" and not _is_number(token):
            return JsonFault(RejectionCode.NUMBER_OUT_OF_RANGE, _shorten(path), _explain_number(token.decode()))
    return JsonFault(RejectionCode.NUMBER_OUT_OF_RANGE, "", _explain_number("a number in it"))


def _is_number(token: bytes) -> bool:
    if token.lstrip(b"-").isdigit():
        return len(token) <= MAX_INTEGER_DIGITS + 1 and MIN_INTEGER <= int(token) <= MAX_INTEGER
    return math.isfinite(float(token))


def _find_wide_numbers(text: bytes) -> Iterator[bytes]:
    """Find every number of a JSON text that is too long to be checked by its length."""
    position = 0
    while match := _WIDE_NUMBER.match(text, position):
        start, position = match.span(1)
        yield text[start - (text[start - 1 : start] == b"-") : position]


_TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH} levels"


def _explain_number(shown: str) -> str:
    shown = shown if len(shown) <= 32 else f"{shown[:24]}… ({len(shown):,} characters)"
    return f"cannot hold {shown}: numbers must be finite, whole ones between -2^63 and 2^64 - 1"


def _shorten(path: str) -> str:
    return path if len(path) <= _PATH_CHARACTERS else path[:_PATH_CHARACTERS] + "…"


def _tokenize(text: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Go through the values at the beginning of a text: their depth, their path, and the first token of each."""
    names: list[str | int] = []
    key = b""
    for match in _TOKEN.finditer(text, 0, _LOCATED_BYTES):
        if match.end() == _LOCATED_BYTES < len(text):
            return  # the token may go on
        token = match.group()
        if token == b":":
            names[-1:] = [_decode_name(key)]
        elif token == b",":
            if names and isinstance(names[-1], int):
                names[-1] += 1
        elif token in (b"]", b"}"):
            names[-1:] = []
        else:
            key = token
            yield len(names) + (token in (b"[", b"{")), _join_path(names), token
            if token in (b"[", b"{"):
                names.append(0 if token == b"[" else "")


def _decode_name(token: bytes) -> str:
    try:
        return str(msgspec.json.decode(token, type=str))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "?"


def _join_path(names: list[str | int]) -> str:
    text = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in names[:32])
    return text.removeprefix(".")
