"""Optimal allocation of candidates to the placements of a request."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def allocate_optimally(ranked: Mapping[str, Sequence[tuple[K, float]]], slots: Mapping[str, int]) -> dict[str, list[K]]:
    """Allocate items to placements so that the sum of scores is maximal; each item is used at most once.

    This is a maximum-weight assignment, solved by the Hungarian method (Kuhn 1955) with potentials.

    Args:
        ranked: By placement, its items with their scores, best first.
        slots: Number of slots by placement.

    Returns:
        The items by placement, in the order of ``ranked``.
    """
    places = [placement for placement in ranked for _ in range(slots[placement])]
    items = sorted({item for options in ranked.values() for item, _ in options}, key=repr)
    if not places or not items:
        return {placement: [] for placement in ranked}
    scores = {placement: dict(options) for placement, options in ranked.items()}
    # A slot may stay empty (a column of its own with score 0); an item that does not fit scores less than that.
    gain = [[scores[place].get(item, -1.0) for item in items] + [0.0] * len(places) for place in places]
    filled: dict[str, list[K]] = {placement: [] for placement in ranked}
    for row, column in enumerate(_solve_assignment([[-value for value in row] for row in gain])):
        if column < len(items) and items[column] in scores[places[row]]:
            filled[places[row]].append(items[column])
    for placement, chosen in filled.items():
        order = {item: index for index, (item, _) in enumerate(ranked[placement])}
        chosen.sort(key=lambda item: order[item])
    return filled


class _Assignment:
    """State of the Hungarian method; rows and columns are numbered from 1, and 0 stands for none."""

    def __init__(self, cost: Sequence[Sequence[float]]) -> None:
        self._cost = cost
        self._row_potentials = [0.0] * (len(cost) + 1)
        self._column_potentials = [0.0] * (len(cost[0]) + 1)
        self.row_of = [0] * (len(cost[0]) + 1)

    def assign_row(self, row: int) -> None:
        """Assign a column to a row, reassigning others along the cheapest augmenting path."""
        size = len(self.row_of)
        self.row_of[0] = row
        least, previous, seen = [float("inf")] * size, [0] * size, [False] * size
        column = 0
        while self.row_of[column]:
            seen[column] = True
            following = self._update_costs(column, least, previous, seen)
            self._shift_potentials(least[following], least, seen)
            column = following
        while column:
            self.row_of[column] = self.row_of[previous[column]]
            column = previous[column]

    def _update_costs(self, column: int, least: list[float], previous: list[int], seen: Sequence[bool]) -> int:
        """Update the reduced costs of unseen columns as reached from a column; return the cheapest of them."""
        row = self.row_of[column]
        for other in range(1, len(least)):
            if not seen[other]:
                reduced = self._cost[row - 1][other - 1] - self._row_potentials[row] - self._column_potentials[other]
                if reduced < least[other]:
                    least[other], previous[other] = reduced, column
        return min((other for other in range(1, len(least)) if not seen[other]), key=lambda other: least[other])

    def _shift_potentials(self, delta: float, least: list[float], seen: Sequence[bool]) -> None:
        for column, is_seen in enumerate(seen):
            if is_seen:
                self._row_potentials[self.row_of[column]] += delta
                self._column_potentials[column] -= delta
            else:
                least[column] -= delta


def _solve_assignment(cost: Sequence[Sequence[float]]) -> list[int]:
    """Return the column of each row, from 0, in an assignment of minimal cost; needs no fewer columns than rows."""
    assignment = _Assignment(cost)
    for row in range(1, len(cost) + 1):
        assignment.assign_row(row)
    columns = [0] * len(cost)
    for column, row in enumerate(assignment.row_of):
        if column and row:
            columns[row - 1] = column - 1
    return columns
