"""A supervisor to be killed: `run_stack DIRECTORY NAME[:TRAIT...]...` runs toys, and touches DIRECTORY/up."""

import asyncio
import signal
import sys
from pathlib import Path

from rapport.embedded.supervisor.errors import StackError
from rapport.embedded.supervisor.supervisor import Stack
from tests.embedded.supervisor.toys import toy


def main() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
    directory = Path(sys.argv[1])
    children = [toy(directory, *spec.split(":")) for spec in sys.argv[2:]]

    async def announce() -> None:
        (directory / "up").touch()

    try:
        asyncio.run(Stack(children, directory / "data").run_until_stopped(announce))
    except StackError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
