"""Blocks of a trace: what many candidates have in common is kept once; single records are made when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, cast, overload

from rapport.domain.decisions.trace import Removal, ScoreRecord

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
CandidateIds: TypeAlias = tuple[str, str]
"""Ids of offer and creative; the creative's is empty if there is none."""
SHARED_MEMBERS: Final = tuple(name for name in Removal.__struct_fields__ if name not in ("offer_id", "creative_id"))
"""Members that the removals of a block share."""


class Block(Protocol[T_co]):
    """Some records that follow one another."""

    @property
    def candidates(self) -> Sequence[CandidateIds]:
        """Candidate of each record."""

    def list_records(self) -> Sequence[T_co]:
        """Make the records."""


@dataclass(frozen=True, slots=True)
class RemovalBlock:
    """Removals that differ in their candidate alone; attributes as in :class:`Removal`."""

    stage: str
    by: str
    by_name: str
    reason: str
    detail: Mapping[str, Any]
    placement_id: str | None
    is_fault: bool
    candidates: Sequence[CandidateIds]

    def list_records(self) -> Sequence[Removal]:
        """Make the removals."""
        return [
            Removal(
                stage=self.stage,
                by=self.by,
                by_name=self.by_name,
                offer_id=offer_id,
                creative_id=creative_id,
                reason=self.reason,
                detail=self.detail,
                placement_id=self.placement_id,
                is_fault=self.is_fault,
            )
            for offer_id, creative_id in self.candidates
        ]


@dataclass(frozen=True, slots=True)
class ScoreBlock:
    """Scores by one node.

    Attributes:
        scores: Score by score.
        explain: Makes the explanations.
    """

    candidates: Sequence[CandidateIds]
    scores: Sequence[float]
    explain: Callable[[], Sequence[Mapping[str, Any]]]

    def list_records(self) -> Sequence[ScoreRecord]:
        """Make the records."""
        return [
            ScoreRecord(offer_id=offer_id, creative_id=creative_id, score=score, explanation=explanation)
            for (offer_id, creative_id), score, explanation in zip(
                self.candidates, self.scores, self.explain(), strict=True
            )
        ]


class BlockSequence(Sequence[T], Generic[T]):
    """Sequence of the records in some blocks. It equals every sequence of the same records."""

    __hash__ = None  # type: ignore[assignment]  # like a list

    def __init__(self, list_blocks: Callable[[], Sequence[Block[T]]]) -> None:
        self._list_blocks = list_blocks

    @cached_property
    def blocks(self) -> Sequence[Block[T]]:
        """The blocks, made when they are first read."""
        return self._list_blocks()

    @cached_property
    def _records(self) -> Sequence[T]:
        return list(chain.from_iterable(block.list_records() for block in self.blocks))

    def __len__(self) -> int:
        return sum(len(block.candidates) for block in self.blocks)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._records[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return repr(self._records)


def list_removal_blocks(removals: Sequence[Removal]) -> Iterable[RemovalBlock]:
    """Return removals in blocks: those they were recorded in, else one for each."""
    if isinstance(removals, BlockSequence):
        return cast("Sequence[RemovalBlock]", removals.blocks)
    return (
        RemovalBlock(
            **{name: getattr(removal, name) for name in SHARED_MEMBERS},
            candidates=[(removal.offer_id, removal.creative_id)],
        )
        for removal in removals
    )
