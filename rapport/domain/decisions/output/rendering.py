"""Rendering of a creative's texts for a candidate; docs/formulas.md defines the placeholders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from rapport.domain.decisions.output.templates import Placeholder, parse_template
from rapport.domain.formulas.values import to_text, to_value

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Creative, PersonalizationVariable

Lookup: TypeAlias = Callable[[str], object]

_LARGEST: Final = 10**21
"""Limit of integers that count as values: Python refuses to format very large ones."""


@dataclass(frozen=True, slots=True)
class RenderedContent:
    """Content of a creative, rendered for one candidate.

    Attributes:
        content: Texts by the creative's field names.
        unresolved: Names of placeholders without an allowed value; nothing is written in their place. A candidate with
            unresolved placeholders is not shown.
    """

    content: Mapping[str, str]
    unresolved: Sequence[str] = ()


def render(creative: Creative, lookup: Lookup) -> RenderedContent:
    """Render a creative's texts.

    The value of a placeholder is the first of these that exists and is not empty: the field of its name (for a bare
    name a computed value or a field of the offer); the field named by the declared source, else the declared fallback;
    for a bare name the attribute of the customer, then of the request; the fallback. Values are encoded so that they
    cannot change the meaning of the text around them, and are not searched for placeholders.

    Args:
        creative: Creative whose content is rendered.
        lookup: Returns the value of a dotted name, None if there is none.
    """
    declared = {variable.variable: variable for variable in creative.personalization}
    content: dict[str, str] = {}
    unresolved: dict[str, None] = {}
    for field, template in creative.content.items():
        written: list[str] = []
        for part in parse_template(creative.template_type, field, template):
            if isinstance(part, str):
                written.append(part)
            elif part.only_declared and part.name not in declared:
                written.append(part.written)
            else:
                text = _encode_value(part, declared.get(part.name), lookup)
                if text is None:
                    unresolved[part.name] = None
                written.append(text or "")
        content[field] = "".join(written)
    return RenderedContent(content, tuple(unresolved))


def _encode_value(placeholder: Placeholder, variable: PersonalizationVariable | None, lookup: Lookup) -> str | None:
    """Return the encoded value of a placeholder; an empty one only if there is no other, None if there is none."""
    best = None
    for text in _list_values(placeholder.name, variable, lookup):
        if text:
            return placeholder.encode(text)
        best = text if best is None else best
    return None if best is None else placeholder.encode(best)


def _list_values(name: str, variable: PersonalizationVariable | None, lookup: Lookup) -> Iterator[str | None]:
    yield _format_value(lookup(name))
    fallback = None if variable is None else variable.fallback
    if variable is not None and variable.source:
        yield from _look_up(variable.source, lookup)
        if fallback is not None:
            yield fallback
            return
    yield from _look_up(name, lookup)
    yield fallback


def _look_up(name: str, lookup: Lookup) -> Iterator[str | None]:
    """Look a field up; a bare name also in the attributes of the customer, then of the request."""
    yield _format_value(lookup(name))
    if "." not in name:
        yield _format_value(lookup(f"customer.{name}"))
        yield _format_value(lookup(f"attributes.{name}"))


def _format_value(raw: object) -> str | None:
    """Format a value for customers; large integers such as ids keep all their digits."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw) if abs(raw) < _LARGEST else None
    return to_text(to_value(raw))
