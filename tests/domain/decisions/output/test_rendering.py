from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.catalogue.inventory import Creative, PersonalizationVariable
from rapport.domain.decisions.output.rendering import RenderedContent, render
from rapport.domain.decisions.output.templates import TextFormat, detect_format
from tests.domain.decisions.small_catalogue import CustomerFacts, context, loan

LAW = settings(max_examples=200, deadline=None)
values = st.one_of(st.text(), st.text("<>&\"'{}\\/:;=` \n%x"), st.sampled_from(["{first_name}", "{{x}}", "</script>"]))


def creative(
    content: Mapping[str, str], *variables: PersonalizationVariable, template_type: str = "sms_text"
) -> Creative:
    return Creative(
        id="c",
        name="c",
        offer_id="loan",
        channel_id="web",
        template_type=template_type,
        content=content,
        personalization=variables,
    )


def variable(name: str, source: str = "", fallback: str | None = None) -> PersonalizationVariable:
    return PersonalizationVariable(variable=name, source=source, fallback=fallback)


def rendered(
    template: str,
    fields: Mapping[str, Any],
    *variables: PersonalizationVariable,
    template_type: str = "sms_text",
    field: str = "body",
) -> RenderedContent:
    return render(creative({field: template}, *variables, template_type=template_type), fields.get)


def text(template: str, fields: Mapping[str, Any], *variables: PersonalizationVariable, **options: str) -> str:
    result = rendered(template, fields, *variables, **options)
    assert result.unresolved == ()
    return next(iter(result.content.values()))


@pytest.mark.parametrize(
    ("fields", "variables", "shown"),
    [
        ({"x": "computed", "source": "s", "customer.x": "c"}, [variable("x", "source", "f")], "computed"),
        ({"source": "s", "customer.x": "c"}, [variable("x", "source", "f")], "s"),
        ({"customer.source": "s", "customer.x": "c"}, [variable("x", "source", "f")], "s"),
        ({"customer.x": "c"}, [variable("x", "source", "f")], "f"),
        ({"customer.x": "c"}, [variable("x", "source")], "c"),
        ({"customer.x": "c", "attributes.x": "a"}, [variable("x", fallback="f")], "c"),
        ({"attributes.x": "a"}, [], "a"),
        ({"customer.x": ""}, [variable("x", fallback="f")], "f"),
        ({"customer.x": ""}, [], ""),
        ({}, [variable("x", fallback="")], ""),
        ({"x": {"an": "object"}}, [variable("x", fallback="f")], "f"),
    ],
)
def test_a_value_comes_from_the_first_source_that_has_one(
    fields: dict[str, Any], variables: list[PersonalizationVariable], shown: str
):
    assert text("Hi {x}!", fields, *variables) == f"Hi {shown}!"
    assert text("Hi {{ x }}!", fields, *variables) == f"Hi {shown}!"


def test_an_unresolved_placeholder_is_reported_once_and_removed():
    content = {"subject": "{x} {customer.y}", "body": "{x} {{#if z}} {{}}"}
    result = render(creative(content), {"x": None}.get)
    assert result == RenderedContent({"subject": " ", "body": "  "}, ("x", "customer.y", "#if z", "{{}}"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4.50, "4.5"),
        (0.1 + 0.2, "0.3"),
        (12345678901234567890, "12345678901234567890"),
        (True, "true"),
        ("  ", "  "),
        (float("nan"), None),
        (10**400, None),
        (["a"], None),
    ],
)
def test_values_are_formatted_for_customers(value: object, shown: str | None):
    result = rendered("{x}", {"x": value})
    assert result.content["body"] == (shown or "")
    assert bool(result.unresolved) == (shown is None)


@pytest.mark.parametrize(
    "template",
    ["a { color: red } b", '{"a": 1, "b": {}}', "{ first_name }", "{}", "{3} {1,2}", "a{", "}b", "{a b}", "\\n \\d{2}"],
)
def test_other_braces_stay_as_they_are(template: str):
    assert text(template, {}) == template


def test_a_backslash_keeps_a_placeholder():
    assert text(r"\{x} \{{ x }} {x} {{{x}}}", {"x": 1}) == "{x} {{ x }} 1 {1}"


def test_a_declared_variable_may_begin_with_a_digit():
    assert text("{2nd} {3}", {}, variable("2nd", fallback="two")) == "two {3}"


def test_values_are_not_searched_for_placeholders():
    assert text("{x} {y}", {"x": "{y} {{y}} \\{y}", "y": "Y"}) == "{y} {{y}} \\{y} Y"


@pytest.mark.parametrize(
    ("template_type", "field", "template", "form"),
    [
        ("email_html", "body", "Hi {x}", TextFormat.HTML),
        ("email_html", "subject", "Hi <b>{x}</b>", TextFormat.LINE),
        ("email_html", "headline", "Hi {x}", TextFormat.PLAIN),
        ("web_banner", "body", "Hi <b>{x}</b>", TextFormat.HTML),
        ("web_banner", "body", "Hi&nbsp;{x}", TextFormat.HTML),
        ("web_banner", "body", "Hi {x} <3", TextFormat.PLAIN),
        ("web_banner", "bodyHtml", "Hi {x}", TextFormat.HTML),
        ("sms_text", "body", "Hi <b>{x}</b>", TextFormat.PLAIN),
        ("in_app_card", "ctaUrl", "https://x.example/{x}", TextFormat.ADDRESS),
        ("push_notification", "deepLink", "app://{x}", TextFormat.ADDRESS),
        ("webhook_payload", "body", '{"x": "<b>{x}</b>"}', TextFormat.JSON),
        ("webhook_payload", "body", "x={x}", TextFormat.PLAIN),
    ],
)
def test_the_format_of_a_field_depends_on_template_type_name_and_text(
    template_type: str, field: str, template: str, form: TextFormat
):
    assert detect_format(template_type, field, template) is form


def test_a_subject_stays_one_line():
    assert text("Hi {x}", {"x": "Ann\r\nBcc: all"}, field="subject") == "Hi Ann Bcc: all"


@pytest.mark.parametrize(
    "template",
    [
        "<script>f('{{x}}')</script>",
        "<STYLE>p { color: {{x}} }</style >",
        "<script>{{x}}",
        "<a onclick=\"f('{x}')\">",
        "<p style='color: {x}'>",
        "<p class={x}>",
        "<p {x}>",
        "<p it's {x}>",
        "<{x}>",
        '<p title="a" {x}="b">',
        "<p onclick='a=\"{x}\"'>",
    ],
)
def test_no_value_is_rendered_into_scripts_or_style_sheets(template: str):
    result = rendered(template, {"x": "x"}, template_type="email_html")
    assert result.unresolved == ("x",)
    assert "{x}" not in result.content["body"]


def test_braces_in_scripts_and_style_sheets_are_code():
    template = "<style>p{color:red} b{x}</style>{x}<script>return {x}</script>"
    assert text(template, {"x": "<b>"}, template_type="email_html") == template.replace(">{x}<", ">&lt;b&gt;<")


@pytest.mark.parametrize("address", ["javascript:alert(1)", " JavaScript :x", "data:text/html,x", "\tvbscript:x"])
def test_an_executable_address_is_refused_as_a_value(address: str):
    assert rendered("{x}", {"x": address}, field="ctaUrl").unresolved == ("x",)
    assert rendered('<a href="{x}">', {"x": address}, template_type="email_html").unresolved == ("x",)


def test_a_value_may_be_a_whole_address():
    address = "https://shop.example/loan?id=1&from=mail"
    assert text("{x}", {"x": address}, field="imageUrl") == address
    page = text('<img alt="" src="{x}">', {"x": address}, template_type="email_html")
    assert structure(page) == [("img", [("alt", ""), ("src", address)])]


@LAW
@given(value=values)
def test_a_value_cannot_change_the_structure_of_a_page(value: str):
    template = '<p title="{x}" lang=\'{x}\'>Hi {x}</p><a class=b href="https://x.example/?q={x}">{{x}}</a><!-- {x} -->'
    harmless = structure(template.replace("{{x}}", "y").replace("{x}", "y"))
    page = structure(text(template, {"x": value}, template_type="email_html"))
    assert [(tag, [name for name, _ in attributes]) for tag, attributes in page] == [
        (tag, [name for name, _ in attributes]) for tag, attributes in harmless
    ]


@LAW
@given(value=values)
def test_a_value_survives_encoding_in_a_json_string(value: str):
    template = '{"a": {"b": "{x}"}, "c\\"": "Hi {{x}}!", "d": [{x}, {y}]}'
    body = json.loads(text(template, {"x": value, "y": True}, template_type="webhook_payload"))
    assert list(body) == ["a", 'c"', "d"]
    assert (body["a"], body['c"']) == ({"b": value}, f"Hi {value}!")
    assert body["d"][0] == value or isinstance(body["d"][0], int | float)
    assert body["d"][1:] == [True]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (4.0, "4"),
        ("-1.5e3", "-1.5e3"),
        (False, "false"),
        ("007", '"007"'),
        ("NaN", '"NaN"'),
        ("null", '"null"'),
        ('1, "a": 2', '"1, \\"a\\": 2"'),
    ],
)
def test_an_unquoted_value_in_json_is_a_json_value(value: object, written: str):
    assert text('{"a": {x}}', {"x": value}, template_type="webhook_payload") == f'{{"a": {written}}}'


@LAW
@given(value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_value_survives_encoding_in_the_query_of_an_address(value: str):
    address = text("https://x.example/offer?q={x}&r=1#top", {"x": value}, field="ctaUrl")
    parts = urlsplit(address)
    assert (parts.netloc, parts.path, parts.fragment) == ("x.example", "/offer", "top")
    assert parse_qs(parts.query) == {"q": [value], "r": ["1"]}


PIECES = [
    "{x}",
    "{{x}}",
    "{{ x }}",
    "{customer.x}",
    "{",
    "}",
    "a",
    " ",
    "<p>",
    '"',
    "=",
    "</p>",
    "<script>",
    "\n",
    "é",
    ":",
]


@LAW
@given(
    template=st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    value=st.none() | st.just("value"),
    template_type=st.sampled_from(["email_html", "sms_text", "web_banner", "webhook_payload"]),
    field=st.sampled_from(["subject", "body", "ctaUrl"]),
)
def test_no_placeholder_remains_after_rendering(template: str, value: str | None, template_type: str, field: str):
    result = rendered(template, {"x": value, "customer.x": value}, template_type=template_type, field=field)
    shown, _, code = result.content[field].partition("<script>")
    assert "{{x}}" not in shown + code
    assert "{customer.x}" not in shown
    assert value is not None or not any(piece in template for piece in ("{{x}}", "{{ x }}")) or result.unresolved


def test_a_creative_is_rendered_for_a_candidate():
    run = context(CustomerFacts(attributes={"first_name": "Ann"}), attributes={"tier": "gold"})
    candidate = loan(personalization={"rate": 4.25})
    template = "{first_name}, {tier}: {offer.name} at {rate}% instead of {base_rate}%"
    result = render(creative({"body": template}), lambda name: run.lookup(name, candidate))
    assert result == RenderedContent({"body": "Ann, gold: Loan at 4.25% instead of 4.5%"})


def structure(page: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Tags of a page with their attributes."""
    found: list[tuple[str, list[tuple[str, str | None]]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, attrs))

        def handle_endtag(self, tag: str) -> None:
            found.append((f"/{tag}", []))

        def handle_comment(self, data: str) -> None:
            found.append(("comment", [("ends", None)] if "-->" in data else []))

    reader = Reader()
    reader.feed(page)
    reader.close()
    return found
