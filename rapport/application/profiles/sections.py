"""Sections of a customer's unified profile that packages add.

A package offers a section under the entry-point group ``rapport.profile_sections``::

    [project.entry-points."rapport.profile_sections"]
    loyalty = "loyalty_section:loyalty"

and defines it with the decorator::

    @profile_section("loyalty", schema=LoyaltyCard)
    def loyalty(context: SectionContext) -> list[LoyaltyCard]: ...
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from datetime import datetime

    from rapport.storage.client import Store

log = structlog.get_logger(__name__)
GROUP: Final = "rapport.profile_sections"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionContext:
    """Customer and database for which a section is loaded.

    Attributes:
        tenant_id: Every query of a section must filter by it.
        customer_id: As the caller named it.
        customer_ids: All ids of the same person, this one included.
        store: The database. Its methods block.
        now: Time of the profile, UTC.
    """

    tenant_id: str
    customer_id: str
    customer_ids: tuple[str, ...]
    store: Store
    now: datetime


Loader = Callable[[SectionContext], Sequence[Any] | Awaitable[Sequence[Any]]]
"""Loads the items of a section; a plain function or a coroutine function."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section that a package adds.

    Attributes:
        name: In ``sections=`` and in the response: a letter, then letters, digits, - and _.
        load: Never runs on the event loop of the API.
        schema: Type of an item, as msgspec understands it; items that do not fit are not shown.
    """

    name: str
    load: Loader
    schema: Any = Any

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a section; loyalty-points is one")


def profile_section(name: str, *, schema: Any = Any) -> Callable[[Loader], Section]:  # noqa: ANN401 - any type
    """Define a section by a function that loads its items.

    Args:
        name: See :class:`Section`.
        schema: See :class:`Section`.

    Raises:
        ValueError: The name is not valid.
    """

    def decorate(load: Loader) -> Section:
        return Section(name, load, schema)

    return decorate


def discover_sections(taken: Collection[str]) -> tuple[Section, ...]:
    """Return the sections of all installed packages, by name.

    An entry point that cannot be imported, is not a section, or has a taken name is left out, with a warning.

    Args:
        taken: Names that are in use.
    """
    found: dict[str, Section] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        try:
            section = entry.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a package does, the API starts
            log.warning("a profile section cannot be loaded", entry=entry.value, error=repr(error))
            continue
        if not isinstance(section, Section):
            log.warning("a profile section is none: use the decorator profile_section", entry=entry.value)
        elif section.name in taken or section.name in found:
            log.warning("the name of a profile section is taken", entry=entry.value, name=section.name)
        else:
            found[section.name] = section
    return tuple(found.values())
