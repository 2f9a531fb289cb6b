from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.contact import (
    NO_OBJECTIONS,
    ContactObjections,
    ContactProfile,
    end_profile,
    hash_author,
    make_next_version,
    make_profile_id,
    start_profile,
)
from rapport.storage.contact_profiles import (
    append_profile,
    change_profile,
    expire_profiles,
    list_profiles,
    note_reads,
    read_objections,
    read_profiles,
    read_uncollected_customers,
    remove_customers,
    remove_ended,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.storage.client import Store

NOW_MS = 20_000 * DAY_MS
US = hash_author("key_1")
_numbers = itertools.count()


def stored(store: Store, tenant_id: str = "t1", at_ms: int = NOW_MS, **fields: Any) -> ContactProfile:
    """Store a new profile; arguments that are no attributes of profiles are fields of the person."""
    own = {name: fields.pop(name) for name in ("contact_ids", "is_active", "project_id") if name in fields}
    profile = start_profile(
        ContactProfile(
            id=make_profile_id(at_ms, f"{next(_numbers):016x}"),
            fields=fields,
            created_at_ms=at_ms,
            created_by=US,
            changed_at_ms=at_ms,
            changed_by=US,
            **own,
        )
    )
    assert append_profile(store, tenant_id, profile)
    return profile


def finish(store: Store, profile: ContactProfile, how: str, tenant_id: str = "t1") -> None:
    assert append_profile(store, tenant_id, end_profile(profile, how, NOW_MS, US))


def patched(store: Store, profile: ContactProfile, at_ms: int, **fields: Any) -> ContactProfile:
    after = make_next_version(profile, msgspec.structs.replace(profile, fields={**profile.fields, **fields}), at_ms, US)
    assert append_profile(store, "t1", after)
    return after


def listed(store: Store, tenant_id: str = "t1", **wanted: Any) -> list[str]:
    page = list_profiles(store, tenant_id, **{"touched_since_ms": 0, "limit": 100, **wanted})
    assert page.total == len(page.profiles)
    return [one.profile.id for one in page.profiles]


def rows(store: Store) -> Sequence[Sequence[Any]]:
    return store.client.query(
        "SELECT profile_id, ended, profile, contact_ids FROM contact_profile_versions ORDER BY profile_id, version"
    ).result_rows


def test_a_written_profile_is_read_unchanged(store: Store):
    profile = stored(store, firstname="Max", email="max@example.com", contact_ids=("a", "b"), project_id="p" * 24)
    (found,) = read_profiles(store, "t1", [profile.id])
    assert found.profile == profile
    assert found.touched_at_ms == NOW_MS
    assert read_profiles(store, "t2", [profile.id]) == []


def test_of_two_attempts_at_one_version_the_first_counts(store: Store):
    profile = stored(store, firstname="Max")
    first = make_next_version(profile, msgspec.structs.replace(profile, fields={"firstname": "First"}), NOW_MS, US)
    assert append_profile(store, "t1", first)
    assert not append_profile(store, "t1", msgspec.structs.replace(first, fields={"firstname": "Second"}))
    (found,) = read_profiles(store, "t1", [profile.id])
    assert found.profile == first


def test_simultaneous_changes_all_take_effect(store: Store):
    profile = stored(store, count=0)

    def add_one(_number: int) -> None:
        assert change_profile(
            store,
            "t1",
            profile.id,
            lambda found: make_next_version(
                found.profile,
                msgspec.structs.replace(found.profile, fields={"count": found.profile.fields["count"] + 1}),
                NOW_MS,
                US,
            ),
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(8)))
    (found,) = read_profiles(store, "t1", [profile.id])
    assert (found.profile.fields["count"], found.profile.version) == (8, 9)


def test_lists_are_filtered_and_show_the_newest_first(store: Store):
    old = stored(store, at_ms=NOW_MS - DAY_MS, contact_ids=("a", "b"), email="A@example.com").id
    new = stored(store, contact_ids=("b",), is_active=False, project_id="p" * 24).id
    stored(store, "t2", contact_ids=("a",))
    finish(store, stored(store, contact_ids=("a",)), "deleted")
    assert listed(store) == [new, old]
    assert listed(store, contact_id="b") == [new, old]
    assert listed(store, contact_id="a") == [old]
    assert listed(store, email="a@Example.com") == [old]
    assert listed(store, project_id="p" * 24) == [new]
    assert listed(store, activity="active") == [old]
    assert listed(store, activity="inactive") == [new]
    page = list_profiles(store, "t1", touched_since_ms=0, limit=1)
    assert (page.total, page.has_more, page.profiles[0].profile.id) == (2, True, new)
    page = list_profiles(store, "t1", touched_since_ms=0, limit=1, before_id=new)
    assert (page.total, page.has_more, page.profiles[0].profile.id) == (2, False, old)


def test_an_ended_profile_has_no_personal_data(store: Store):
    profile = stored(store, firstname="Max", contact_ids=("a",))
    patched(store, profile, NOW_MS, lastname="M")
    stays = stored(store, firstname="Eve")
    finish(store, msgspec.structs.replace(profile, version=2), "deleted")
    remove_ended(store, "t1", [profile.id, stays.id])
    assert rows(store) == [(profile.id, "deleted", "{}", []), (stays.id, "", '{"firstname":"Eve"}', [])]


def test_a_profile_that_is_not_read_or_changed_expires(store: Store):
    since = NOW_MS - 30 * DAY_MS
    lapsed = stored(store, "t2", at_ms=since - 1, firstname="Max", contact_ids=("a",))
    on_time = stored(store, at_ms=since)
    read = stored(store, at_ms=since - DAY_MS)
    note_reads(store, {("t1", read.id): since, ("t1", lapsed.id): NOW_MS})  # of another tenant: another profile
    assert listed(store, touched_since_ms=since) == [on_time.id, read.id]
    assert listed(store, "t2", touched_since_ms=since) == []
    assert expire_profiles(store, untouched_since_ms=since, now_ms=NOW_MS, author=US) == 1
    assert listed(store) == [on_time.id, read.id]
    assert [row for row in rows(store) if row[0] == lapsed.id] == [(lapsed.id, "expired", "{}", [])]
    assert expire_profiles(store, untouched_since_ms=since, now_ms=NOW_MS, author=US) == 0


def test_contents_of_an_ended_profile_left_by_a_crash_are_removed_later(store: Store):
    profile = stored(store, firstname="Max")
    finish(store, profile, "deleted")
    expire_profiles(store, untouched_since_ms=0, now_ms=NOW_MS, author=US)
    assert [row[1] for row in rows(store)] == ["deleted"]


@pytest.mark.parametrize("fields", [{"prevent_data_collection": True}, {"accepted_gdpr": False}])
def test_customers_of_an_objecting_profile_are_uncollected_since_it_objects(store: Store, fields: dict[str, Any]):
    profile = stored(store, contact_ids=("a", "b"), email="a@example.com")
    stored(store, "t2", contact_ids=("a",))
    assert read_uncollected_customers(store) == {}
    objecting = patched(store, profile, NOW_MS + 5, **fields)
    later = patched(store, objecting, NOW_MS + 9, firstname="Max")
    assert read_uncollected_customers(store) == {("t1", one): NOW_MS + 5 for one in ("a", "b", "a@example.com")}
    patched(store, later, NOW_MS + 10, **{name: not value for name, value in fields.items()})
    assert read_uncollected_customers(store) == {}


def test_one_objecting_profile_among_several_is_enough(store: Store):
    stored(store, contact_ids=("a",), accepted_gdpr=True)
    stored(store, contact_ids=("a",), prevent_data_collection=True, at_ms=NOW_MS + 2)
    stored(store, contact_ids=("a",), prevent_data_collection=True, at_ms=NOW_MS + 1)
    assert read_uncollected_customers(store) == {("t1", "a"): NOW_MS + 1}


def test_an_objection_outlives_its_expired_profile_until_a_newer_profile(store: Store):
    profile = stored(store, at_ms=1_000, email="a", prevent_data_collection=True, firstname="Max", is_active=False)
    expire_profiles(store, untouched_since_ms=NOW_MS, now_ms=NOW_MS, author=US)
    assert [row[1:3] for row in rows(store)] == [("expired", '{"prevent_data_collection":true}')]
    assert read_uncollected_customers(store) == {("t1", "a"): 1_000}
    expected = ContactObjections(prevents_collection=True, is_inactive=True)
    assert read_objections(store, [("t1", "a")]) == [expected]
    stored(store, contact_ids=("a",))
    assert read_uncollected_customers(store) == {}
    assert read_objections(store, [("t1", "a")]) == [NO_OBJECTIONS]
    assert profile.id not in listed(store)


def test_an_objection_ends_with_the_profile_that_is_deleted(store: Store):
    finish(store, stored(store, contact_ids=("a",), prevent_data_collection=True), "deleted")
    assert read_uncollected_customers(store) == {}
    assert read_objections(store, [("t1", "a")]) == [NO_OBJECTIONS]


def test_objections_are_read_for_the_given_customers(store: Store):
    stored(store, contact_ids=("a", "b"), accepted_gdpr=False)
    stored(store, contact_ids=("c",), is_active=False)
    stored(store, contact_ids=("d",), accepted_gdpr=True)
    stored(store, "t2", contact_ids=("e",), prevent_data_collection=True)
    asked = [("t1", "a"), ("t1", "c"), ("t1", "d"), ("t2", "b"), ("t1", "e"), ("t2", "e")]
    found = dict(zip(asked, read_objections(store, asked), strict=True))
    assert {key: one for key, one in found.items() if one != NO_OBJECTIONS} == {
        ("t1", "a"): ContactObjections(refuses_gdpr=True),
        ("t1", "c"): ContactObjections(is_inactive=True),
        ("t2", "e"): ContactObjections(prevents_collection=True),
    }


def test_erasing_a_customer_removes_every_version_of_every_profile_about_it(store: Store):
    once = stored(store, contact_ids=("a",))
    patched(store, once, NOW_MS, email="b")
    finish(store, stored(store, contact_ids=("b",), prevent_data_collection=True), "expired")
    stays = stored(store, contact_ids=("c",))
    other = stored(store, "t2", contact_ids=("b",))
    remove_customers(store, "t1", ["b"])
    assert {row[0] for row in rows(store)} == {stays.id, other.id}
