"""Parses the events of a request as the stream will read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from api.respond.schemas import ALIASES
from rapport.domain.events import Event, InteractionRecorded, decode_event, resolve_time
from rapport.domain.faults import Fault
from rapport.domain.outcomes import OutcomeCategory, classify, explain_negative_value
from rapport.domain.rejections import Rejection

if TYPE_CHECKING:
    from rapport.domain.tenants import Tenant

_ALIASES: Final = {alias.encode(): name for alias, name in ALIASES.items()}
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class EventParser:
    """Parser of the events of one request.

    Attributes:
        tenant: Tenant of the key; events belong to it.
        now_ms: Time of the request, with which their times are compared, epoch milliseconds.
    """

    tenant: Tenant
    now_ms: int

    def parse(self, _index: int, item: bytes) -> InteractionRecorded | list[Fault]:
        """Parse one event, or return its fault."""
        event = self._read(item)
        return [event] if isinstance(event, Fault) else event

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
