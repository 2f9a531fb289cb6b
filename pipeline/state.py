"""State that the parts of one running worker share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.applier import Applier
    from pipeline.positions import Positions
    from rapport.settings import Settings


@dataclass(slots=True, kw_only=True)
class StreamState:
    """State shared by the Faust application and its consumer.

    Attributes:
        settings: The worker's settings.
        topic_name: The source topic.
        positions: The next offset of each assigned partition.
        applier: Applies batches.
        batches: The channel from the lean consumer to the agent; holds one batch while the agent applies another.
    """

    settings: Settings
    topic_name: str
    positions: Positions
    applier: Applier
    batches: Any = None

    @property
    def is_ready_for_batch(self) -> bool:
        """Whether the channel is empty and the agent prepares no batch."""
        waiting = any(not channel.queue.empty() for channel in self.batches._subscribers)  # noqa: SLF001 - no other way
        return not waiting and not self.applier.is_preparing
