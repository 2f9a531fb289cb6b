"""Packed form of a trace: what many candidates have in common is written once.

Of 1,000 candidates nearly all are scored, and then removed for one of a few reasons. Unpacking returns every removal
and every score, in their order.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, repeat
from typing import Any, Final, cast

import msgspec

from rapport.domain.decisions.trace import Removal, ScoreRecord
from rapport.domain.decisions.trace_blocks import (
    SHARED_MEMBERS,
    BlockSequence,
    CandidateIds,
    RemovalBlock,
    ScoreBlock,
    list_removal_blocks,
)

MAX_REMOVALS: Final = 200_000
"""Removals in one packed trace: a few bytes of a message may stand for thousands."""
_LENGTHS: Final = string.digits + string.ascii_letters
"""Characters for the number of characters that two ids share: the number is the character's position."""
_SCALARS: Final = frozenset((str, int, float, bool))
_encode: Final = msgspec.json.Encoder().encode


class _PackedPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Nested struct of the packed form."""


class PackedColumn(_PackedPart, frozen=True, kw_only=True):
    """Values of one member of many objects.

    Attributes:
        all: The value of each of them.
        each: Value by value.
        members: Columns of the members, where the values are objects with the same members.
    """

    all: Any = msgspec.UNSET
    each: Sequence[Any] | msgspec.UnsetType = msgspec.UNSET
    members: Mapping[str, PackedColumn] | msgspec.UnsetType = msgspec.UNSET


class PackedRemovals(_PackedPart, frozen=True, kw_only=True):
    """Removals that differ in their candidate alone; attributes as in :class:`Removal`.

    Attributes:
        candidates: Positions of the candidates, see :func:`_pack_positions`.
    """

    stage: str
    by: str
    by_name: str = ""
    reason: str
    detail: Mapping[str, Any] = {}
    placement_id: str | None = None
    is_fault: bool = False
    candidates: Sequence[int]


class PackedScores(_PackedPart, frozen=True, kw_only=True):
    """Scores whose explanations have the same members.

    Attributes:
        candidates: Positions of the candidates, see :func:`_pack_positions`.
        scores: Score by score.
    """

    candidates: Sequence[int]
    scores: Sequence[float]
    explanation: PackedColumn


class PackedTrace(_PackedPart, frozen=True, kw_only=True):
    """Removals and scores of a trace.

    Attributes:
        offer_ids: Offer of each candidate: a character for the length of what it shares with the one before, and the
            rest.
        creative_ids: Its creative, likewise.
        removals: By their reasons.
        order: Order of the removals: position in ``removals`` and number of removals, again and again.
        scores: In their order.
    """

    offer_ids: Sequence[str]
    creative_ids: Sequence[str]
    removals: Sequence[PackedRemovals] = ()
    order: Sequence[int] = ()
    scores: Sequence[PackedScores] = ()


def pack(removals: Sequence[Removal], scores: Sequence[ScoreRecord]) -> PackedTrace:
    """Pack removals and scores."""
    positions: dict[CandidateIds, int] = {}
    packed_scores = [scores for block in _list_score_blocks(scores) for scores in _pack_scores(block, positions)]
    groups: dict[tuple[Any, ...], tuple[int, RemovalBlock, list[CandidateIds]]] = {}
    order: list[int] = []
    for block in list_removal_blocks(removals):
        number, _, candidates = groups.setdefault(_find_group(block), (len(groups), block, []))
        candidates += block.candidates
        if order and order[-2] == number:
            order[-1] += len(block.candidates)
        else:
            order += [number, len(block.candidates)]
    return PackedTrace(
        removals=[
            PackedRemovals(
                **{name: getattr(group, name) for name in SHARED_MEMBERS},
                candidates=_pack_positions(_locate(candidates, positions)),
            )
            for _, group, candidates in groups.values()
        ],
        order=order,
        scores=packed_scores,
        offer_ids=_shorten([offer_id for offer_id, _ in positions]),
        creative_ids=_shorten([creative_id for _, creative_id in positions]),
    )


def _list_score_blocks(scores: Sequence[ScoreRecord]) -> Iterable[ScoreBlock]:
    if isinstance(scores, BlockSequence):
        return cast("Sequence[ScoreBlock]", scores.blocks)
    candidates = [(one.offer_id, one.creative_id) for one in scores]
    return (ScoreBlock(candidates, [one.score for one in scores], lambda: [one.explanation for one in scores]),)


def _pack_scores(block: ScoreBlock, positions: dict[CandidateIds, int]) -> Iterator[PackedScores]:
    """Pack a block's scores; those that follow one another and whose explanations have the same members, together."""
    explanations = block.explain()
    start = 0
    for names, same in groupby(map(tuple, explanations)):
        end = start + sum(1 for _ in same)
        alike = explanations[start:end]
        yield PackedScores(
            candidates=_pack_positions(_locate(block.candidates[start:end], positions)),
            scores=block.scores[start:end],
            explanation=_pack_members(names, alike) if names else PackedColumn(all=alike[0]),
        )
        start = end


def unpack(packed: PackedTrace) -> tuple[Sequence[Removal], Sequence[ScoreRecord]]:
    """Return the removals and scores that were packed.

    Raises:
        ValueError: They were not packed here: something points to what is not there.
    """
    if sum(map(abs, packed.order[1::2])) > MAX_REMOVALS:
        raise ValueError(f"there are more than {MAX_REMOVALS:,} removals")
    try:
        return _unpack(packed)
    except (IndexError, StopIteration) as error:
        raise ValueError("the packed trace is inconsistent") from error


def _unpack(packed: PackedTrace) -> tuple[Sequence[Removal], Sequence[ScoreRecord]]:
    candidates = list(zip(_lengthen(packed.offer_ids), _lengthen(packed.creative_ids), strict=True))
    queues = [_unpack_removals(group, candidates) for group in packed.removals]
    removals = [
        next(queues[group])
        for group, number in zip(packed.order[::2], packed.order[1::2], strict=True)
        for _ in range(number)
    ]
    scores = [
        ScoreRecord(offer_id=offer_id, creative_id=creative_id, score=score, explanation=explanation)
        for block in packed.scores
        for (offer_id, creative_id), score, explanation in zip(
            (candidates[at] for at in _unpack_positions(block.candidates)),
            block.scores,
            _unpack_column(block.explanation, len(block.scores)),
            strict=True,
        )
    ]
    if not all(isinstance(one.explanation, Mapping) for one in scores):
        raise ValueError("an explanation is no object")
    return removals, scores


def _find_group(one: RemovalBlock) -> tuple[Any, ...]:
    """Return what removals of one group share."""
    return one.stage, one.by, one.by_name, one.reason, one.placement_id, one.is_fault, _encode(one.detail)


def _unpack_removals(group: PackedRemovals, candidates: Sequence[CandidateIds]) -> Iterator[Removal]:
    shared = {name: getattr(group, name) for name in SHARED_MEMBERS}
    for at in _unpack_positions(group.candidates):
        offer_id, creative_id = candidates[at]
        yield Removal(**shared, offer_id=offer_id, creative_id=creative_id)


def _locate(candidates: Iterable[CandidateIds], positions: dict[CandidateIds, int]) -> list[int]:
    """Find the positions of candidates; new ones get the next."""
    return [positions.setdefault(candidate, len(positions)) for candidate in candidates]


def _pack_positions(positions: Sequence[int]) -> list[int]:
    """Pack positions: a negative number stands for so many that follow one another."""
    packed: list[int] = []
    before = None
    for position in positions:
        if before is None or position != before + 1:
            packed.append(position)
        elif packed[-1] < 0:
            packed[-1] -= 1
        else:
            packed.append(-1)
        before = position
    return packed


def _unpack_positions(packed: Sequence[int]) -> Iterator[int]:
    position = 0
    for number in packed:
        if number >= 0:
            position = number
            yield position
        else:
            yield from range(position + 1, position + 1 - number)
            position -= number


def _pack_column(values: Sequence[Any]) -> PackedColumn:
    names = tuple(values[0]) if isinstance(values[0], Mapping) else ()
    if names and all(isinstance(value, Mapping) and tuple(value) == names for value in values):
        return _pack_members(names, values)
    return PackedColumn(all=values[0]) if _are_same(values) else PackedColumn(each=values)


def _pack_members(names: Sequence[str], values: Sequence[Mapping[str, Any]]) -> PackedColumn:
    return PackedColumn(members={name: _pack_column([value[name] for value in values]) for name in names})


def _are_same(values: Sequence[Any]) -> bool:
    """Return whether values are the same as JSON: 1, 1.0 and true, and 0.0 and -0.0, are equal in Python."""
    first, kind = values[0], type(values[0])
    if kind is str:
        return values.count(first) == len(values)
    if kind in _SCALARS and first:
        return all(type(value) is kind and value == first for value in values)
    text = _encode(first)
    return all(_encode(value) == text for value in values)


def _unpack_column(column: PackedColumn, number: int) -> Iterable[Any]:
    if not isinstance(column.each, msgspec.UnsetType):
        return column.each
    if isinstance(column.members, msgspec.UnsetType):
        return repeat(column.all, number)
    columns = [_unpack_column(member, number) for member in column.members.values()]
    return (dict(zip(column.members, values, strict=True)) for values in zip(*columns, strict=True))


def _shorten(texts: Sequence[str]) -> list[str]:
    """Shorten texts by what each shares with the one before."""
    return list(map(_shorten_next, ("", *texts), texts))


@lru_cache(maxsize=16_384)
def _shorten_next(before: str, text: str) -> str:
    """Shorten a text; cached, because the ids of a catalogue follow one another in many decisions."""
    longest, shared = min(len(before), len(text), len(_LENGTHS) - 1), 0
    while shared < longest and text[shared] == before[shared]:
        shared += 1
    return _LENGTHS[shared] + text[shared:]


def _lengthen(shortened: Iterable[str]) -> Iterator[str]:
    text = ""
    for one in shortened:
        text = text[: _LENGTHS.index(one[0])] + one[1:]
        yield text
