"""Display of a run: a progress bar on a terminal, else a line now and then; faults go to the error output."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rapport.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from rapport.application.imports.feeds import LineFault
    from rapport.application.imports.run import ProduceResult, ProgressObserver

PLAIN_INTERVAL_S = 5.0


class ProgressSource(Protocol):
    """Input of a run."""

    @property
    def name(self) -> str:
        """Shown to people."""

    @property
    def size(self) -> int:
        """In the unit in which progress is reported."""


class _ProgressBar:
    def __init__(self, feed: ProgressSource, progress: Progress, errors: Console, noun: str) -> None:
        self._name = feed.name
        self._noun = noun
        self._progress = progress
        self._errors = errors
        self._started_at = time.perf_counter()
        self._task = progress.add_task(visible(feed.name), total=feed.size, counts="")

    def report_fault(self, line: LineFault) -> None:
        target = self._progress.console if self._errors.is_terminal else self._errors
        target.print(describe_fault(self._name, line), style="red", markup=False, highlight=False, soft_wrap=True)

    def report_position(self, position: int, sent: int, faulty: int) -> None:
        rate = sent / max(time.perf_counter() - self._started_at, 1e-9)
        counts = f"{sent:,} {self._noun}, {rate:,.0f}/s" + (f", [red]{faulty:,} bad[/red]" if faulty else "")
        self._progress.update(self._task, completed=position, counts=counts)


class _PlainProgress:
    def __init__(self, feed: ProgressSource, output: Console, errors: Console, noun: str) -> None:
        self._feed = feed
        self._noun = noun
        self._output = output
        self._errors = errors
        self._next_at = time.monotonic() + PLAIN_INTERVAL_S

    def report_fault(self, line: LineFault) -> None:
        text = describe_fault(self._feed.name, line)
        self._errors.print(text, markup=False, highlight=False, soft_wrap=True)

    def report_position(self, position: int, sent: int, faulty: int) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + PLAIN_INTERVAL_S
        share = position / self._feed.size if self._feed.size else 1.0
        text = f"{self._feed.name}: {share:.0%}, {sent:,} {self._noun}, {format_fault_count(faulty)}"
        self._output.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def show_progress(
    feed: ProgressSource, output: Console, errors: Console, noun: str = "events"
) -> Iterator[ProgressObserver]:
    """Show the progress of a run until the context ends; ``noun`` names the things that it processes."""
    if not output.is_terminal:
        yield _PlainProgress(feed, output, errors, noun)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output) as progress:
        yield _ProgressBar(feed, progress, errors, noun)


def describe_fault(name: str, line: LineFault) -> str:
    """Return a line for a fault, in the form that compilers use."""
    return f"{name}:{line.number}: {line.code}: {line.detail}"


def describe_result(produced: ProduceResult) -> str:
    """Return one line with the result of a run."""
    text = (
        f"{produced.events:,} events sent in {produced.seconds:.1f} s "
        f"({produced.events_per_second:,.0f}/s), {format_fault_count(produced.faulty_lines)}"
    )
    return f"{text}; stopped at the first, the rest was not read" if produced.stopped_early else text


def format_fault_count(lines: int) -> str:
    """Return the number of faulty lines in words."""
    return "1 bad line" if lines == 1 else f"{lines:,} bad lines"
