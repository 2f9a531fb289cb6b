"""Run a command that dies with its parent: `python child.py PARENT_PID -- COMMAND ARGUMENTS...`.

A supervisor that is killed with SIGKILL cannot stop its children, so the kernel must: each child asks for a SIGKILL at
its parent's death, then becomes the command (same process id, no process in between). This runs as a script in an
isolated interpreter without site packages and so imports the standard library only; it takes some 10 ms.

On Linux the "parent" of that request is the *thread* that started the child: start children from a thread that lives
as long as they should. The request does not pass on to the command's own children; see
`rapport.embedded.supervisor.guard`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def wrap(argv: Sequence[str], parent_pid: int) -> list[str]:
    """Return the command line that runs `argv` and dies with the process `parent_pid`, which must start it."""
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(parent_pid), "--", *argv]


def die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent dies. Other systems than Linux leave that to the guard.

    A parent that died before the request sends no signal any more, and this process has a new parent by then: so check
    the parent afterwards, and exit.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def reset_signals() -> None:
    """Give every signal its default action and unblock every one.

    An ignored or blocked signal stays so in the command: ignored by Python itself (SIGPIPE), by `nohup` (SIGHUP), by a
    shell that runs something in the background (SIGINT). The supervisor stops its children by signals.
    """
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the command after `--`; exit with 127 when it cannot be run."""
    parent_pid, separator, *argv = arguments
    if separator != "--" or not argv:
        sys.exit("usage: child.py PARENT_PID -- COMMAND ARGUMENTS...")
    die_with(int(parent_pid))
    reset_signals()
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - the command is our own list, and no shell is wanted
    except OSError as error:
        sys.stderr.write(f"cannot run {argv[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
