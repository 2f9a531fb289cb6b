"""A child process for the tests of the supervisor: `toy_child.py DIRECTORY NAME [TRAIT...]`.

It records its steps in DIRECTORY/events and, once ready, its process id in DIRECTORY/NAME.pid. Traits: `crash` (exits
with 3 at once), `slow` (never ready), `deaf` (ignores SIGTERM), `parent` (has a child: DIRECTORY/NAME.child).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    directory, name, traits = Path(sys.argv[1]), sys.argv[2], set(sys.argv[3:])

    def note(event: str) -> None:
        with (directory / "events").open("a") as events:
            events.write(f"{event} {name}\n")

    def stop(_signal: int, _frame: object) -> None:
        note("stop")
        sys.exit()

    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in traits else stop)
    note("start")
    print(f"hello from {name}", flush=True)
    if "crash" in traits:
        sys.exit(3)
    if "parent" in traits:
        grandchild = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
        (directory / f"{name}.child").write_text(str(grandchild.pid))
    if "slow" not in traits:
        note("ready")
        draft = directory / f"{name}.draft"
        draft.write_text(str(os.getpid()))
        draft.rename(directory / f"{name}.pid")
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
