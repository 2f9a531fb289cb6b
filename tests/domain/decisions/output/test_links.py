"""Values in addresses: a value is one piece of an address, or a whole address with an allowed scheme.

Browsers parse addresses as the WHATWG URL standard defines: the expected results are those of its parser.
"""

from __future__ import annotations

import html
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.inventory import Creative
from rapport.domain.catalogue_checks.entity_checks import find_entity_faults
from rapport.domain.decisions.output.rendering import RenderedContent, render
from rapport.domain.faults import Fault

RUNNING = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java\r\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "\x00 javascript:alert(1)",
    "javascript\t:alert(1)",
    "javascript:\n//https://shop.example",
    "vbscript:msgbox(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "blob:https://x/1",
    "view-source:x",
    "file:///etc/passwd",
    "intent://x",
    "https:\\\\evil.example",
]


def shown(
    template: str, value: object, *, field: str = "body", kind: str = "email_html", **more: Any
) -> RenderedContent:
    creative = Creative(id="c", name="c", offer_id="o", channel_id="ch", template_type=kind, content={field: template})
    values = {"x": value, **more}
    return render(creative, values.get)


def faults(content: dict[str, str], kind: str = "email_html") -> list[Fault]:
    creative = Creative(id="c", name="c", offer_id="o", channel_id="ch", template_type=kind, content=content)
    return find_entity_faults("creative", msgspec.structs.replace(creative, content=content), {})


@pytest.mark.parametrize("value", RUNNING)
@pytest.mark.parametrize(
    ("field", "template"),
    [
        ("ctaUrl", "{x}"),
        ("imageSrc", "{x}"),
        ("body", '<a href="{x}">'),
        ("body", '<a href=" {x}">'),
        ("body", '<object data="{x}"></object>'),
        ("body", '<form action="{x}">'),
        ("body", '<button formaction="{x}">'),
        ("body", '<svg><use xlink:href="{x}"/></svg>'),
        ("body", '<base href="{x}">'),
        ("body", '<body background="{x}">'),
    ],
)
def test_a_value_with_an_executable_scheme_is_refused(field: str, template: str, value: str):
    assert shown(template, value, field=field).unresolved == ("x",)


@pytest.mark.parametrize(
    "value", ["https://a.example/b?c=1", "http://a", "mailto:a@b.de", "tel:+49", "/b", "b?c:d", ""]
)
def test_a_value_may_be_a_whole_address_with_an_allowed_scheme(value: str):
    assert shown("{x}", value, field="ctaUrl").content == {"ctaUrl": value}
    assert shown('<a href="{x}">', value).content == {"body": f'<a href="{html.escape(value)}">'}


@pytest.mark.parametrize(
    "template",
    [
        '<meta http-equiv="refresh" content="{x}">',
        '<svg><set attributeName="href" to="{x}"/></svg>',
        '<svg><animate attributeName="href" values="{x}"/></svg>',
        '<img srcset="{x}">',
        '<img srcset="a.png 1x, {x} 2x">',
        '<a ping="{x}">',
        '<iframe srcdoc="{x}">',
        '<p style="background: url({x})">',
        '<rect fill="url({x})">',
        "<a onclick=\"f('{x}')\">",
        '<a whatever="{x}">',
        "<a href={x}>",
        "<p title=`{x}`>",
        "<{x}>",
        "<style>p{background:url({{x}})}</style>",
        "<script>var x = `{{x}}`</script>",
    ],
)
def test_a_placeholder_in_an_unsafe_position_is_refused_on_save_and_not_rendered(template: str):
    assert shown(template, "x").unresolved == ("x",)
    (fault,) = faults({"body": template})
    assert fault.field == "content.body"
    assert fault.message.startswith(("{x} stands in", "{{x}} stands in"))


@pytest.mark.parametrize(
    "written", ["javascript:f({x})", "java\tscript:x", " JAVASCRIPT:x", "data:text/html,x", "vbscript:x"]
)
def test_a_template_with_an_executable_scheme_cannot_be_saved(written: str):
    (fault,) = faults({"ctaUrl": written})
    assert (fault.field, "is an address that begins with" in fault.message) == ("content.ctaUrl", True)
    assert faults({"body": f'<a href="{written}">x</a>'})
    assert faults({"body": f'<a href="{written.replace("a", "&#97;", 1)}">x</a>'})


def test_a_template_may_contain_addresses_of_apps_and_images():
    assert faults({"ctaUrl": "myapp://offers/{x}", "body": '<img src="data:image/png;base64,AAAA" alt="{x}">'}) == []


@pytest.mark.parametrize(
    ("template", "value", "written"),
    [
        ("/{x}", "/evil.example/x", "/%2Fevil.example%2Fx"),
        ("/{x}", "\\evil.example", "/%5Cevil.example"),
        ("/{x}", "", None),
        ("/{x}/b", "", None),
        ("/a/{x}", "../../logout", None),
        ("/a/{x}", "..", None),
        ("/a/{x}", "%2e%2E", None),
        ("/a/{x}/b", ".", None),
        ("/a/{x}", "b\\..\\c", None),
        ("/a/{x}", "1.2", "/a/1.2"),
        ("/a-{x}", "", "/a-"),
        ("https://shop.example/{x}", "//evil.example", "https://shop.example/%2F%2Fevil.example"),
        ("https://{x}.shop.example/", "evil.example/", "https://evil.example%2F.shop.example/"),
        ("https://{x}.shop.example/", "a@evil.example#", "https://a%40evil.example%23.shop.example/"),
        ("https://{x}/a", "shop.example", "https://shop.example/a"),
        ("https://{x}/a", "", None),
        ("mailto:{x}", "a@b.de?bcc=c@d.de", "mailto:a@b.de%3Fbcc%3Dc@d.de"),
        ("java{x}", "script:alert(1)", "javascript%3Aalert%281%29"),
        ("{x}/offers", "https://shop.example", "https://shop.example/offers"),
        ("{x}/evil.example", "/", None),
        ("/s?q={x}#{x}", "a/b&c#d", "/s?q=a%2Fb%26c%23d#a%2Fb%26c%23d"),
    ],
)
def test_a_value_is_encoded_as_one_piece_of_an_address(template: str, value: str, written: str | None):
    for field, around in (("ctaUrl", "{}"), ("body", '<a href="{}">')):
        found = shown(around.replace("{}", template), value, field=field)
        if written is None:
            assert found.unresolved == ("x",)
        else:
            expected = html.escape(written) if field == "body" else written
            assert found.content == {field: around.replace("{}", expected)}


@pytest.mark.parametrize(
    "template", ["https://shop.example{x}", "https://shop.{x}/a", "//shop.example{x}:80/", "{x}:80/a"]
)
def test_an_address_whose_host_or_scheme_a_value_would_change_cannot_be_saved(template: str):
    assert shown(template, ".evil.example", field="ctaUrl").unresolved == ("x",)
    assert [fault.field for fault in faults({"ctaUrl": template})] == ["content.ctaUrl"]
    assert faults({"body": f'<a href="{template}">'})


@given(
    st.sampled_from(
        ["https://shop.example/a/{x}/b?q={y}", "/{x}{y}", "/{x}/{y}", "a/{x}-{y}", "https://{x}.shop.example/{y}"]
    ),
    *[st.text("ab./\\%:@?#\t\n &;2eEfF") | st.sampled_from(RUNNING) for _ in "xy"],
)
def test_no_value_changes_the_host_or_the_depth_of_an_address(template: str, x: str, y: str):
    found = shown(template, x, field="ctaUrl", y=y)
    if not found.unresolved:
        before = urlsplit(template.replace("{x}", "v").replace("{y}", "v"))
        after = urlsplit(found.content["ctaUrl"])
        assert (after.scheme, bool(after.netloc)) == (before.scheme, bool(before.netloc))
        assert after.netloc.endswith("shop.example" if before.netloc else "")
        assert after.path.count("/") == before.path.count("/")
        assert not {unquote(step) for step in after.path.split("/")} & {".", ".."}
        assert "\\" not in found.content["ctaUrl"]
