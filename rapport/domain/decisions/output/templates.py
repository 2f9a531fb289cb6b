"""Templates: parsing of texts with placeholders, and the safe encoding of a value in each place."""

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
    choose_writer,
    find_address_fault,
    locate_value,
)
from rapport.domain.decisions.output.markup import MarkupReader, find_attributes, find_regions

Encode: TypeAlias = Callable[[str], str | None]
"""Encodes a value so that it cannot change the meaning of the text around it; None if no encoding is safe."""

EncoderAt: TypeAlias = Callable[[int], Encode | None]
"""Returns the encoder for a position in a template, None inside code; called with ascending positions."""

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
_VALUE_MARK: Final = "\0"
_JSON_QUOTE: Final = re.compile(r'\\.|(")')
_JSON_WORD: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false")
_SHOWN_AS_TEXT: Final = frozenset({"email_text", "push_notification", "sms_text", "whatsapp_template"})


class TextFormat(Enum):
    """Format of a field's text."""

    PLAIN = auto()
    LINE = auto()
    HTML = auto()
    JSON = auto()
    ADDRESS = auto()


@dataclass(frozen=True, slots=True)
class RefusingEncoder:
    """Encoder of a place where no value is allowed.

    Attributes:
        reason: Reason why no value is safe there; empty if only the placeholder's name is invalid.
    """

    reason: str = ""

    def __call__(self, _text: str) -> None:
        """Write nothing."""
        return


_IN_CODE: Final = RefusingEncoder("stands in a script or a style sheet, where no value is safe")
_IN_TAG: Final = RefusingEncoder("stands in a tag, but in no quoted attribute")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Placeholder in a template.

    Attributes:
        written: Source text of the placeholder.
        only_declared: Whether it is ordinary text unless the creative declares the variable, such as ``{3}``.
    """

    name: str
    written: str
    encode: Encode
    only_declared: bool = False


Template: TypeAlias = tuple[str | Placeholder, ...]


def detect_format(template_type: str, field: str, template: str) -> TextFormat:
    """Detect the format of a field's text.

    Fields whose name ends in url, uri, link, href or src are addresses. A webhook's field that begins like JSON is
    JSON. The body of an HTML e-mail, a field with html in its name, and every text with a tag or an entity are HTML,
    unless templates of this type are shown as plain text. A subject is a single line.
    """
    name = field.lower()
    if name.endswith(_ADDRESS_NAMES):
        return TextFormat.ADDRESS
    if template_type == "webhook_payload" and template.lstrip().startswith(("{", "[")):
        return TextFormat.JSON
    if name == "subject":
        return TextFormat.LINE
    if template_type in _SHOWN_AS_TEXT:
        return TextFormat.PLAIN
    is_html = "html" in name or (template_type == "email_html" and name == "body")
    is_html = is_html or next(find_regions(template), None) is not None or _ENTITY.search(template) is not None
    return TextFormat.HTML if is_html else TextFormat.PLAIN


def find_template_fault(template_type: str, field: str, template: str) -> str:
    """Return the fault of a field's text; empty if the text can be stored."""
    if len(template) > MAX_TEMPLATE:
        return f"has {len(template):,} characters; {MAX_TEMPLATE:,} are allowed"
    count = sum(1 for _ in _PLACEHOLDER.finditer(template))
    if count > MAX_PLACEHOLDERS:
        return f"has {count:,} placeholders; {MAX_PLACEHOLDERS:,} are allowed"
    for part in parse_template(template_type, field, template):
        if isinstance(part, Placeholder) and isinstance(part.encode, RefusingEncoder) and part.encode.reason:
            return f"{part.written} {part.encode.reason}"
    text_format = detect_format(template_type, field, template)
    addresses = (
        [template]
        if text_format is TextFormat.ADDRESS
        else _list_addresses(template)
        if text_format is TextFormat.HTML
        else ()
    )
    return next((fault for address in addresses if (fault := find_address_fault(address))), "")


def _list_addresses(template: str) -> Iterator[str]:
    for region in find_regions(template):
        for attribute in () if region.is_code else find_attributes(template, region):
            if attribute.name in ADDRESS_ATTRIBUTES:
                yield html.unescape(template[attribute.start : attribute.end])


@lru_cache(maxsize=1_024)
def parse_template(template_type: str, field: str, template: str) -> Template:
    """Split the text of a field into plain texts and placeholders."""
    return tuple(part for part in _split_template(template, detect_format(template_type, field, template)) if part)


def _split_template(template: str, text_format: TextFormat) -> Iterator[str | Placeholder]:
    end = 0
    encoder_at = _ENCODERS[text_format](template)
    for match in _PLACEHOLDER.finditer(template):
        encode = encoder_at(match.start())
        if match["single"] is not None and encode is None:
            continue
        yield template[end : match.start()]
        end = match.end()
        yield match["literal"] or _make_placeholder(match, encode or _IN_CODE)
    yield template[end:]


def _make_placeholder(match: re.Match[str], encode: Encode) -> Placeholder:
    if match["single"] is not None:
        name = match["single"]
        return Placeholder(name, match[0], encode, only_declared=not (name[0].isalpha() or name[0] == "_"))
    name = match["double"].strip()
    return Placeholder(name or match[0], match[0], encode if _NAME.fullmatch(name) else RefusingEncoder())


def _choose_plain_encoder(_template: str) -> EncoderAt:
    return lambda _at: str


def _choose_line_encoder(_template: str) -> EncoderAt:
    return lambda _at: _join_lines


def _choose_json_encoder(template: str) -> EncoderAt:
    quotes = [match.start() for match in _JSON_QUOTE.finditer(template) if match[1]]
    return lambda at: _write_json_text if bisect_left(quotes, at) % 2 else _write_json_value


def _choose_address_encoder(template: str) -> EncoderAt:
    return lambda at: _make_address_encoder(template, 0, at, len(template), lambda text: text)


def _make_address_encoder(template: str, start: int, at: int, end: int, read: Callable[[str], str]) -> Encode:
    """Return the encoder of a placeholder inside an address.

    Args:
        template: Text that contains the address.
        start: Position where the address begins.
        at: Position of the placeholder.
        end: Position where the address ends.
        read: Decodes the address from its source text, for example from HTML.
    """
    if end - start > MAX_ADDRESS:
        return RefusingEncoder(f"stands in an address of more than {MAX_ADDRESS:,} characters")
    before = read(_PLACEHOLDER.sub(_VALUE_MARK, template[start:at]))
    placeholder = _PLACEHOLDER.match(template, at)
    after = read(_PLACEHOLDER.sub(_VALUE_MARK, template[placeholder.end() if placeholder else at : end]))
    position = locate_value(before, after)
    return RefusingEncoder(position.fault) if position.fault else choose_writer(position.part, before, after)


def _choose_html_encoder(template: str) -> EncoderAt:
    reader = MarkupReader(template)
    return lambda at: _make_html_encoder(template, reader, at)


def _make_html_encoder(template: str, reader: MarkupReader, at: int) -> Encode | None:
    """Return the encoder of a position in HTML; None inside code.

    Values are escaped between tags and in quoted text attributes, encoded in addresses, and refused elsewhere in tags.
    """
    is_unclosed = reader.is_in_unclosed_tag(at)
    around = reader.find_region(at)
    if around is None:
        return _IN_TAG if is_unclosed else html.escape
    if around.is_code:
        return None
    attribute = reader.find_attribute(at)
    if attribute is None:
        return _IN_TAG
    if attribute.name in TEXT_ATTRIBUTES or attribute.name.startswith(TEXT_PREFIXES):
        return html.escape
    if attribute.name not in ADDRESS_ATTRIBUTES:
        return RefusingEncoder(f"stands in the attribute {attribute.name}, where a value could run or load something")
    encode = _make_address_encoder(template, attribute.start, at, attribute.end, html.unescape)
    return encode if isinstance(encode, RefusingEncoder) else partial(_write_escaped, encode)


_ENCODERS: Final[Mapping[TextFormat, Callable[[str], EncoderAt]]] = {
    TextFormat.PLAIN: _choose_plain_encoder,
    TextFormat.LINE: _choose_line_encoder,
    TextFormat.HTML: _choose_html_encoder,
    TextFormat.JSON: _choose_json_encoder,
    TextFormat.ADDRESS: _choose_address_encoder,
}


def _join_lines(text: str) -> str:
    return " ".join(text.splitlines())


def _write_json_value(text: str) -> str:
    return text if _JSON_WORD.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _write_json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _write_escaped(encode: Encode, text: str) -> str | None:
    written = encode(text)
    return None if written is None else html.escape(written)
