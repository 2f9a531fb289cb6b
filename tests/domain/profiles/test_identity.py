from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.profiles.identity import NO_MERGES, Merges, MergeStatement

IDS = st.sampled_from([f"c{number}" for number in range(8)])
MERGED = st.tuples(st.just("merge"), IDS, IDS)
UNDONE = st.tuples(st.just("unmerge"), st.integers(0, 30), st.just(""))


class People:
    """Naive model of merges: a person is found by walking all merges."""

    def __init__(self) -> None:
        self.merges: dict[str, tuple[str, str]] = {}
        self.log: list[MergeStatement] = []

    def merge(self, source: str, target: str) -> None:
        name = f"m{len(self.log)}"
        self.merges[name] = (source, target)
        self.log.append(MergeStatement(name, source, target, at_ms=len(self.log)))

    def unmerge(self, number: int) -> None:
        if self.merges:
            name = sorted(self.merges)[number % len(self.merges)]
            self.log.append(MergeStatement(name, *self.merges.pop(name), is_undone=True, at_ms=len(self.log)))

    def person_of(self, customer_id: str) -> set[str]:
        person = {customer_id}
        while True:
            more = {one for pair in self.merges.values() if person & set(pair) for one in pair}
            if more <= person:
                return person
            person |= more

    def canonical(self) -> dict[str, str]:
        """Apply each merge in order: everybody with the source's canonical id gets the target's."""
        by = {f"c{number}": f"c{number}" for number in range(8)}
        for name in sorted(self.merges, key=lambda name: int(name[1:])):
            source, target = (by[one] for one in self.merges[name])
            by = {one: target if goes_by == source else goes_by for one, goes_by in by.items()}
        return by


@given(st.lists(MERGED | UNDONE, max_size=40))
def test_merges_and_unmerges_agree_with_a_naive_model(steps: list[tuple]):
    people = People()
    for action, one, other in steps:
        if action == "merge":
            people.merge(one, other)
        else:
            people.unmerge(one)
    merges, canonical = Merges.from_log(people.log), people.canonical()
    for customer_id, goes_by in canonical.items():
        members = merges.members(customer_id)
        assert set(members) == people.person_of(customer_id)
        assert members[0] == goes_by == merges.canonical(customer_id)
        assert list(members[1:]) == sorted(set(members) - {goes_by})
    assert merges.aliases == {one: goes_by for one, goes_by in canonical.items() if one != goes_by}


@given(st.lists(st.tuples(IDS, IDS), max_size=20), st.tuples(IDS, IDS))
def test_an_undone_merge_has_no_effect(merged: list[tuple[str, str]], more: tuple[str, str]):
    people = People()
    for source, target in merged:
        people.merge(source, target)
    before = Merges.from_log(people.log)
    undone = [MergeStatement("more", *more), MergeStatement("more", *more, is_undone=True)]
    after = Merges.from_log([*people.log, *undone])
    assert all(after.members(f"c{number}") == before.members(f"c{number}") for number in range(8))


def test_a_long_chain_ends_at_its_last_target():
    merges = Merges.from_log(
        MergeStatement(f"m{number}", f"c{number:05}", f"c{number + 1:05}") for number in range(20_000)
    )
    assert merges.canonical("c00000") == "c20000"
    assert len(merges.members("c07777")) == 20_001


def test_an_unmerge_changes_the_time_of_both_persons():
    log = [MergeStatement("m1", "ann", "bob", at_ms=1), MergeStatement("m2", "bob", "cid", at_ms=2)]
    assert {Merges.from_log(log).changed_at_ms(one) for one in ("ann", "bob", "cid")} == {2}
    merges = Merges.from_log([*log, MergeStatement("m2", "bob", "cid", is_undone=True, at_ms=3)])
    assert [merges.changed_at_ms(one) for one in ("ann", "bob", "cid", "dot")] == [3, 3, 3, 0]


def test_a_merge_is_found_by_its_source_the_latest_first():
    merges = Merges.from_log([MergeStatement("m1", "ann", "bob"), MergeStatement("m2", "ann", "cid")])
    assert [merges.find("ann").merge_id, merges.find("ann", "bob").merge_id] == ["m2", "m1"]
    assert (merges.find("bob"), merges.find("ann", "dot"), NO_MERGES.find("ann")) == (None, None, None)
