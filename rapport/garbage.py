"""Python's search for reference cycles, set for processes that serve."""

from __future__ import annotations

import gc
from typing import Final

_ALLOCATIONS: Final = 20_000
"""Python looks for cycles after so many more allocations than deallocations. Its own 700 are less than a few requests
or one batch make: a fifth of the API's time went into looking."""


def collect_rarely() -> None:
    """Look for cycles less often, and never again among what exists already. Called once a process has been set up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
