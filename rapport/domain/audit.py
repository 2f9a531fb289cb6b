"""The audit log: a hash chain of entries.

An entry's hash covers all of it and the hash of its predecessor. So an entry that is changed, removed, added or moved
breaks the chain there. Two things leave a chain that is valid in itself: entries cut off at the end, and a chain that
is rewritten from some entry on. An :class:`Anchor`, the position and hash of an entry that was stored elsewhere,
detects both, up to that entry.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

Reason = Literal["hash_mismatch", "chain_link_mismatch", "anchor_missing", "anchor_mismatch"]


class AuditDraft(msgspec.Struct, frozen=True, kw_only=True):
    """Audit entry before it joins the chain.

    Attributes:
        at_ms: Time of the action, epoch milliseconds.
        actor: The key or command that did it.
        action: create, update, soft_delete, restore, publish, revoke …
        entity_type: offer, creative, api_key …
        entity_version: Version that the action made; 0 if there are none.
        revision: Revision of the catalogue, for changes of it.
        before: Canonical JSON; empty if there was nothing.
        after: Canonical JSON; empty if nothing is left.
        request_id: Trace id of the request.
    """

    at_ms: int
    actor: str
    action: str
    entity_type: str
    entity_id: str
    entity_name: str = ""
    entity_version: int = 0
    revision: int = 0
    before: str = ""
    after: str = ""
    request_id: str = ""


class AuditEntry(AuditDraft, frozen=True, kw_only=True):
    """Entry of the audit log.

    Attributes:
        seq: Position in the tenant's chain, from 1.
        prev_hash: Hash of the entry before; empty for the first.
        hash: SHA-256 of this entry without its hash.
    """

    tenant_id: str
    seq: int
    prev_hash: str
    hash: str = ""


class Anchor(NamedTuple):
    """Position and hash of an audit entry, stored outside of the database.

    Attributes:
        seq: Position of the entry.
        hash: Hash of the entry.
    """

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


def parse_anchor(text: str) -> Anchor | None:
    """Parse an anchor's text; None if it is none."""
    match = _ANCHOR.fullmatch(text)
    return Anchor(int(match[1]), match[2]) if match else None


_ANCHOR: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)
_encode: Final = msgspec.json.Encoder(order="sorted").encode


def encode_canonical(value: object) -> str:
    """Encode a value so that equal values have the same text: names sorted, no space."""
    return _encode(value).decode()


def compute_hash(entry: AuditEntry) -> str:
    """Compute the SHA-256 over the canonical JSON of an entry without its hash, hexadecimal."""
    content = msgspec.to_builtins(entry)
    del content["hash"]
    return hashlib.sha256(_encode(content)).hexdigest()


def link_entries(tenant_id: str, last_seq: int, last_hash: str, drafts: Iterable[AuditDraft]) -> Iterator[AuditEntry]:
    """Append drafts to a chain that ends with this position and hash (0 and empty for an empty one)."""
    for draft in drafts:
        last_seq += 1
        fields = msgspec.structs.asdict(draft)
        entry = AuditEntry(**fields, tenant_id=tenant_id, seq=last_seq, prev_hash=last_hash)
        last_hash = compute_hash(entry)
        yield msgspec.structs.replace(entry, hash=last_hash)


def find_break(last_seq: int, last_hash: str, entries: Iterable[AuditEntry]) -> tuple[int, Reason] | None:
    """Find the first entry that does not continue the chain, and the reason; None if all do."""
    for entry in entries:
        last_seq += 1
        if entry.seq != last_seq or entry.prev_hash != last_hash:
            return entry.seq, "chain_link_mismatch"
        if entry.hash != compute_hash(entry):
            return entry.seq, "hash_mismatch"
        last_hash = entry.hash
    return None
