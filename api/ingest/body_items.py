"""Reads the items of a request while they arrive: one JSON array, or one JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from api.http.errors import ApiError, Fault, invalid
from api.respond.schemas import ALIASES
from api.runtime.compute_threads import run_in_thread
from api.runtime.time_slice import TimeSlice
from rapport.domain.events import Event, InteractionRecorded, decode_event, resolve_time
from rapport.domain.json_limits import JsonFault, split_array
from rapport.domain.outcomes import OutcomeCategory, classify, explain_negative_value
from rapport.domain.rejections import Rejection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rapport.domain.tenants import Tenant

MAX_EVENTS: Final = 10_000
MAX_ITEM_BYTES: Final = 1_048_576
MAX_LINES: Final = 100_000
"""Empty ones counted."""
PIECE_BYTES: Final = 65_536
MAX_VALUES: Final = 500_000
"""Of an array with all that is in it; commas are counted."""
_ALIASES: Final = {alias.encode(): name for alias, name in ALIASES.items()}
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(slots=True)
class EventReader:
    """Checks events one by one.

    Attributes:
        tenant: Tenant of the key; events belong to it.
        now_ms: Time of the request, with which their times are compared, epoch milliseconds.
        events: Those that can be used.
        faults: Faults of the others.
        count: How many there were.
    """

    tenant: Tenant
    now_ms: int
    events: list[InteractionRecorded] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, item: bytes) -> None:
        """Take one event.

        Raises:
            ApiError: 413; there are too many.
        """
        index, self.count = self.count, self.count + 1
        if index >= MAX_EVENTS:
            raise ApiError(413, f"A request may have at most {MAX_EVENTS:,} events; send the rest with another one.")
        event = self._read(item)
        if isinstance(event, InteractionRecorded):
            self.events.append(event)
        else:
            self.faults.append(Fault(field=event.field, message=event.message, index=index))

    def _read(self, item: bytes) -> InteractionRecorded | Fault:
        try:
            item.decode()  # free-form fields are kept as they came, so nothing later would notice
        except UnicodeDecodeError as error:
            return Fault(field="body", message=f"is not UTF-8: byte {error.start} is invalid")
        event = decode_event(self._with_tenant(item.strip()))
        return Fault(field="body", message=event.detail) if isinstance(event, Rejection) else self._check(event)

    def _check(self, event: Event) -> InteractionRecorded | Fault:
        if not isinstance(event, InteractionRecorded):
            return Fault(field="type", message="must be interaction.recorded.v1; decisions are made by POST /recommend")
        if event.tenant_id != self.tenant.tenant_id:
            return Fault(field="tenantId", message="names another tenant than the API key's; leave it out")
        outcome_type = classify(event.outcome, self.now_ms, self.tenant.outcomes)
        if outcome_type is None or outcome_type.category is OutcomeCategory.RECOMMENDATION:
            return Fault(field="outcome", message=f"{event.outcome[:64]!r} is not one of the tenant's outcome types")
        refused = explain_negative_value(
            event.outcome, event.conversion_value, is_allowed=outcome_type.allows_negative_value
        )
        if refused:
            return Fault(field="conversionValue", message=refused)
        time_ms = resolve_time(event.timestamp, self.now_ms)
        return Fault(field="timestamp", message=time_ms.detail) if isinstance(time_ms, Rejection) else event

    def _with_tenant(self, text: bytes) -> bytes:
        """Add the tenant to an event, and rename older fields; text that is no object stays as it is."""
        if not text.startswith(b"{"):
            return text
        if any(alias in text for alias in _ALIASES):
            try:
                fields = _decode_fields(text)
            except (msgspec.DecodeError, RecursionError):
                return text  # what is wrong with it is said when it is decoded as an event
            renamed = {name: value for name, value in fields.items() if name not in ALIASES}
            for alias, name in ALIASES.items():
                if alias in fields:
                    renamed.setdefault(name, fields[alias])
            text = msgspec.json.encode(renamed)
        rest = text[1:].lstrip()
        tenant = msgspec.json.encode(self.tenant.tenant_id)
        # An event that names a tenant itself keeps it: of two fields the last one counts.
        return b'{"tenantId":%b%b%b' % (tenant, b"" if rest.startswith(b"}") else b",", rest)


class ItemReader(Protocol):
    """Takes the items of a body one by one.

    Attributes:
        count: How many there were.
    """

    count: int

    def add(self, item: bytes) -> None:
        """Take one."""


async def bounded(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """Pass on the pieces of a body, as long as it is not too large.

    Raises:
        ApiError: 413; it is too large.
    """
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ApiError(413, f"The body may have at most {max_bytes:,} bytes; send the rest with another request.")
        yield chunk


async def read_lines(chunks: AsyncIterator[bytes], reader: ItemReader) -> None:
    """Read one item a line; empty lines are passed over."""
    rest: list[bytes] = []  # joined once a line: a long one comes in many pieces
    time_slice, left = TimeSlice(), MAX_LINES
    async for chunk in chunks:
        for at in range(0, len(chunk), PIECE_BYTES):
            first, *lines = chunk[at : at + PIECE_BYTES].split(b"\n")
            rest.append(first)
            left -= len(lines)
            if left < 0:
                raise ApiError(413, f"The body has more than {MAX_LINES:,} lines; send the rest with another request.")
            for line in lines:
                _take(b"".join(rest), reader)
                rest = [line]
                if time_slice.is_over:
                    await time_slice.yield_loop()
    _take(b"".join(rest), reader)


async def read_array(tenant_id: str, chunks: AsyncIterator[bytes], reader: ItemReader) -> None:
    """Read an array of items, or a single one.

    Raises:
        ApiError: 400; it is neither.
    """
    body = b"".join([chunk async for chunk in chunks])
    if body.lstrip().startswith(b"{"):
        _take(body, reader)
        return
    if body.count(b",") > MAX_VALUES:
        raise ApiError(413, f"The body has more than {MAX_VALUES:,} values; send the rest with another request.")
    items = await run_in_thread(tenant_id, split_array, body) if len(body) > PIECE_BYTES else split_array(body)
    if isinstance(items, JsonFault):
        raise invalid(Fault(field="body", message=f"must be a JSON array of objects: {items.message}"))
    time_slice = TimeSlice()
    for item in items:
        _take(item, reader)
        if time_slice.is_over:
            await time_slice.yield_loop()


def _take(item: bytes, reader: ItemReader) -> None:
    if len(item) > MAX_ITEM_BYTES:
        raise ApiError(413, f"An item may have at most {MAX_ITEM_BYTES:,} bytes, not {len(item):,}.")
    if item and not item.isspace():
        reader.add(item)
