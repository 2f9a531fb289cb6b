"""Plain values as XML. It is only ever written here: nothing in Rapport reads XML of others.

A field is an element of its name, or ``<field name="…">`` where the name is none that XML knows. The attribute ``type``
says what a value is: boolean, number, null, array (of ``<item>``) or object; without one it is text. What holds
characters that XML 1.0 cannot carry is written as JSON, with type json.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_UNFIT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME: Final = re.compile(r"(?!xml)[A-Za-z_][A-Za-z0-9_.-]*", re.IGNORECASE)
_CONTROLS: Final = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


def to_xml(root: str, value: Mapping[str, Any]) -> bytes:
    """Write a document.

    Args:
        root: Its element.
        value: Dictionaries, lists and the scalars of JSON.
    """
    return "".join(['<?xml version="1.0" encoding="UTF-8"?>\n', *_element(root, "", value)]).encode()


def _element(tag: str, attributes: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON has
    kind, content = _content(value)
    opening = f"<{tag}{attributes}" + (f' type="{kind}"' if kind else "")
    if content is None:
        yield f"{opening}/>"
        return
    yield f"{opening}>"
    yield from content
    yield f"</{tag}>"


def _content(value: Any) -> tuple[str, Iterator[str] | None]:  # noqa: ANN401 - whatever JSON has
    """Return the type of a value and the content of its element."""
    match value:
        case None:
            return "null", None
        case bool() | int() | float():
            return "boolean" if isinstance(value, bool) else "number", iter([json.dumps(value)])
        case str() if not _UNFIT.search(value):
            return "", iter([_escaped(value)])
        case list() | tuple():
            return "array", (part for item in value for part in _element("item", "", item))
        case Mapping() if not any(_UNFIT.search(name) for name in value):
            return "object", (part for name, inner in value.items() for part in _field(name, inner))
        case _:
            return "json", iter([_escaped(json.dumps(value))])


def _field(name: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON has
    if _NAME.fullmatch(name):
        return _element(name, "", value)
    quoted = html.escape(name)
    for raw, reference in _CONTROLS.items():
        quoted = quoted.replace(raw, reference)
    return _element("field", f' name="{quoted}"', value)


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("\r", _CONTROLS["\r"])
