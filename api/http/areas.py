"""Areas of the API: their controllers, and the services that handlers get by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from litestar import Controller, Router
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

if TYPE_CHECKING:
    from rapport.jobs import Job

T = TypeVar("T")

API: Final = "/api/v1"
Injected = NamedDependency[SkipValidation[T]]
"""Marks a handler's parameter that gets the service with the parameter's name.

The framework does not validate it at each request. A handler takes one: it starts a task for each of several.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """One area of the API.

    Attributes:
        services: Made once per process, by the name of the handlers' parameter.
        jobs: Background work that keeps the area's memory in this process.
        mounts: Paths that the controllers' paths are below.
    """

    controllers: Sequence[type[Controller]]
    services: Mapping[str, object]
    jobs: Sequence[Job] = ()
    mounts: Sequence[str] = (API,)


def route_areas(areas: Iterable[Area]) -> list[Router]:
    """Make one router per mount: areas share paths, and the framework answers OPTIONS once per router and path.

    Raises:
        ValueError: Two services below one mount have the same name.
    """
    controllers: defaultdict[str, list[type[Controller]]] = defaultdict(list)
    services: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for area in areas:
        for mount in area.mounts:
            controllers[mount] += area.controllers
            for name, service in area.services.items():
                if services[mount].setdefault(name, service) is not service:
                    raise ValueError(f"two services are called {name!r}")
    return [
        Router(
            mount,
            route_handlers=handlers,
            dependencies={name: _provide(service) for name, service in services[mount].items()},
        )
        for mount, handlers in controllers.items()
    ]


def _provide(service: object) -> Provide:
    async def get() -> object:
        return service

    return Provide(get)
