"""Customer states in Valkey: read by the API, offered every batch by workers, forgotten by whoever changes customers.

ClickHouse is the truth. The law: a state that is used contains everything that the tables held when the stream had the
progress that its reader goes by, and every change of the customer whose writer has been answered. It rests on this:

1. A reader marks the state before it reads the tables (:meth:`CustomerStates.find`), and stores what it read only while
   the mark is there (:meth:`CustomerStates.store`).
2. A worker offers what a batch has written to all states and marks that are there, after it has written the tables and
   before it records the progress (:meth:`CustomerStates.offer`). So what a load did not read is offered to its mark.
   After a crash here the batch is offered again, which changes nothing.
3. Then it notes up to which offset all states have been offered the source's events (:meth:`CustomerStates.cover`), and
   only then is the progress recorded. A reader looks at the progress first and at this coverage afterwards: states of
   sources that are covered less far are not used. A worker that could not offer a batch leaves a hole; whoever covers
   the source next finds it and begins a new namespace, in which no state is known.
4. Whoever changes a customer otherwise deletes the state, mark included, after the tables have been written and before
   the caller is answered (:mod:`rapport.state.change_announcer`).

Eviction, loss and restarts take away whole states, or whole servers, which the incarnation tells apart: each costs a
load, and no state outlives a moment that it does not know of.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote

import cramjam
import msgspec

from rapport.domain.addresses import fold_address
from rapport.domain.customer_states import advance, decode_deltas, decode_state, encode_deltas, encode_state
from rapport.domain.customers.customer import CustomerKey
from rapport.state.shared_state import name_of_customer
from rapport.state.state_scripts import COVER, FIND, LIST_PRESENT, OFFER, PEEK, READ_COVERAGE, REPLACE, STORE

if TYPE_CHECKING:
    from rapport.domain.customer_states import CustomerState, StateDelta
    from rapport.state.shared_state import SharedState

Argument: TypeAlias = bytes | str | int
_PREFIX: Final = "rapport:customer:"
COVERAGE_KEY: Final = "rapport:customer-states"
FORM: Final = "1"
"""Changes with the form of the values: processes of two versions do not read each other's states."""
MARK_MS: Final = 60_000
"""A load that takes longer is not stored."""
KEPT_MS: Final = 7 * 86_400_000
"""After so long a state lapses, unless it is stored anew."""
MAX_BYTES: Final = 262_144
"""Larger states, packed, are not stored."""
MAX_DELTAS: Final = 64
"""A state with more is forgotten: nobody has asked for it meanwhile."""
MAX_DELTA_BYTES: Final = 65_536
"""A state to which one batch adds more is forgotten: several hundred events at once."""
PACKED_FROM_BYTES: Final = 1_024
"""Smaller deltas gain nothing from being packed."""
COMPACT_FROM: Final = 4
"""A reader that finds so many deltas stores the advanced state instead."""
OFFER_MS: Final = 1_000
"""An offer must arrive so soon after its worker has looked which states there are: one that was suspended meanwhile
would bring back what has been erased since."""
CHUNK: Final = 1_000
"""States in one call."""
_PACKED: Final = b"z"
"""Begins a packed delta; another one begins with the length of a MessagePack array."""
_VALUE_FIELDS: Final = frozenset((b"n", b"m", b"v", b"c"))


class LateOfferError(Exception):
    """Offer that came too late: its worker must look again what may be offered."""


class Coverage(NamedTuple):
    """Coverage of the stream by the states.

    Attributes:
        namespace: Only states of this namespace have been offered all events.
        positions: By source, the offset up to which they have been.
    """

    namespace: str
    positions: Mapping[str, int]

    def reaches(self, progress: Mapping[str, int]) -> bool:
        """Return whether all states have been offered the events up to a progress of the stream."""
        return all(self.positions.get(source, -1) >= offset for source, offset in progress.items())

    def name_namespace(self, tenant_id: str, gaps: Mapping[str, int]) -> str:
        """Name the namespace of a tenant's states, which ends with each gap.

        Args:
            tenant_id: The tenant.
            gaps: Result of :func:`rapport.storage.state_gaps.read_stream_view`, read before this coverage.
        """
        return f"{self.namespace}:{gaps.get('', 0)}:{gaps.get(tenant_id, 0)}"


class StreamCoverage(NamedTuple):
    """Coverage of the stream by the states, read after its progress.

    Attributes:
        progress: Recorded progress by source.
        gaps: By tenant, a number that differs whenever there is another gap.
        coverage: None if no worker has offered anything since Valkey was started or promoted.
    """

    progress: Mapping[str, int]
    gaps: Mapping[str, int]
    coverage: Coverage | None

    @property
    def is_usable(self) -> bool:
        """Whether decisions use states."""
        return self.coverage is not None and self.coverage.reaches(self.progress)

    def name_namespace(self, tenant_id: str) -> str:
        """Name the namespace of a tenant's states; only if they are usable."""
        return "" if self.coverage is None else self.coverage.name_namespace(tenant_id, self.gaps)


class StateUsage(NamedTuple):
    """Memory of the server, which holds other state, too.

    Attributes:
        keys: Number of keys.
        used_bytes: Memory in use.
        max_bytes: Memory at which keys are evicted; 0 for no bound.
        evicted: Keys evicted since it was started.
    """

    keys: int
    used_bytes: int
    max_bytes: int
    evicted: int


@dataclass(frozen=True, slots=True)
class StateLookup:
    """Result of looking for a state.

    Attributes:
        state: The state; None if it must be loaded.
        mark: The mark under which a state that is loaded from now on may be stored.
        token: Token of the value in the server.
        contained: Fields of the deltas that the state contains and the value in the server does not.
    """

    state: CustomerState | None
    mark: bytes = b""
    token: bytes = b""
    contained: Sequence[bytes] = ()

    @property
    def is_due(self) -> bool:
        """Return whether the advanced state should be stored."""
        return len(self.contained) >= COMPACT_FROM


class CustomerStates:
    """The states of all customers. Every method raises RedisError where the server does not answer or refuses.

    Args:
        shared: The server.
    """

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        register = shared.redis.register_script
        self._find, self._peek = register(FIND), register(PEEK)
        self._store, self._replace = register(STORE), register(REPLACE)
        self._list_present, self._offer = register(LIST_PRESENT), register(OFFER)
        self._cover, self._read_coverage = register(COVER), register(READ_COVERAGE)

    async def find(self, key: CustomerKey, namespace: str, time_zone: str) -> StateLookup:
        """Find a customer's state, or mark that it is about to be loaded.

        Args:
            key: The customer.
            namespace: Namespace in which all events have been offered.
            time_zone: Time zone of the tenant.
        """
        is_stored, answer = await self._look_up(key, namespace)
        if not is_stored:
            return StateLookup(None, mark=answer)
        fields = _pair(answer)
        state = _read_state(fields)
        if state is None or not state.is_of(key, time_zone):  # a value of no use here
            await self.forget([key])
            is_stored, answer = await self._look_up(key, namespace)
            return StateLookup(None, mark=b"" if is_stored else answer)
        return StateLookup(state, token=fields[b"c"], contained=_list_deltas(fields))

    async def peek(self, key: CustomerKey, namespace: str) -> CustomerState | None:
        """Return the state that readers would use; None if there is none. Any spelling of the id will do."""
        name = make_state_key(*key)
        return _read_state(_pair(await self._shared.ask(lambda: self._peek(keys=[name], args=[namespace]))))

    async def store(self, key: CustomerKey, lookup: StateLookup, state: CustomerState) -> bool:
        """Store a state that was loaded, or advanced, after a lookup; return whether it was.

        It is not if the state has been forgotten or replaced meanwhile, or is too large.
        """
        name, value, token = make_state_key(*key), _pack(state), secrets.token_bytes(8)
        if len(value) > MAX_BYTES:
            await self.forget([key])
            return False
        if lookup.mark:
            loaded: list[Argument] = [lookup.mark, value, token, KEPT_MS]
            return bool(await self._shared.ask(lambda: self._store(keys=[name], args=loaded)))
        advanced = [lookup.token, value, token, *lookup.contained]
        return bool(await self._shared.ask(lambda: self._replace(keys=[name], args=advanced)))

    async def forget(self, keys: Sequence[CustomerKey]) -> None:
        """Forget the states of customers; loads that have begun are not stored."""
        await self._unlink([make_state_key(*key) for key in keys])

    async def list_present(self, keys: Sequence[CustomerKey]) -> tuple[int, list[CustomerKey]]:
        """List the customers of whom there is a state or a mark.

        Returns:
            The time of the server before, in milliseconds, for :meth:`offer`; and the customers.
        """
        by_name: dict[str, list[CustomerKey]] = {}
        for key in keys:
            by_name.setdefault(make_state_key(*key), []).append(key)
        began_ms: int | None = None
        present: list[CustomerKey] = []
        for names in self._group(list(by_name)):
            at_ms, *numbers = await self._shared.ask(lambda: self._list_present(keys=names))  # noqa: B023 - awaited
            began_ms = at_ms if began_ms is None else min(began_ms, at_ms)
            present += [key for number in numbers for key in by_name[names[number - 1]]]
        return began_ms or 0, present

    async def offer(self, began_ms: int, batch: str, deltas: Mapping[CustomerKey, StateDelta]) -> None:
        """Offer what a batch has written to the states and marks that are there.

        Args:
            began_ms: Result of :meth:`list_present`, called before it was checked what may be offered.
            batch: Name of the batch; the same if it is offered again.
            deltas: What the batch has written, by customer.

        Raises:
            LateOfferError: Too much time has passed; some states may have been offered it.
        """
        by_name: dict[str, list[StateDelta]] = {}
        for key, delta in deltas.items():
            by_name.setdefault(make_state_key(*key), []).append(delta)
        for names in self._group(list(by_name)):
            values = [_pack_deltas(by_name[name]) for name in names]
            arguments: list[Argument] = [began_ms + OFFER_MS, MAX_DELTAS, MAX_DELTA_BYTES, batch, *values]
            if not await self._shared.ask(lambda: self._offer(keys=names, args=arguments)):  # noqa: B023 - awaited
                raise LateOfferError

    async def cover(self, ranges: Iterable[tuple[str, int, int]]) -> bool:
        """Note that the events of some offsets have been offered to all states.

        Args:
            ranges: Sources, each with an offset from which on and one up to before which its events have been offered.

        Returns:
            Whether a new namespace has begun, because earlier events of a source were not offered.
        """
        arguments: list[Argument] = [f"{FORM}:{secrets.token_hex(8)}"]
        for covered in ranges:
            arguments += covered
        return bool(await self._shared.ask(lambda: self._cover(keys=[COVERAGE_KEY], args=arguments)))

    async def list_keys(self) -> AsyncIterator[CustomerKey]:
        """Yield the customers of whom there is a state or a mark, each at least once; spellings are folded."""
        async for name in self._shared.redis.scan_iter(match=f"{_PREFIX}*", count=CHUNK):
            tenant_id, _, customer_id = name.decode().removeprefix(f"{_PREFIX}{{").removesuffix("}").partition(":")
            yield CustomerKey(unquote(tenant_id), customer_id)

    async def measure(self) -> StateUsage:
        """Measure the memory that the server uses; of a cluster, all its primaries together."""
        answers = await self._shared.read_info()
        return StateUsage(
            keys=sum(answer.get(f"db{number}", {}).get("keys", 0) for answer in answers for number in range(16)),
            used_bytes=sum(answer["used_memory"] for answer in answers),
            max_bytes=sum(answer.get("maxmemory", 0) for answer in answers),
            evicted=sum(answer.get("evicted_keys", 0) for answer in answers),
        )

    async def drop(self) -> int:
        """Forget all states; workers begin a new namespace. Return how many keys were removed."""
        await self._unlink([COVERAGE_KEY])
        removed, names = 0, list[str]()
        async for name in self._shared.redis.scan_iter(match=f"{_PREFIX}*", count=CHUNK):
            names.append(name.decode())
            if len(names) >= CHUNK:
                removed += await self._unlink(names)
                names.clear()
        return removed + await self._unlink(names)

    async def read_coverage(self) -> Coverage | None:
        """Read the coverage; None if no worker has offered anything since the server was started or promoted."""
        answer = await self._shared.ask(lambda: self._read_coverage(keys=[COVERAGE_KEY]))
        fields = {name.decode(): value.decode() for name, value in _pair(answer).items()}
        namespace = fields.get("n", "")
        if not namespace.startswith(f"{FORM}:"):
            return None
        positions = {name[2:]: int(value) for name, value in fields.items() if name.startswith("p:")}
        return Coverage(namespace, positions)

    async def _look_up(self, key: CustomerKey, namespace: str) -> Any:  # noqa: ANN401 - pair of a flag and what it says
        """Return whether there is a value, and all fields or the mark."""
        name = make_state_key(*key)
        arguments: list[Argument] = [namespace, secrets.token_bytes(8), MARK_MS]
        return await self._shared.ask(lambda: self._find(keys=[name], args=arguments))

    async def _unlink(self, names: Sequence[str]) -> int:
        """Remove keys; return how many there were."""
        removed = 0
        for group in self._group(names):
            removed += await self._shared.ask(lambda: self._shared.redis.unlink(*group))  # noqa: B023 - awaited
        return removed

    def _group(self, names: Sequence[str]) -> list[Sequence[str]]:
        """Group keys into calls."""
        groups = self._shared.group_by_node(names)
        return [group[start : start + CHUNK] for group in groups for start in range(0, len(group), CHUNK)]


def _read_state(fields: Mapping[bytes, bytes]) -> CustomerState | None:
    """Read a state and merge its deltas into it; None if there is no value, or one of another form."""
    try:
        deltas = [delta for field in _list_deltas(fields) for delta in _unpack_deltas(fields[field])]
        return advance(_unpack(fields[b"v"]), deltas)
    except (KeyError, msgspec.DecodeError, cramjam.DecompressionError):
        return None


def _pack(state: CustomerState) -> bytes:
    """Pack a state: rows and events repeat most of each other, so a tenth is left in a few microseconds."""
    return bytes(cramjam.lz4.compress_block(encode_state(state)))


def _unpack(value: bytes) -> CustomerState:
    return decode_state(bytes(cramjam.lz4.decompress_block(value)))


def _pack_deltas(deltas: Sequence[StateDelta]) -> bytes:
    value = encode_deltas(deltas)
    return value if len(value) < PACKED_FROM_BYTES else _PACKED + bytes(cramjam.lz4.compress_block(value))


def _unpack_deltas(value: bytes) -> Sequence[StateDelta]:
    is_packed = value[:1] == _PACKED
    return decode_deltas(bytes(cramjam.lz4.decompress_block(value[1:])) if is_packed else value)


def _list_deltas(fields: Mapping[bytes, bytes]) -> Sequence[bytes]:
    return tuple(fields.keys() - _VALUE_FIELDS)


def _pair(answer: Sequence[bytes]) -> dict[bytes, bytes]:
    """Read the fields and values of a hash."""
    return dict(zip(answer[::2], answer[1::2], strict=True))


def make_state_key(tenant_id: str, customer_id: str) -> str:
    """Return the key of a customer's state; spellings of an e-mail address share one."""
    return f"{_PREFIX}{name_of_customer(tenant_id, fold_address(customer_id))}"
