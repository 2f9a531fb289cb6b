"""Bloom filter of idempotency keys that forgets the oldest.

A key that was added within the time that keys are kept is always found. Of keys that were not, about one in a thousand
is found in each generation of the filter. There are ten to twenty: each new one is made for a quarter of all keys.

After Bloom, "Space/time trade-offs in hash coding with allowable errors" (1970), with the double hashing of Kirsch and
Mitzenmacher (2006). With NumPy, because a batch asks for tens of thousands of keys: libraries take them one by one,
which costs a hundred times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.uint64]
BITS_PER_KEY: Final = 16
HASHES: Final = 6
"""Bits that a key sets. With 16 bits per key (1 - e^(-6/16))^6 = 0.0009 of other keys have all of theirs set."""
SMALLEST_GENERATION: Final = 1_000_000
LARGEST_GENERATION: Final = 200_000_000
"""More keys would need more than 32 bits to number their bits."""
SHARE: Final = 4
"""A generation is made for this part of the keys that are kept."""
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFF_FFFF)


@dataclass(slots=True)
class Generation:
    """Keys that are forgotten together.

    Attributes:
        bits: The filter, eight bits each.
        capacity: With more keys, more others are found.
        space: So many keys may still be added.
        last_ms: When the last one was added, epoch milliseconds.
    """

    bits: NDArray[np.uint8]
    capacity: int
    space: int
    last_ms: int

    def add(self, keys: Keys) -> None:
        """Set the bits of some keys."""
        for number in range(HASHES):
            byte, mask = self._find_bits(keys, number)
            while byte.size:
                self.bits[byte] |= mask
                is_lost = self.bits[byte] & mask == 0  # of several bits in one byte, the assignment sets the last
                byte, mask = byte[is_lost], mask[is_lost]

    def find(self, keys: Keys) -> NDArray[np.intp]:
        """Return the places of the keys whose bits are all set."""
        places = np.arange(keys.size)
        for number in range(HASHES):
            byte, mask = self._find_bits(keys[places], number)
            places = places[self.bits[byte] & mask != 0]
        return places

    def _find_bits(self, keys: Keys, number: int) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
        step = (keys & _LOW) | np.uint64(1)
        hashed = ((keys >> _HALF) + np.uint64(number) * step) & _LOW
        bit = (hashed * np.uint64(self.bits.size * 8)) >> _HALF
        return (bit >> np.uint64(3)).astype(np.intp), np.uint8(1) << (bit & np.uint64(7)).astype(np.uint8)


class KeyFilter:
    """Filter of keys, 64-bit hashes each.

    Args:
        kept_ms: Keys are found for so long after they were added, milliseconds.
    """

    def __init__(self, kept_ms: int) -> None:
        self._kept_ms = kept_ms
        self._generations: list[Generation] = []

    @property
    def size_bytes(self) -> int:
        """Memory of the filter."""
        return sum(generation.bits.nbytes for generation in self._generations)

    def find(self, keys: Keys) -> NDArray[np.bool_]:
        """Return for each key whether it may have been added."""
        is_found = np.zeros(keys.size, np.bool_)
        for generation in self._generations:
            is_found[generation.find(keys)] = True
        return is_found

    def add(self, keys: Keys, now_ms: int) -> None:
        """Add keys; one that is there already takes up space again.

        Args:
            keys: The keys.
            now_ms: The time, epoch milliseconds.
        """
        self._generations = [one for one in self._generations if one.last_ms + self._kept_ms > now_ms]
        while keys.size:
            newest = self._generations[-1] if self._generations else None
            if newest is None or not newest.space:
                kept = sum(generation.capacity for generation in self._generations)
                newest = self.make_generation(kept // SHARE, now_ms)
                newest.space = newest.capacity
            added, keys = keys[: newest.space], keys[newest.space :]
            newest.add(added)
            newest.space -= added.size
            newest.last_ms = now_ms

    def make_generation(self, keys: int, last_ms: int) -> Generation:
        """Make a generation for so many keys, which the caller adds to it.

        Args:
            keys: Number of keys.
            last_ms: When the last of them was added, epoch milliseconds.
        """
        capacity = min(max(keys, SMALLEST_GENERATION), LARGEST_GENERATION)
        generation = Generation(np.zeros(capacity * BITS_PER_KEY // 8, np.uint8), capacity, 0, last_ms)
        self._generations.append(generation)
        return generation
