"""Software versions recorded with each decision, so that a replay can report which have changed since."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.domain.decisions.catalogue import Catalogue


def list_software_versions(catalogue: Catalogue) -> Mapping[str, str]:
    """Return the versions of Rapport, Python and a catalogue's plug-ins, these by ``extension.<point>``."""
    plug_ins = {
        f"extension.{point}": _describe_version(getattr(extension, "__module__", None) or type(extension).__module__)
        for point, extension in sorted(catalogue.extensions.items())
    }
    return {"rapport": _describe_version("rapport"), "python": platform.python_version(), **plug_ins}


@lru_cache
def _describe_version(module: str) -> str:
    """Return a module's package with its version; the module's name alone if it was not installed as a package."""
    package = module.partition(".")[0]
    try:
        found = version(package)
    except PackageNotFoundError:
        return module
    return found if package == "rapport" else f"{package} {found}"
