"""Texts with placeholders: what is one, and how a value may be written in its place."""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache, partial
from typing import Final, TypeAlias

from rapport.domain.decisions.output.links import (
    ADDRESS_ATTRIBUTES,
    TEXT_ATTRIBUTES,
    TEXT_PREFIXES,
    fault_of_address,
    position_of,
    writer_for,
)
from rapport.domain.decisions.output.markup import Reader, find_attributes, find_regions

Encode: TypeAlias = Callable[[str], str | None]
"""Writes a value so that it cannot change what the text around it means; None where no way of writing is safe."""

EncoderAt: TypeAlias = Callable[[int], Encode | None]
"""How to write a value at a place in a template; None inside code. Places are asked for in their order."""

MAX_TEMPLATE: Final = 200_000
MAX_PLACEHOLDERS: Final = 1_000
MAX_ADDRESS: Final = 8_192
_PLACEHOLDER: Final = re.compile(
    r"\\(?P<literal>\{\{[^{}]*\}\}|\{[A-Za-z0-9_.-]+\})"
    r"|\{\{(?P<double>[^{}]*)\}\}"
    r"|\{(?P<single>[A-Za-z0-9_.-]+)\}"
)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_ENTITY: Final = re.compile(r"&(?:[A-Za-z]+|#\w+);")
_ADDRESS_NAMES: Final = ("url", "link", "uri", "href", "src")
_HOLE: Final = "\0"
_JSON_QUOTE: Final = re.compile(r'\\.|(")')
_JSON_WORD: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false")
_SHOWN_AS_TEXT: Final = frozenset({"email_text", "push_notification", "sms_text", "whatsapp_template"})


class Form(Enum):
    """What the text of a field is."""

    PLAIN = auto()
    LINE = auto()
    HTML = auto()
    JSON = auto()
    ADDRESS = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The encoder of a place where no value is safe.

    Attributes:
        reason: Why, of the placeholder; empty where the place is right and the placeholder is none.
    """

    reason: str = ""

    def __call__(self, _text: str) -> None:
        """Write nothing."""
        return


_IN_CODE: Final = Refusal("stands in a script or a style sheet, where no value is safe")
_IN_TAG: Final = Refusal("stands in a tag, but in no quoted attribute")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value.

    Attributes:
        written: As the template has it.
        only_declared: Ordinary text unless the creative declares the variable: ``{3}`` is no placeholder by itself.
    """

    name: str
    written: str
    encode: Encode
    only_declared: bool = False


Template: TypeAlias = tuple[str | Slot, ...]


def form_of(template_type: str, field: str, template: str) -> Form:
    """Tell what a field's text is.

    Addresses are fields whose name ends in url, uri, link, href or src. A webhook's field that begins like JSON is
    JSON. HTML is the body of an HTML e-mail, a field with html in its name, and every text with a tag or an entity in
    it, unless the template is of a kind that is shown as plain text. A subject is one line.
    """
    name = field.lower()
    if name.endswith(_ADDRESS_NAMES):
        return Form.ADDRESS
    if template_type == "webhook_payload" and template.lstrip().startswith(("{", "[")):
        return Form.JSON
    if name == "subject":
        return Form.LINE
    if template_type in _SHOWN_AS_TEXT:
        return Form.PLAIN
    is_html = "html" in name or (template_type == "email_html" and name == "body")
    is_html = is_html or next(find_regions(template), None) is not None or _ENTITY.search(template) is not None
    return Form.HTML if is_html else Form.PLAIN


def fault_of_template(template_type: str, field: str, template: str) -> str:
    """Return what is wrong with the text of a field; empty for one that may be stored."""
    if len(template) > MAX_TEMPLATE:
        return f"has {len(template):,} characters; {MAX_TEMPLATE:,} are allowed"
    count = sum(1 for _ in _PLACEHOLDER.finditer(template))
    if count > MAX_PLACEHOLDERS:
        return f"has {count:,} placeholders; {MAX_PLACEHOLDERS:,} are allowed"
    for part in parse_template(template_type, field, template):
        if isinstance(part, Slot) and isinstance(part.encode, Refusal) and part.encode.reason:
            return f"{part.written} {part.encode.reason}"
    form = form_of(template_type, field, template)
    addresses = [template] if form is Form.ADDRESS else _addresses_in(template) if form is Form.HTML else ()
    return next((fault for address in addresses if (fault := fault_of_address(address))), "")


def _addresses_in(template: str) -> Iterator[str]:
    for region in find_regions(template):
        for attribute in () if region.is_code else find_attributes(template, region):
            if attribute.name in ADDRESS_ATTRIBUTES:
                yield html.unescape(template[attribute.start : attribute.end])


@lru_cache(maxsize=1_024)
def parse_template(template_type: str, field: str, template: str) -> Template:
    """Split the text of a field into text and slots."""
    return tuple(part for part in _parts(template, form_of(template_type, field, template)) if part)


def _parts(template: str, form: Form) -> Iterator[str | Slot]:
    end = 0
    encoder_at = _ENCODERS[form](template)
    for match in _PLACEHOLDER.finditer(template):
        encode = encoder_at(match.start())
        if match["single"] is not None and encode is None:
            continue
        yield template[end : match.start()]
        end = match.end()
        yield match["literal"] or _slot(match, encode or _IN_CODE)
    yield template[end:]


def _slot(match: re.Match[str], encode: Encode) -> Slot:
    if match["single"] is not None:
        name = match["single"]
        return Slot(name, match[0], encode, only_declared=not (name[0].isalpha() or name[0] == "_"))
    name = match["double"].strip()
    return Slot(name or match[0], match[0], encode if _NAME.fullmatch(name) else Refusal())


def _plain_encoders(_template: str) -> EncoderAt:
    return lambda _at: str


def _line_encoders(_template: str) -> EncoderAt:
    return lambda _at: _one_line


def _json_encoders(template: str) -> EncoderAt:
    quotes = [match.start() for match in _JSON_QUOTE.finditer(template) if match[1]]
    return lambda at: _inside_json_text if bisect_left(quotes, at) % 2 else _json_value


def _address_encoders(template: str) -> EncoderAt:
    return lambda at: _address_encoder(template, 0, at, len(template), lambda text: text)


def _address_encoder(template: str, start: int, at: int, end: int, read: Callable[[str], str]) -> Encode:
    """How to write a value into an address.

    Args:
        template: Holds the address.
        start: Where it begins.
        at: Where the placeholder does.
        end: Where the address ends.
        read: What the text of the address is to whoever follows it.
    """
    if end - start > MAX_ADDRESS:
        return Refusal(f"stands in an address of more than {MAX_ADDRESS:,} characters")
    before = read(_PLACEHOLDER.sub(_HOLE, template[start:at]))
    placeholder = _PLACEHOLDER.match(template, at)
    after = read(_PLACEHOLDER.sub(_HOLE, template[placeholder.end() if placeholder else at : end]))
    position = position_of(before, after)
    return Refusal(position.fault) if position.fault else writer_for(position.part, before, after)


def _html_encoders(template: str) -> EncoderAt:
    reader = Reader(template)
    return lambda at: _html_encoder(template, reader, at)


def _html_encoder(template: str, reader: Reader, at: int) -> Encode | None:
    """Between tags and in quoted attributes a value is escaped; elsewhere in a tag none is safe."""
    is_unclosed = reader.is_in_unclosed_tag(at)
    around = reader.region_at(at)
    if around is None:
        return _IN_TAG if is_unclosed else html.escape
    if around.is_code:
        return None
    attribute = reader.attribute_at(at)
    if attribute is None:
        return _IN_TAG
    if attribute.name in TEXT_ATTRIBUTES or attribute.name.startswith(TEXT_PREFIXES):
        return html.escape
    if attribute.name not in ADDRESS_ATTRIBUTES:
        return Refusal(f"stands in the attribute {attribute.name}, where a value could run or load something")
    encode = _address_encoder(template, attribute.start, at, attribute.end, html.unescape)
    return encode if isinstance(encode, Refusal) else partial(_in_html, encode)


_ENCODERS: Final[Mapping[Form, Callable[[str], EncoderAt]]] = {
    Form.PLAIN: _plain_encoders,
    Form.LINE: _line_encoders,
    Form.HTML: _html_encoders,
    Form.JSON: _json_encoders,
    Form.ADDRESS: _address_encoders,
}


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _json_value(text: str) -> str:
    return text if _JSON_WORD.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _inside_json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_html(encode: Encode, text: str) -> str | None:
    written = encode(text)
    return None if written is None else html.escape(written)
