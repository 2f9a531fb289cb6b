"""Confinement of the engine's process by Landlock: its own directory and program, no other programs, no network.

The engine's rights (engine.xml) name the statements that are allowed, but the embedded engine does not check all of
them: the function `file()`, files of the client, schemas of formats. The kernel refuses those.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CONNECT_TCP: Final = 1 << 1
_RIGHTS_BY_VERSION: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_NETWORK_SINCE: Final = 4

_SYSTEM: Final = (
    *("/usr", "/lib", "/lib64", "/sys/fs/cgroup", "/sys/devices/system"),
    *("/proc/self", "/proc/sys", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/uptime", "/proc/loadavg"),
    *("/etc/ld.so.cache", "/etc/localtime"),
)
_DEVICES: Final = ("/dev/null", "/dev/urandom", "/dev/random")


def confine(data_dir: Path) -> bool:
    """Limit this thread, and all it starts, to this directory and the program; forbid to execute files.

    To be called before the engine starts threads: running threads are not confined.

    Returns:
        Whether the system can do so.
    """
    version = _system_call(_CREATE_RULESET, None, 0, 1) if sys.platform == "linux" else -1
    if version < 1:
        return False
    rights = _RIGHTS_BY_VERSION[min(version, max(_RIGHTS_BY_VERSION))]
    network = _CONNECT_TCP if version >= _NETWORK_SINCE else 0
    attributes = struct.pack("=QQ", rights, network)[: 16 if network else 8]
    ruleset = _system_call(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        _allow(ruleset, (*_SYSTEM, *_program()), _READ_FILE | _READ_DIR)
        _allow(ruleset, _DEVICES, _READ_FILE | _WRITE_FILE)
        _allow(ruleset, (data_dir,), rights & ~_EXECUTE)
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return _system_call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _program() -> list[str | Path]:
    """List the directories of Python, this package and chDB; not `sys.path`, which may hold private files."""
    found = find_spec("chdb")
    packages = [] if found is None else [Path(place).parent for place in found.submodule_search_locations or ()]
    return [sys.prefix, sys.base_prefix, Path(__file__).parents[2], *packages]


def _allow(ruleset: int, paths: Iterable[str | Path], rights: int) -> None:
    """Add a rule for each path that exists; a file takes no rights of directories."""
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            allowed = rights if os.path.isdir(path) else rights & (_READ_FILE | _WRITE_FILE)  # noqa: PTH112
            _system_call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
        finally:
            os.close(descriptor)


def _system_call(number: int, *arguments: bytes | int | None) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
