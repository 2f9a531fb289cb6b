"""A creative's texts with a candidate's values in them. docs/formulas.md says what the placeholders mean."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

from rapport.domain.formulas.values import text_of, value_of

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative, PersonalizationVariable

Lookup: TypeAlias = Callable[[str], object]

_PLACEHOLDER: Final = re.compile(
    r"\\(?P<literal>\{\{[^{}]*\}\}|\{[A-Za-z0-9_.-]+\})"
    r"|\{\{(?P<double>[^{}]*)\}\}"
    r"|\{(?P<single>[A-Za-z0-9_.-]+)\}"
)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_CODE: Final = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<(?:[A-Za-z!/])[^>]*>|&(?:[A-Za-z]+|#\w+);")
_SCRIPT_ADDRESS: Final = re.compile(r"[\s\x00-\x1f]*(?:javascript|data|vbscript)\s*:", re.IGNORECASE)
_PLAIN_TYPES: Final = frozenset({"email_text", "push_notification", "sms_text", "whatsapp_template"})


class Form(Enum):
    """What the text of a field is, and so what a value must not do to it."""

    PLAIN = auto()
    LINE = auto()
    HTML = auto()
    JSON = auto()
    ADDRESS = auto()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A creative's content for one candidate.

    Attributes:
        content: By the names of the creative's fields.
        unresolved: Placeholders without a value, a fallback or a meaning; nothing stands in their place. A candidate
            that has some must not be shown.
    """

    content: Mapping[str, str]
    unresolved: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place for a value.

    Attributes:
        written: As the template has it.
        is_fillable: False where no value is safe, or where the placeholder is no name.
        only_declared: Text unless the creative declares the variable: ``{3}`` is no placeholder by itself.
    """

    name: str
    written: str
    is_fillable: bool = True
    only_declared: bool = False


_Template: TypeAlias = tuple[str | _Slot, ...]


def render(creative: Creative, lookup: Lookup) -> Rendered:
    """Put values into a creative's texts.

    A value is, in this order: what the lookup has under the placeholder's name (for a bare name a computed value or a
    field of the offer); what it has under the declared source; the declared fallback; and for a bare name the
    customer's or the request's attribute of that name. Values are written so that they cannot change what the text
    around them means, and are not searched for placeholders again.

    Args:
        creative: Whose content is rendered.
        lookup: From a dotted name to a value, None where there is none.
    """
    declared = {variable.variable: variable for variable in creative.personalization}
    content: dict[str, str] = {}
    unresolved: dict[str, None] = {}
    for field, template in creative.content.items():
        form = form_of(creative.template_type, field, template)
        written: list[str] = []
        for part in _parse(template, form):
            if isinstance(part, str):
                written.append(part)
            elif part.only_declared and part.name not in declared:
                written.append(part.written)
            else:
                text = _text_for(part, declared.get(part.name), lookup)
                safe = None if text is None else _ENCODERS[form](text, any(written))
                if safe is None:
                    unresolved[part.name or part.written] = None
                else:
                    written.append(safe)
        content[field] = "".join(written)
    return Rendered(content, tuple(unresolved))


def form_of(template_type: str, field: str, template: str) -> Form:
    """Tell what a field's text is.

    Addresses are fields whose name ends in url or link. A webhook's field that begins like JSON is JSON. HTML is the
    body of an HTML e-mail, a field with html in its name, and every text with a tag or an entity in it, unless the
    template is of a kind that is shown as plain text. A subject is one line.
    """
    name = field.lower()
    if name.endswith(("url", "link")):
        return Form.ADDRESS
    if template_type == "webhook_payload" and template.lstrip().startswith(("{", "[")):
        return Form.JSON
    if name == "subject":
        return Form.LINE
    if template_type in _PLAIN_TYPES:
        return Form.PLAIN
    is_html = "html" in name or (template_type == "email_html" and name == "body") or _TAG.search(template)
    return Form.HTML if is_html else Form.PLAIN


@lru_cache(maxsize=4_096)
def _parse(template: str, form: Form) -> _Template:
    if form is not Form.HTML:
        return tuple(_slots(template, is_code=False))
    parts: list[str | _Slot] = []
    end = 0
    for code in _CODE.finditer(template):
        parts += _slots(template[end : code.start()], is_code=False)
        parts += _slots(code[0], is_code=True)
        end = code.end()
    return (*parts, *_slots(template[end:], is_code=False))


def _slots(template: str, *, is_code: bool) -> Iterator[str | _Slot]:
    """Text and slots in turn. In scripts and style sheets ``{x}`` is code, and a value would be too."""
    end = 0
    for match in _PLACEHOLDER.finditer(template):
        if match["single"] is not None and is_code:
            continue
        yield template[end : match.start()]
        end = match.end()
        if match["literal"] is not None:
            yield match["literal"]
        elif match["single"] is not None:
            name = match["single"]
            yield _Slot(name, match[0], only_declared=not (name[0].isalpha() or name[0] == "_"))
        else:
            name = match["double"].strip()
            yield _Slot(name, match[0], is_fillable=not is_code and _NAME.fullmatch(name) is not None)
    yield template[end:]


def _text_for(slot: _Slot, variable: PersonalizationVariable | None, lookup: Lookup) -> str | None:
    """The value for a slot as a text; an empty one gives way to a fallback."""
    if not slot.is_fillable:
        return None
    text = _text(lookup(slot.name))
    if not text and variable is not None and variable.source:
        text = _found(variable.source, lookup) or text
    elif not text:
        text = _found(slot.name, lookup) or text
    if not text and variable is not None and variable.fallback is not None:
        return variable.fallback
    return text if text is not None else _found(slot.name, lookup)


def _found(name: str, lookup: Lookup) -> str | None:
    """A field as a text; a bare name is also looked for in the attributes of the customer and of the request."""
    names = (name,) if "." in name else (name, f"customer.{name}", f"attributes.{name}")
    texts = [text for text in map(_text, map(lookup, names)) if text is not None]
    return next((text for text in texts if text), texts[0] if texts else None)


def _text(raw: object) -> str | None:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw) if abs(raw) < 10**21 else None
    return text_of(value_of(raw))


def _address(text: str, is_inside: bool) -> str | None:  # noqa: FBT001 - one signature for all
    """A value that begins an address is one; inside one it is data."""
    if is_inside:
        return quote(text, safe="/", errors="replace")
    return None if _SCRIPT_ADDRESS.match(text) else text


_ENCODERS: Final[Mapping[Form, Callable[[str, bool], str | None]]] = {
    Form.PLAIN: lambda text, _is_inside: text,
    Form.LINE: lambda text, _is_inside: " ".join(text.splitlines()),
    Form.HTML: lambda text, _is_inside: html.escape(text),
    Form.JSON: lambda text, _is_inside: json.dumps(text, ensure_ascii=False)[1:-1],
    Form.ADDRESS: _address,
}
