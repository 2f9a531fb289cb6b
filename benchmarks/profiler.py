"""Sampling profiler for the `rapport` command, with all its threads: `python -m benchmarks.profiler OUT worker`.

A thread samples the stacks of the others every few milliseconds. It needs the interpreter lock for that, so C code
that holds the lock is under-counted in length but not in rank, and threads that wait (for a socket, a lock, work) are
told apart by the function they wait in. It shows where time goes, but does not measure nanoseconds.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

INTERVAL_SECONDS: Final = 0.004
SHOWN: Final = 45
_WAITING: Final = {
    ("selectors.py", "select"),
    ("threading.py", "wait"),
    ("thread.py", "_worker"),
    ("socket.py", "readinto"),
    ("ssl.py", "read"),
}


class Sampler:
    """Counter, per function, of the samples in which it was on a stack, and of those in which it was on top."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._all: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._samples = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Start sampling."""
        self._thread.start()

    def stop(self) -> str:
        """Stop sampling and return the report."""
        self._stopping.set()
        self._thread.join()
        lines = [f"{self._samples} samples, one every {INTERVAL_SECONDS * 1000:.0f} ms at best", "", "own time:"]
        lines += self._table(self._own)
        lines += ["", "with what it calls:", *self._table(self._all)]
        lines += ["", "waiting, by who waits:", *self._table(self._waiting)]
        return "\n".join(lines) + "\n"

    def _table(self, counts: Counter[str]) -> list[str]:
        return [f"{count / max(self._samples, 1):8.1%}  {place}" for place, count in counts.most_common(SHOWN)]

    def _run(self) -> None:
        me = threading.get_ident()
        while not self._stopping.wait(INTERVAL_SECONDS):
            self._samples += 1
            for thread, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way to look
                if thread != me:
                    self._count(frame)

    def _count(self, frame: FrameType) -> None:
        code = frame.f_code
        places: list[str] = []
        at: FrameType | None = frame
        while at is not None:
            places.append(_name_frame(at))
            at = at.f_back
        if (Path(code.co_filename).name, code.co_name) in _WAITING:
            ours = (place for place in places if place.startswith(("pipeline/", "rapport/")))
            self._waiting[next(ours, places[0])] += 1
            return
        self._own[f"{places[0]} line {frame.f_lineno}"] += 1
        self._all.update(set(places))


def _name_frame(frame: FrameType) -> str:
    code = frame.f_code
    path = Path(code.co_filename)
    return f"{path.parent.name}/{path.name}:{code.co_firstlineno} {code.co_qualname}"


def main() -> None:
    """Run the command line's `rapport` arguments and write the report when it ends."""
    from rapport.cli.main import main as run_rapport  # noqa: PLC0415 - imports are not to be in the profile

    out = Path(sys.argv[1])
    sys.argv = ["rapport", *sys.argv[2:]]
    sampler = Sampler()
    sampler.start()
    try:
        run_rapport()
    finally:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(sampler.stop(), "utf-8")


if __name__ == "__main__":
    main()
