"""Laws of consent: records precede attributes, and a grant never allows less."""

from __future__ import annotations

import itertools
import re
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.profiles.consent import (
    GRANTING_WORDS,
    MARKETING,
    PURPOSES,
    ConsentSource,
    ConsentStatement,
    ConsentStatus,
    find_missing_purpose,
    find_withheld_purposes,
    pick_later,
    resolve_consent,
)
from rapport.domain.tenants import TenantSettings

purposes = st.sampled_from([*PURPOSES, "newsletter"])
records = st.dictionaries(purposes, st.sampled_from(ConsentStatus))
attributes = st.dictionaries(
    st.sampled_from([f"consent_{purpose}" for purpose in PURPOSES]),
    st.none() | st.booleans() | st.sampled_from(["yes", "no", " FALSE ", "true", "", "1", "0"]) | st.integers(0, 2),
)
settings = st.builds(TenantSettings, requires_consent=st.booleans(), is_consent_record_canonical=st.booleans())
statements = st.builds(
    ConsentStatement,
    purpose=st.just("email"),
    status=st.sampled_from(ConsentStatus),
    source=st.sampled_from(ConsentSource),
    stated_at_ms=st.integers(0, 3),
)


def allowed(recorded: dict[str, ConsentStatus], given_: dict[str, Any], chosen: TenantSettings) -> set[str]:
    return {purpose for purpose, is_allowed in resolve_consent(recorded, given_, chosen).items() if is_allowed}


@given(
    records,
    attributes,
    settings,
    st.sampled_from(PURPOSES),
    st.sampled_from([ConsentStatus.REVOKED, ConsentStatus.PENDING]),
)
def test_revoked_or_pending_consent_is_never_allowed(
    recorded: dict[str, ConsentStatus],
    given_: dict[str, Any],
    chosen: TenantSettings,
    purpose: str,
    status: ConsentStatus,
):
    assert purpose not in allowed({**recorded, purpose: status}, given_, chosen)


@given(records, attributes, settings, st.sampled_from(PURPOSES))
def test_granted_consent_is_allowed(
    recorded: dict[str, ConsentStatus], given_: dict[str, Any], chosen: TenantSettings, purpose: str
):
    assert purpose in allowed({**recorded, purpose: ConsentStatus.GRANTED}, given_, chosen)


@given(records.filter(bool), attributes, settings, st.lists(purposes))
def test_with_records_more_grants_never_allow_less(
    recorded: dict[str, ConsentStatus], given_: dict[str, Any], chosen: TenantSettings, granted: list[str]
):
    more = recorded | dict.fromkeys(granted, ConsentStatus.GRANTED)
    assert allowed(recorded, given_, chosen) <= allowed(more, given_, chosen)


@given(settings, st.lists(purposes))
def test_without_records_more_grants_never_allow_less(chosen: TenantSettings, granted: list[str]):
    assert allowed({}, {}, chosen) <= allowed(dict.fromkeys(granted, ConsentStatus.GRANTED), {}, chosen)


@given(records, attributes, attributes, settings)
def test_attributes_count_only_without_records_and_unless_records_are_canonical(
    recorded: dict[str, ConsentStatus], these: dict[str, Any], those: dict[str, Any], chosen: TenantSettings
):
    if recorded or chosen.is_consent_record_canonical:
        assert allowed(recorded, these, chosen) == allowed(recorded, those, chosen)


@given(records, attributes, st.booleans())
def test_requiring_consent_never_allows_more(
    recorded: dict[str, ConsentStatus],
    given_: dict[str, Any],
    canonical: bool,  # noqa: FBT001
):
    lenient, strict = (TenantSettings(requires_consent=x, is_consent_record_canonical=canonical) for x in (False, True))
    assert allowed(recorded, given_, strict) <= allowed(recorded, given_, lenient)
    assert find_withheld_purposes(recorded, given_, strict) == set(PURPOSES) - allowed(recorded, given_, strict)


@given(st.lists(statements, min_size=1, max_size=4))
def test_which_statement_counts_does_not_depend_on_their_order(given_: list[ConsentStatement]):
    results = {
        (one.stated_at_ms, one.status)
        for order in itertools.permutations(given_)
        for one in [reduce(pick_later, order)]
    }
    assert len(results) == 1


@pytest.mark.parametrize(
    ("given_", "is_allowed"),
    [
        ({}, True),
        ({"consent_email": True}, True),
        ({"consent_email": "yes"}, True),
        ({"consent_email": 1}, True),
        ({"consent_email": None}, True),
        ({"consent_email": False}, False),
        ({"consent_email": "No"}, False),
        ({"consent_email": 0}, False),
        ({"consent_email": ""}, False),
        ({"consent_sms": False}, True),
    ],
)
def test_attributes_are_read_as_people_write_them(given_: dict[str, Any], is_allowed: bool):  # noqa: FBT001
    assert resolve_consent({}, given_, TenantSettings())["email"] is is_allowed
    assert not resolve_consent({}, given_, TenantSettings(requires_consent=True, is_consent_record_canonical=True))[
        "email"
    ]


@pytest.mark.parametrize(
    ("channel_type", "refused", "missing"),
    [
        ("email", {"email"}, "email"),
        ("email", {"email", MARKETING}, MARKETING),
        ("web", {"email"}, None),
        ("web", {MARKETING}, MARKETING),
        ("whatsapp", {"phone"}, "phone"),
        (None, {"email", "third_party"}, "email"),
        (None, {"third_party"}, None),
        ("sms", set(), None),
    ],
)
def test_a_channel_needs_marketing_and_its_own_purpose(
    channel_type: str | None, refused: set[str], missing: str | None
):
    assert find_missing_purpose(channel_type, frozenset(refused)) == missing


@pytest.mark.parametrize(
    "no",
    [
        *("unsubscribed", "opted_out", "opt-out", "WITHDRAWN", "declined", "none", "f", "null", "undefined"),
        *("disabled", "blocked", "never", "cleaned", "bounced", "", "  ", "yes please", "not given", "nein"),
        *(False, 0, 2, -1, 0.5, [], ["yes"], {"granted": True}, float("nan")),
    ],
    ids=repr,
)
def test_an_attribute_without_a_granting_word_refuses(no: object):
    """keila#253: a list of refusing words is never complete, so the granting words are listed."""
    assert "email" not in allowed({}, {"consent_email": no}, TenantSettings())


@pytest.mark.parametrize("yes", [True, 1, 1.0, *GRANTING_WORDS, " Subscribed ", "OPT-IN", "opted in", "YES"], ids=repr)
def test_the_words_that_grant_do_so_in_any_case(yes: object):
    assert "email" in allowed({}, {"consent_email": yes}, TenantSettings(requires_consent=True))


def test_the_words_that_grant_are_documented():
    text = Path("docs/customers.md").read_text()
    listed = text[text.index("True, 1 and these words consent") : text.index("Everything else is a no")]
    assert tuple(re.findall(r"`(\w+)`", listed)) == GRANTING_WORDS


def test_of_several_spellings_of_an_attribute_the_strictest_counts():
    spelled = {"consent_thirdParty": False, "Consent_Email": "no", "consent_email": "yes"}
    assert not {"third_party", "email"} & allowed({}, spelled, TenantSettings())
