"""Commands in documents: what they are, which statuses they promise, and what their answers look like."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BLOCK: Final = re.compile(r"^```bash\n(.*?)^```(?:\s*^```json\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
_STATUS: Final = re.compile(r"#\s(\d{3})\s*$", re.MULTILINE)
_PATH: Final = re.compile(r"\$RAPPORT_URL(/[^\"?\s]*)")
_METHOD: Final = re.compile(r"\s-X (\w+)")
_DATA: Final = re.compile(r"\s(-d|--data-binary) ")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands.

    Attributes:
        script: As it stands there.
        answer: The JSON block that follows immediately: what the last answer looks like. Empty if there is none.
    """

    script: str
    answer: str

    @property
    def statuses(self) -> list[int | None]:
        """The status that each curl announces by ``# 409`` behind it; None: any success."""
        found = [_STATUS.search(command) for command in self._curls]
        return [int(match.group(1)) if match else None for match in found]

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of each curl that asks Rapport's API."""
        found = []
        for command in self._curls:
            if (path := _PATH.search(command)) is not None:
                method = _METHOD.search(command)
                found.append((method.group(1) if method else "POST" if _DATA.search(command) else "GET", path.group(1)))
        return found

    @property
    def _curls(self) -> list[str]:
        return re.split(r"\bcurl(?= )", self.script)[1:]


def bash_blocks(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    return [Block(script, answer or "") for script, answer in _BLOCK.findall(page.read_text("utf-8"))]


def last_json(text: str) -> Any:
    """The last of several JSON values that stand one behind the other."""
    decoder, value, position = json.JSONDecoder(), None, 0
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        while position < len(text) and text[position].isspace():
            position += 1
    return value


def differences(documented: object, actual: object, place: str = "$") -> Iterator[str]:
    """Where an answer lacks a documented field or has another type there; null may stand for anything."""
    if documented is None or actual is None:
        return
    if isinstance(documented, dict) and isinstance(actual, dict):
        for name, value in documented.items():
            if name in actual:
                yield from differences(value, actual[name], f"{place}.{name}")
            else:
                yield f"{place}.{name} is missing"
    elif isinstance(documented, list) and isinstance(actual, list):
        yield from _first_difference(documented, actual, place)
    elif _kind(documented) is not _kind(actual):
        yield f"{place} is {actual!r}, documented as {documented!r}"


def _first_difference(documented: Sequence[object], actual: Sequence[object], place: str) -> Iterator[str]:
    if documented and not actual:
        yield f"{place} is empty"
    elif documented:
        yield from differences(documented[0], actual[0], f"{place}[0]")


def _kind(value: object) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
