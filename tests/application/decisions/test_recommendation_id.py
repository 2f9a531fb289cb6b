"""Ids of recommendations: unguessable, and in the order of time."""

from __future__ import annotations

import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.application.decisions.recommendation_id import decode_created_at_ms, make_recommendation_id

NOW = 1_773_585_000_123
moments = st.integers(0, 4_102_444_800_000)


@given(moments)
def test_an_id_is_a_uuid_of_version_7_and_contains_its_time(at_ms: int):
    made = make_recommendation_id(at_ms)
    assert (uuid.UUID(made).version, uuid.UUID(made).variant) == (7, uuid.RFC_4122)
    assert str(uuid.UUID(made)) == made
    assert decode_created_at_ms(made) == at_ms


@given(moments, moments)
def test_ids_sort_by_time(first: int, second: int):
    if first != second:
        assert (make_recommendation_id(first) < make_recommendation_id(second)) is (first < second)


def test_all_bits_but_those_of_the_time_and_the_version_differ_from_id_to_id():
    numbers = [uuid.UUID(make_recommendation_id(NOW)).int for _ in range(1_000)]
    assert len(set(numbers)) == 1_000
    ones = zeros = numbers[0]
    for number in numbers:
        ones, zeros = ones | number, zeros & number
    assert (ones ^ zeros).bit_count() == 74


def test_forked_processes_make_different_ids():
    make_recommendation_id(NOW)
    found = []
    for _ in range(2):
        read_end, write_end = os.pipe()
        child = os.fork()
        if not child:
            os.write(write_end, make_recommendation_id(NOW).encode())
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as answer:
            found.append(answer.read())
        os.waitpid(child, 0)
    assert len({*found, make_recommendation_id(NOW)}) == 3


RANDOM_UUID = "8a6e0804-2bd0-4672-b79d-d97027f9071a"


@pytest.mark.parametrize("text", ["", "x", RANDOM_UUID, "ü" * 36, "019cf1e7-66bb-716b-8dbb-52e351ce5d8d\n", "0" * 32])
def test_another_text_contains_no_time(text: str):
    assert decode_created_at_ms(text) is None
