from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rapport.domain.addresses import fold_address
from rapport.domain.privacy import hash_customer, list_hashes
from rapport.domain.profiles.identity import Merges, MergeStatement

if TYPE_CHECKING:
    from rapport.storage.client import Store

SAME = ["Max.Muster@Example.com", "max.muster@example.com", "MAX.MUSTER@EXAMPLE.COM"]
OTHERS = ["ACME", "ACME/4711", "@Ann", "Ann@", "A@b@C", "Max Muster@example.com", "", "Straße"]
LETTERS = ["ÄÖÜẞ@ÉCOLE.fr", "ΣΊΣΥΦΟΣ@ΠΑΡΆΔΕΙΓΜΑ.ελ", "ДМИТРИЙ@ПРИМЕР.рф", "Đặng@Ví-Dụ.vn"]


def test_addresses_are_the_same_in_any_case_and_other_ids_are_unchanged():
    assert {fold_address(text) for text in SAME} == {"max.muster@example.com"}
    assert [fold_address(text) for text in OTHERS] == OTHERS


@pytest.mark.parametrize("text", [*SAME, *OTHERS, *LETTERS])
def test_the_database_folds_as_python_does(store: Store, text: str):
    row = {"tenant": "acme", "ids": [text]}
    store.client.command(
        "INSERT INTO contact_profile_versions (tenant_id, profile_id, version, customer_ids) "
        "VALUES ({tenant:String}, 'p', 1, {ids:Array(String)})",
        parameters=row,
    )
    assert store.client.query("SELECT folded_ids FROM contact_profile_versions").result_rows == [
        ([fold_address(text)],)
    ]
    assert fold_address(fold_address(text)) == fold_address(text)


def test_erasing_one_spelling_of_an_address_erases_the_others():
    erased = hash_customer("acme", "max.muster@example.com")
    assert all(erased in list_hashes("acme", text) for text in SAME)
    assert list_hashes("acme", "ACME/4711") == (hash_customer("acme", "ACME/4711"),)


def test_a_merged_address_belongs_to_the_person_in_any_case():
    merges = Merges.from_log([MergeStatement("m1", SAME[0], "crm-7")])
    assert merges.members(SAME[1]) == ("crm-7", SAME[0], SAME[1])
    assert merges.canonical(SAME[2]) == "crm-7"
    assert merges.members("max.muster@example.org") == ("max.muster@example.org",)
