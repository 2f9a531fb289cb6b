"""A run counts sent and faulty lines, and reports to its observer in the order of the input."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any, cast

import pytest
from rich.console import Console

from rapport.application.imports.feeds import Chunk, Feed, LineFault, Message, build_feed
from rapport.application.imports.progress import describe_result, show_progress
from rapport.application.imports.run import ProduceResult, produce

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.application.imports.event_sender import EventSender


class Recorder:
    """A sender that stores its messages, and an observer that stores its reports."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.acknowledged_events = 0
        self.reports: list[Any] = []

    async def add(self, messages: Iterable[Message]) -> None:
        self.sent.extend(messages)

    async def flush(self) -> None:
        self.acknowledged_events = len(self.sent)

    def report_fault(self, line: LineFault) -> None:
        self.reports.append(line.number)

    def report_position(self, position: int, sent: int, faulty: int) -> None:
        self.reports.append((position, sent, faulty))


def message(number: int) -> Message:
    return Message(b"k", b"%d" % number)


def bad(number: int) -> LineFault:
    return LineFault(number, "bad_json", "no")


def run(*chunks: list[Message | LineFault], is_strict: bool = False) -> tuple[Recorder, ProduceResult]:
    recorder = Recorder()
    feed = Feed("f", 99, iter([Chunk(entries, index) for index, entries in enumerate(chunks)]))
    return recorder, asyncio.run(produce(feed, cast("EventSender", recorder), recorder, is_strict=is_strict))


def test_valid_lines_are_sent_and_faulty_ones_reported():
    recorder, produced = run([message(1), bad(2), message(3)], [bad(4)], [message(5)])
    assert recorder.sent == [message(1), message(3), message(5)]
    assert recorder.reports == [2, (0, 2, 1), 4, (1, 2, 2), (2, 3, 2)]
    assert (produced.events, produced.faulty_lines, produced.stopped_early) == (3, 2, False)


def test_strict_sends_only_the_lines_before_the_first_faulty_one():
    recorder, produced = run([message(1)], [message(2), bad(3), message(4), bad(5)], [message(6)], is_strict=True)
    assert recorder.sent == [message(1), message(2)]
    assert (produced.events, produced.faulty_lines, produced.stopped_early) == (2, 1, True)


def test_strict_without_faulty_lines_is_not_stopped():
    _, produced = run([message(1)], is_strict=True)
    assert not produced.stopped_early


def test_a_feed_of_messages_is_cut_into_chunks():
    chunks = list(build_feed("f", 4_001, (message(number) for number in range(4_001))).chunks)
    assert [(len(chunk.entries), chunk.position) for chunk in chunks] == [(2_000, 2_000), (2_000, 4_000), (1, 4_001)]


def test_the_last_line_has_events_rate_and_errors():
    produced = ProduceResult(events=1_000, faulty_lines=2, seconds=0.5, stopped_early=False)
    assert describe_result(produced) == "1,000 events sent in 0.5 s (2,000/s), 2 bad lines"


def test_faults_go_to_the_error_output_even_without_a_terminal():
    output, errors = io.StringIO(), io.StringIO()
    feed = Feed("e.csv", 1, iter([]))
    with show_progress(feed, Console(file=output), Console(file=errors, width=20)) as observer:
        observer.report_fault(LineFault(7, "bad_json", "The value is not JSON: [line] is not markup."))
        observer.report_position(1, 1, 1)
    assert output.getvalue() == ""
    assert errors.getvalue() == "e.csv:7: bad_json: The value is not JSON: [line] is not markup.\n"


@pytest.mark.parametrize("is_error_terminal", [True, False])
def test_a_terminal_gets_a_bar(*, is_error_terminal: bool):
    output, errors = io.StringIO(), io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    with show_progress(
        Feed("e.csv", 10, iter([])), console, Console(file=errors, force_terminal=is_error_terminal)
    ) as observer:
        observer.report_fault(bad(3))
        observer.report_position(10, 9, 1)
    assert "9 events" in output.getvalue()
    assert "100%" in output.getvalue()
    assert ("e.csv:3" in output.getvalue()) is is_error_terminal
    assert ("e.csv:3" in errors.getvalue()) is not is_error_terminal
