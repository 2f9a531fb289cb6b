"""Isolation: the messages around a poison message count, and it is found in the dead letters."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pipeline.commit
import pipeline.decode
import pipeline.prepare
from pipeline.faults import Step
from rapport.domain.blocks import begin_blocks
from rapport.storage.errors import TerminalStorageError
from rapport.storage.reconcile import reconcile
from rapport.storage.tenants import create_tenant, load_tenants
from tests.fixtures.events import CLICK, json_values, to_json
from tests.pipeline.applied_stream import Stream, numbers

if TYPE_CHECKING:
    import polars as pl

    from rapport.storage.client import Store

DEEP = b'{"a":' * 971 + b"1" + b"}" * 971
CORPUS = [
    b"",
    b"\x00" * 100,
    b"\xef\xbb\xbf{}",
    b'{"tenantId":"\xff"}',
    b"[" * 100_000,
    b"[" + b"[]," * 50_000 + b"{}]",
    b'{"tenantId":"acme","customerId":"' + b"\\" * 300_001 + b'"}',
    b'{"tenantId": 1e999}',
    b"[" + b"9" * 5_000 + b"]",
    *[
        to_json({**CLICK, "idempotencyKey": "same"})[:-1] + b',"metadata":{"n":%d,"d":%b}}' % (n, value)
        for n, value in enumerate((DEEP, DEEP, b"1e999", b"1" * 5_000, b'"\\ud800"', b"[" * 64 + b"]" * 64))
    ],
    b'[{"tenantId":"acme"},' + DEEP + b"]",
    b"x" * 2_000_000,
]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(poison=st.lists(st.binary() | json_values.map(to_json), min_size=8, max_size=48))
@example(poison=CORPUS)
def test_messages_next_to_arbitrary_bytes_are_applied(store: Store, poison: list[bytes]):
    if "acme" not in load_tenants(store):
        create_tenant(store, "acme")
    stream = Stream(store)
    for value in poison:
        stream.click("ann")
        stream.log.append(value)
    stream.click("ann")
    stream.apply_all()
    assert stream.clicks() == {"ann": len(poison) + 1}
    assert {letter.offset for letter in stream.letters} == {
        at * 2 + 1
        for at, value in enumerate(poison)
        if value != b"[]"  # which holds no event, and is valid
    }


def fail_for_boom(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    """Make a function of the worker raise for the customer `boom`."""
    original = getattr(module, name)

    def raising(*arguments: Any, **options: Any) -> Any:
        if any(_names_boom(one) for one in (*arguments, *options.values())):
            raise ZeroDivisionError("nobody thought of boom")
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, raising)


def _names_boom(argument: Any) -> bool:
    if isinstance(argument, str | bytes):
        return "boom" in str(argument)
    frame: pl.DataFrame | None = argument if hasattr(argument, "columns") else None
    return frame is not None and "customer_id" in frame.columns and frame["customer_id"].str.contains("boom").any()


PLACES = [
    (pipeline.decode, "decode_message"),
    (pipeline.commit, "select_contacts"),
    (pipeline.commit, "resolve"),
    (pipeline.commit, "fold_batch"),
]


@pytest.mark.parametrize(("module", "name"), PLACES, ids=lambda part: str(part).split()[-1])
def test_a_poison_message_is_isolated_and_all_others_are_applied(
    store: Store, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
):
    create_tenant(store, "acme")
    reached: list[Step] = []
    stream = Stream(store, reached.append)
    for customer in ("ann", "boom", "ann", "bob", "ann", "bob", "boom"):
        stream.click(customer)
    fail_for_boom(monkeypatch, module, name)
    stream.apply_all()
    assert stream.clicks() == {"ann": 3, "bob": 2}
    assert [(one.offset, one.code) for one in stream.letters] == [(1, "unprocessable"), (6, "unprocessable")]
    assert [one.value for one in stream.letters] == [stream.log[1], stream.log[6]]
    assert "ZeroDivisionError: nobody thought of boom" in stream.letters[0].detail
    assert reached.count(Step.SET_ASIDE) == 2
    assert reconcile(store).is_clean


@pytest.mark.parametrize("step", [Step.SET_ASIDE, Step.DEAD_LETTERS, Step.INTERACTIONS, Step.SUMMARIES])
def test_a_crash_during_isolation_changes_no_total(store: Store, monkeypatch: pytest.MonkeyPatch, step: Step):
    create_tenant(store, "acme")
    fail_for_boom(monkeypatch, pipeline.commit, "fold_batch")
    log: list[bytes] = []
    number = next(numbers)
    for nth in range(1, 5):
        remaining = itertools.count(nth, -1)

        def die(reached: Step, remaining: itertools.count[int] = remaining) -> None:
            if reached is step and next(remaining) == 1:
                raise KeyboardInterrupt

        stream = Stream(store, die, number)
        stream.log = log
        if not log:
            for customer in ("ann", "boom", "bob", "ann", "bob"):
                stream.click(customer)
        stream.take_over()
        try:
            stream.apply_all()
        except KeyboardInterrupt:
            continue
        break
    else:
        stream.positions.owned[stream.partition] = begin_blocks(0)
    assert stream.positions.next_offset[stream.partition] == len(log)
    assert stream.clicks() == {"ann": 2, "bob": 2}
    letters = store.client.query("SELECT offset, code FROM dead_letters").result_rows
    assert letters == [(1, "unprocessable")]
    assert reconcile(store).is_clean


def test_an_external_error_makes_no_dead_letter(store: Store, monkeypatch: pytest.MonkeyPatch):
    create_tenant(store, "acme")
    stream = Stream(store)
    stream.click("ann")

    def refuse(*_arguments: Any) -> None:
        raise TerminalStorageError("no such table", 60)

    monkeypatch.setattr(pipeline.commit.stream, "write_summaries", refuse)
    with pytest.raises(TerminalStorageError):
        stream.apply_all()
    assert not stream.letters
    assert stream.positions.next_offset[stream.partition] == 0


def test_a_conflict_within_an_array_is_shown_with_its_own_text(store: Store):
    create_tenant(store, "acme")
    stream = Stream(store)
    one, other = ({**CLICK, "idempotencyKey": "k", "metadata": {"n": n}} for n in (1, 2))
    stream.log.append(b"[ " + to_json(one) + b" , " + to_json(other) + b" ]")
    stream.apply_all()
    (letter,) = stream.letters
    assert (letter.code, letter.item, json.loads(letter.value)) == ("idempotency_conflict", 1, other)
