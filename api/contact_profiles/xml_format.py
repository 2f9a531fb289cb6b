"""Plain values as XML. It is only ever written here: nothing in Rapport reads XML of others.

A field is an element of its name, or ``<field name="…">`` where the name is none that XML knows. The attribute ``type``
says what a value is: boolean, number, null, array (of ``<item>``) or object; without one it is text. What holds
characters that XML 1.0 cannot carry is written as JSON, with type json.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import XMLGenerator, escape
from xml.sax.xmlreader import AttributesImpl

_UNFIT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME: Final = re.compile(r"(?!xml)[A-Za-z_][A-Za-z0-9_.-]*", re.IGNORECASE)
_CARRIAGE_RETURN: Final = {"\r": "&#13;"}
_SCALARS: Final[Mapping[type, str]] = {type(None): "null", bool: "boolean", int: "number", float: "number"}


def to_xml(root: str, value: Mapping[str, Any]) -> bytes:
    """Write a document.

    Args:
        root: Its element.
        value: Dictionaries, lists and the scalars of JSON.
    """
    text = io.StringIO()
    writer = _ExactWriter(text, "UTF-8")
    writer.startDocument()
    _write_element(writer, root, {}, value)
    return text.getvalue().encode()


class _ExactWriter(XMLGenerator):
    """Writes text so that a reader gets it unchanged."""

    def characters(self, content: str) -> None:
        """Write text; a carriage return as its reference, because a reader takes a bare one for a line feed."""
        self.ignorableWhitespace(escape(content, _CARRIAGE_RETURN))  # which writes what it gets as it is


def _write_element(
    writer: XMLGenerator,
    tag: str,
    attributes: Mapping[str, str],
    value: Any,  # noqa: ANN401 - whatever JSON has
) -> None:
    kind = _name_type(value)
    writer.startElement(tag, AttributesImpl({**attributes, "type": kind} if kind else attributes))
    match kind:
        case "array":
            for item in value:
                _write_element(writer, "item", {}, item)
        case "object":
            for name, inner in value.items():
                if _NAME.fullmatch(name):
                    _write_element(writer, name, {}, inner)
                else:
                    _write_element(writer, "field", {"name": name}, inner)
        case "":
            writer.characters(value)
        case "boolean" | "number" | "json":
            writer.characters(json.dumps(value))
    writer.endElement(tag)


def _name_type(value: Any) -> str:  # noqa: ANN401 - whatever JSON has
    """Return the attribute ``type`` of a value; empty for text."""
    match value:
        case None | bool() | int() | float():
            return _SCALARS[type(value)]
        case str() if not _UNFIT.search(value):
            return ""
        case list() | tuple():
            return "array"
        case Mapping() if not any(_UNFIT.search(name) for name in value):
            return "object"
        case _:
            return "json"
