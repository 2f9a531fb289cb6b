"""Identity merges: the customer ids of one person, computed from the tenant's log of merges.

A merge is only an alias: it states that all data of its source is about its target, too. It changes no stored data, so
that undoing it restores everything. The merges in force follow from the log, in its order; a merge that was undone has
no effect, whatever came after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rapport.domain.addresses import fold_address, is_address
from rapport.domain.placeholders import is_placeholder

MAX_MEMBERS: Final = 100
"""Most ids of one person; more are a mistake of the caller, and every read would pay for it."""


class MergeStatement(NamedTuple):
    """Entry of the merge log: a merge was made, or undone.

    Attributes:
        at_ms: Time of the entry, epoch milliseconds.
    """

    merge_id: str
    source_id: str
    target_id: str
    is_undone: bool = False
    at_ms: int = 0


class Merges:
    """The merges in force of a tenant, and the persons that result.

    Attributes:
        in_force: Merges that were not undone, in log order.
    """

    __slots__ = ("_addresses", "_changed_at_ms", "_members", "in_force")

    def __init__(
        self,
        in_force: Sequence[MergeStatement],
        members: Mapping[str, tuple[str, ...]],
        changed_at_ms: Mapping[str, int],
    ) -> None:
        self.in_force = in_force
        self._members = members
        self._addresses = {fold_address(member): member for member in members if is_address(member)}
        self._changed_at_ms = changed_at_ms

    @classmethod
    def from_log(cls, log: Iterable[MergeStatement]) -> Merges:
        """Compute the merges in force from a log.

        The target of a merge keeps its canonical id, and all ids already merged with the source go along. A merge of
        two ids that are merged already adds nothing until it is the only one that connects them. A merge with a
        placeholder id never counts.
        """
        in_force: dict[str, MergeStatement] = {}
        changed_at_ms: dict[str, int] = {}
        for statement in log:
            if is_placeholder(statement.source_id) or is_placeholder(statement.target_id):
                continue  # strangers, made one before such ids were refused
            for customer_id in (statement.source_id, statement.target_id):
                changed_at_ms[customer_id] = max(statement.at_ms, changed_at_ms.get(customer_id, 0))
            if statement.is_undone:
                in_force.pop(statement.merge_id, None)
            else:
                in_force.setdefault(statement.merge_id, statement)
        leads_to: dict[str, str] = {}
        for merge in in_force.values():
            source, target = _follow(leads_to, merge.source_id), _follow(leads_to, merge.target_id)
            if source != target:
                leads_to[source] = target
        return cls(tuple(in_force.values()), _group_ids(leads_to), changed_at_ms)

    def canonical(self, customer_id: str) -> str:
        """Return the canonical id of a person; without a merge it is the id itself."""
        return self.members(customer_id)[0]

    def members(self, customer_id: str) -> tuple[str, ...]:
        """List all ids of a person: the canonical one first, the others sorted; an address matches in any case."""
        members = self._members.get(customer_id)
        if members is None and is_address(customer_id):
            written = self._addresses.get(fold_address(customer_id))
            return (customer_id,) if written is None else (*self._members[written], customer_id)
        return members or (customer_id,)

    @property
    def aliases(self) -> Mapping[str, str]:
        """Canonical id by merged id, for all ids that are not canonical themselves."""
        return {member: cluster[0] for member, cluster in self._members.items() if member != cluster[0]}

    def changed_at_ms(self, customer_id: str) -> int:
        """Return the time of the latest statement about this person, epoch milliseconds; 0 if there is none.

        Undoing a merge concerns both persons that it leaves, because either has one of the two ids.
        """
        return max(self._changed_at_ms.get(member, 0) for member in self.members(customer_id))

    def find(self, source_id: str, target_id: str = "") -> MergeStatement | None:
        """Find the latest merge in force with this source, and this target if one is named."""
        for merge in reversed(self.in_force):
            if merge.source_id == source_id and target_id in ("", merge.target_id):
                return merge
        return None


NO_MERGES: Final = Merges((), {}, {})


def _follow(leads_to: dict[str, str], customer_id: str) -> str:
    """Follow aliases to the canonical id, and shorten the chain, so that long ones are walked once."""
    while (following := leads_to.get(customer_id)) is not None:
        leads_to[customer_id] = leads_to.get(following, following)
        customer_id = following
    return customer_id


def _group_ids(leads_to: dict[str, str]) -> Mapping[str, tuple[str, ...]]:
    """Group ids by canonical id; each id maps to its whole group."""
    others: dict[str, list[str]] = {}
    for customer_id in list(leads_to):
        others.setdefault(_follow(leads_to, customer_id), []).append(customer_id)
    members: dict[str, tuple[str, ...]] = {}
    for canonical, listed in others.items():
        cluster = (canonical, *sorted(listed))
        members.update(dict.fromkeys(cluster, cluster))
    return members
