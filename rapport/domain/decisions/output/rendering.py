"""A creative's texts with a candidate's values in them. docs/formulas.md says what placeholders mean."""

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
"""Integers beyond it are no values; Python refuses to write very large ones."""


@dataclass(frozen=True, slots=True)
class RenderedContent:
    """A creative's content for one candidate.

    Attributes:
        content: By the names of the creative's fields.
        unresolved: Placeholders that have no value or must not get one; nothing stands in their place. A candidate
            that has some is not shown.
    """

    content: Mapping[str, str]
    unresolved: Sequence[str] = ()


def render(creative: Creative, lookup: Lookup) -> RenderedContent:
    """Put values into a creative's texts.

    The first of these that is there and not empty is the value of a placeholder: what the lookup has under its name
    (for a bare name a computed value or a field of the offer); what it has under the declared source, else the
    declared fallback; for a bare name the attribute of the customer, then of the request; the fallback. Values cannot
    change what the text around them means, and are not searched for placeholders.

    Args:
        creative: Whose content is rendered.
        lookup: From a dotted name to a value, None where there is none.
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


def _encode_value(slot: Placeholder, variable: PersonalizationVariable | None, lookup: Lookup) -> str | None:
    """The value of a slot, ready to be put there; an empty one counts where there is nothing else."""
    best = None
    for text in _list_values(slot.name, variable, lookup):
        if text:
            return slot.encode(text)
        best = text if best is None else best
    return None if best is None else slot.encode(best)


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
    """A field as a text; a bare name is also looked for in the attributes of the customer and of the request."""
    yield _format_value(lookup(name))
    if "." not in name:
        yield _format_value(lookup(f"customer.{name}"))
        yield _format_value(lookup(f"attributes.{name}"))


def _format_value(raw: object) -> str | None:
    """A value as customers read it; large ids keep all their digits."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw) if abs(raw) < _LARGEST else None
    return to_text(to_value(raw))
