"""The filter of keys: what was added is found for as long as it is kept, and little else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline import key_filter
from pipeline.key_filter import KeyFilter

KEPT_MS = 1_000
KEYS = arrays(np.uint64, st.integers(0, 200), elements=st.integers(0, 2**64 - 1))
SOME = np.random.default_rng(16).integers(0, 2**64, 300_000, dtype=np.uint64)


@pytest.fixture(autouse=True)
def _small_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_filter, "SMALLEST_GENERATION", 64)


@given(batches=st.lists(KEYS, max_size=8))
def test_every_key_that_was_added_is_found(batches: list[key_filter.Keys]):
    keys = KeyFilter(KEPT_MS)
    for batch in batches:
        keys.add(batch, 0)
        assert keys.find(batch).all()
    assert all(keys.find(batch).all() for batch in batches)


def test_of_other_keys_hardly_one_is_found():
    keys = KeyFilter(KEPT_MS)
    for start in range(0, 200_000, 5_000):
        keys.add(SOME[start : start + 5_000], 0)
    assert keys.find(SOME[:200_000]).all()
    assert keys.find(SOME[200_000:]).mean() < 0.05
    assert keys.size_bytes < 200_000 * 3


def test_nothing_is_found_where_nothing_was_added():
    assert not KeyFilter(KEPT_MS).find(SOME).any()


def test_keys_are_forgotten_only_when_the_last_of_their_generation_is_old():
    keys = KeyFilter(KEPT_MS)
    keys.add(SOME[:40], 0)
    keys.add(SOME[40:80], 500)  # 24 of them still go with the first
    keys.add(SOME[80:90], 1_499)
    assert keys.find(SOME[:90]).all()
    keys.add(SOME[90:91], 1_500)
    assert keys.find(SOME[64:91]).all()
    assert not keys.find(SOME[:64]).all()


def test_a_generation_takes_more_keys_than_it_was_made_for():
    keys = KeyFilter(KEPT_MS)
    generation = keys.make_generation(10, 0)
    generation.add(SOME[:5_000])
    assert keys.find(SOME[:5_000]).all()
